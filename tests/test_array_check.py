"""Files of arrays that ask for more memory than they have bytes: refused before any is taken, real data read."""

import gzip
import pickle
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
import scipy.io

from kerasal.archive_check import VARIABLE, ImplausibleFile
from kerasal.array_check import check_arrays, gunzip
from kerasal.datasets import open_gaze
from kerasal.datasets.coursework_files import read_coursework
from kerasal.datasets.gaze_npz import read_npz
from kerasal.datasets.mnist import mnist
from kerasal.datasets.safe_pickle import read_pickle
from kerasal.fixations.fixation_files import read_fixations
from kerasal.fixations.map_files import map_shape, read_map
from kerasal.models.weight_files import read_npz as read_weights


def _head(shape, dtype="<f8", version=1):
    text = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(2 if version == 1 else 4, "little") + text


def _refused(read, path, message):
    """Return the most bytes that were held while ``path`` was refused."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message) as caught:
            read(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        assert path.name in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("read", [read_map, map_shape, read_fixations])
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("shape", [(10**6, 10**6), (2**40, 2**40), (700, 600)])
def test_an_npy_of_two_hundred_bytes(read, version, shape, tmp_path):
    """It asked for 7 TiB."""
    path = tmp_path / "a.npy"
    path.write_bytes(_head(shape, version=version) + bytes(72))
    most = _refused(read, path, rf"of its array of shape \({shape[0]}, {shape[1]}\) .*, got 72\.")
    assert most < 2**20


def test_an_npy_with_bytes_to_spare_is_read(tmp_path):
    (tmp_path / "a.npy").write_bytes(_head((2, 3)) + bytes(60))
    np.testing.assert_array_equal(read_map(tmp_path / "a.npy"), np.zeros((2, 3)))


ZEROS = {"names": ["1.jpg"], "img": None, "x": None, "y": None, "size_wh": [800, 600]}


def _zeros_npz(path, count, **changes):
    """Write an archive of many fixations at 0 without ever holding them."""
    with zipfile.ZipFile(path, "w", changes.get("method", zipfile.ZIP_DEFLATED)) as archive:
        for key, value in ZEROS.items():
            with archive.open(f"{key}.npy", "w") as member:
                if value is not None:
                    np.lib.format.write_array(member, np.array(value))
                    continue
                member.write(_head((count,), "|u1"))
                for _ in range(count // 2**20):
                    member.write(bytes(2**20))
    return path


@pytest.mark.parametrize("read", [read_npz, read_weights, mnist])
def test_an_npz_that_unfolds_to_far_more_than_its_size(read, tmp_path, monkeypatch):
    monkeypatch.setattr("kerasal.array_check.ALWAYS", 2**22)
    path = _zeros_npz(tmp_path / "fixations.npz", 2**22)
    assert path.stat().st_size < 20_000
    most = _refused(read, path, r"claims to hold 12 MiB, in a file of .* KERASAL_MAX_EXPANSION above")
    assert most < 2**21


@pytest.mark.slow
def test_eight_gigabytes_of_fixations(tmp_path):
    path = _zeros_npz(tmp_path / "fixations.npz", 2**30)
    assert _refused(read_npz, path, "claims to hold 3,072 MiB") < 2**22


def test_the_limit_is_moved_by_a_variable(tmp_path, monkeypatch):
    monkeypatch.setattr("kerasal.array_check.ALWAYS", 0)
    path = _zeros_npz(tmp_path / "fixations.npz", 2**20)
    with pytest.raises(ImplausibleFile, match=VARIABLE):
        read_npz(path)
    monkeypatch.setenv(VARIABLE, "5000")
    assert len(read_npz(path)) == 1
    for text in ("many", "0", "-3", "nan", "inf"):
        monkeypatch.setenv(VARIABLE, text)
        with pytest.raises(ValueError, match=rf"{VARIABLE} must be a positive number, got '{text}'"):
            check_arrays(path)


@pytest.mark.parametrize("read", [read_npz, read_weights, mnist])
def test_an_array_in_an_npz_that_is_not_in_it(read, tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("img.npy", _head((10**12,)) + bytes(80))
    assert _refused(read, path, r"img\.npy must hold .* of its array of shape \(1000000000000,\)") < 2**20


def test_an_npz_in_lzma_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("img.npy", _head((3,)) + bytes(24))
    with pytest.raises(ImplausibleFile, match="must be stored or deflated"):
        read_npz(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"img": [0.0, 1.7]}, "img must be integers"),
        ({"x": ["1", "2"]}, "img must be integers, and x and y numbers"),
        ({"names": [["a.jpg"], ["b.jpg"]]}, r"names must be text of shape \(N,\)"),
        ({"names": [True, False]}, r"names must be text of shape \(N,\)"),
        ({"subject": [1]}, "img, x, y, subject must have the same length"),
        ({"size_wh": [800, 600, 3]}, r"size_wh must be \(width, height\)"),
        ({"size_wh": [800, 0]}, r"size_wh must be \(width, height\)"),
        ({"size_wh": [np.nan, 600]}, r"size_wh must be \(width, height\)"),
        ({"size_wh": [[800, 600], [800, 600]]}, r"size_wh must be \(width, height\)"),
        ({"img": [0, 2]}, "img must be in 0..1"),
        ({"img": [0, -1]}, "img must be in 0..1"),
        ({"img": np.array([0, 2**63], np.uint64)}, "img must be in 0..1"),
    ],
)
def test_arrays_of_fixations_must_fit_together(changes, message, tmp_path):
    good = {"names": ["a.jpg", "b.jpg"], "img": [0, 1], "x": [1.0, 2.0], "y": [1.0, 2.0], "size_wh": [800, 600]}
    np.savez(tmp_path / "good.npz", **good)
    assert [name for name, _ in read_npz(tmp_path / "good.npz")] == ["a.jpg", "b.jpg"]
    np.savez(tmp_path / "bytes.npz", **good | {"names": np.array(["a.jpg", "b.jpg"], "S")})
    assert [name for name, _ in read_npz(tmp_path / "bytes.npz")] == ["a.jpg", "b.jpg"]
    np.savez(tmp_path / "bad.npz", **good | changes)
    with pytest.raises(ValueError, match=rf"bad\.npz: .*{message}"):
        read_npz(tmp_path / "bad.npz")


def test_a_matlab_file_that_unfolds_to_far_more_than_its_size(tmp_path, monkeypatch):
    """1.5 MB took 1.7 GB."""
    monkeypatch.setattr("kerasal.fixations.matlab_check.ALWAYS", 2**20)
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"fixLocs": np.zeros((2**11, 2**11), np.uint8)}, do_compression=True)
    most = _refused(
        read_fixations, path, r"claims to hold \d+ MiB or more, in a file of .* save it without compression"
    )
    assert most < 2**22
    scipy.io.savemat(path, {"fixLocs": np.zeros((2**11, 2**11), np.uint8)})
    assert read_fixations(path).shape == (2**11, 2**11)
    scipy.io.savemat(path, {"fixLocs": np.zeros((400, 300), np.uint8)}, do_compression=True)
    assert read_fixations(path).shape == (400, 300)


def test_a_matlab_cell_array_of_empty_cells(tmp_path, monkeypatch):
    """Each is eight bytes of zeros in the file, and an array in memory."""
    monkeypatch.setattr("kerasal.fixations.matlab_check.ALWAYS", 2**22)
    path, count = tmp_path / "a.mat", 50_000
    plain = _matlab_cell(count, 1, b"\x0e\0\0\0\0\0\0\0" * count)
    packed = zlib.compress(plain[128:])
    path.write_bytes(plain[:128] + b"\x0f\0\0\0" + len(packed).to_bytes(4, "little") + packed)
    _refused(read_fixations, path, r"claims to hold \d+ MiB")
    path.write_bytes(plain)
    with pytest.raises(ValueError, match="got x"):
        read_fixations(path)


@pytest.mark.parametrize("cut", [0.3, 0.7, 0.99])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_matlab_file_that_ends_early(cut, compressed, tmp_path):
    path = tmp_path / "a.mat"
    random = np.random.default_rng(0).integers(0, 9, (40, 30)).astype(float)
    scipy.io.savemat(path, {"fixLocs": random}, do_compression=compressed)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * cut)])
    with pytest.raises(ValueError, match=r"a\.mat cannot be read as a Matlab file"):
        read_fixations(path)


def _matlab_cell(rows, columns, content):
    """Return a Matlab 5 file with a cell array x that claims ``rows`` x ``columns`` cells."""
    flags = b"\x06\0\0\0\x08\0\0\0\x01\0\0\0\0\0\0\0"
    sides = b"\x05\0\0\0\x08\0\0\0" + rows.to_bytes(4, "little") + columns.to_bytes(4, "little")
    name = b"\x01\0\x01\0x\0\0\0"
    body = flags + sides + name + content
    return b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + b"\x0e\0\0\0" + len(body).to_bytes(4, "little") + body


def test_a_matlab_cell_array_that_is_not_in_its_file(tmp_path):
    path = tmp_path / "a.mat"
    path.write_bytes(_matlab_cell(2**31 - 1, 1000, b""))
    _refused(read_fixations, path, r"a\.mat cannot be read as a Matlab file")


def test_gzip_that_unfolds_to_far_more_than_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr("kerasal.array_check.ALWAYS", 2**20)
    whole = gzip.compress(bytes(2**20))
    assert gunzip(tmp_path, whole + whole[:0]) == bytes(2**20)
    (tmp_path / "a.gz").write_bytes(gzip.compress(bytes(2**24)))
    tracemalloc.start()
    with pytest.raises(ImplausibleFile, match=r"a\.gz claims to hold"):
        gunzip(tmp_path / "a.gz", (tmp_path / "a.gz").read_bytes())
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2**23
    parts = gzip.compress(b"one") + gzip.compress(b"two")
    assert gunzip(tmp_path, parts) == gzip.decompress(parts)


def _laughs(depth, opening=b"]", append=b"a"):
    """Return a pickle of a list of twice a list of twice a list …"""
    code = opening + b"q\x00"
    for place in range(1, depth):
        code += b"0" + opening + bytes([ord("q"), place]) + (b"h" + bytes([place - 1]) + append) * 2
    return code + b"."


def _tuples(depth):
    code = b"K\x01q\x00"
    for place in range(1, depth):
        code += b"0" + (b"h" + bytes([place - 1])) * 2 + b"\x86q" + bytes([place])
    return code


HOSTILE = {
    "lists": (_laughs(40), "claims to hold .* written out in full"),
    "lists of a sample": (b"]" + _laughs(40)[:-1] + b"a.", "written out in full"),
    "tuples": (_tuples(40) + b".", "written out in full"),
    "a tuple as a key": (b"}" + _tuples(40) + b"K\x01s.", "a tuple as a key"),
    "tuples as keys": (b"}(" + _tuples(40) + b"K\x01u.", "a tuple as a key"),
    "a dictionary of tuples": (b"(" + _tuples(40) + b"K\x01d.", "a tuple as a key"),
    "a set of tuples": (b"\x80\x04\x8f(" + _tuples(40) + b"\x90.", "a tuple as a key or in a set"),
    "a frozen set": (b"\x80\x04(" + _tuples(40) + b"\x91.", "a tuple as a key or in a set"),
    "an ordered dictionary": (
        b"ccollections\nOrderedDict\n]](" + _tuples(40) + b"K\x01eaa\x85R.",
        "as a key|cannot",
    ),
    "a dtype": (b"cnumpy\ndtype\n" + _tuples(40) + b"\x85R.", "dtype 'O'"),
    "an encoding": (b"c_codecs\nencode\n(S'a'\n" + _tuples(40) + b"tR.", "encodes no text"),
    "a call": (_tuples(40) + b")R.", "calls no function"),
    "long text": (b"X\x00\x10\x00\x00" + b"a" * 2**12 + b"q\x00]" + (b"h\x00a" * 2**14) + b".", "written out in full"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_pickle_of_300_bytes_ends(name, tmp_path):
    content, message = HOSTILE[name]
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_coursework(tmp_path / "a.pkl")


def test_what_is_shared_within_reason_is_read_once(tmp_path):
    array, text = np.arange(6.0), "a" * 50
    sample = {"X": array, "pair": (array, array), "names": [text] * 100}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([sample] * 1000 + [sample["names"]]))
    found = read_pickle(tmp_path / "a.pkl")
    assert len(found) == 1001 and all(one is found[0] for one in found[:1000])
    assert found[0]["pair"][0] is found[0]["X"] is found[0]["pair"][1]
    assert found[1000] is found[0]["names"] and found[1000] == [text] * 100
    np.testing.assert_array_equal(found[0]["X"], array)


@pytest.mark.parametrize("code", [b"]q\x00h\x00a.", b"}q\x00K\x01h\x00s.", b"]q\x00h\x00\x85a."])
def test_what_contains_itself_is_refused(code, tmp_path):
    (tmp_path / "a.pkl").write_bytes(code)
    with pytest.raises(ValueError, match="contains itself"):
        read_pickle(tmp_path / "a.pkl")


@pytest.mark.parametrize("name", ["osie", "crowd", "salicon10"])
def test_real_data_are_within_the_limits(name, data_folder):
    check_arrays(data_folder / name / "fixations.npz")
    assert len(open_gaze(data_folder / name)) >= 10
