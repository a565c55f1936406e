"""Pickles are read without being run: what is allowed, what is refused with its name, and what is cut off."""

import collections
import os
import pickle
import pickletools
import subprocess
import tracemalloc

import numpy as np
import pytest

from kerasal.datasets.safe_pickle import RefusedPickle, read_pickle

ARRAYS = [
    np.arange(6.0).reshape(2, 3),
    np.asfortranarray(np.arange(24, dtype=np.int16).reshape(2, 3, 4)),
    np.arange(4, dtype=">f4"),
    np.arange(10)[::3],
    np.array(3.5),
    np.zeros((0, 2), np.uint8),
    np.array([True, False]),
    np.random.default_rng(0).random((200, 60)),
]


def write(path, value, protocol=4):
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_and_containers_come_back(tmp_path, protocol):
    value = [{"a": ARRAYS, "b": ("text", 3, None, 2.5, True, b"bytes"), 7: np.float32(1.5)}]
    value.append(collections.OrderedDict(x=ARRAYS[0]))  # an array that the file holds once and names twice
    found = read_pickle(write(tmp_path / "a.pkl", value, protocol))
    for given, got in zip(ARRAYS, found[0]["a"], strict=True):
        np.testing.assert_array_equal(got, given)
        assert got.dtype == given.dtype
    assert found[0]["b"] == value[0]["b"] and found[0][7] == 1.5
    np.testing.assert_array_equal(found[1]["x"], ARRAYS[0])


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_files_of_numpy_1_and_2(tmp_path, protocol):
    whole = pickle.dumps(ARRAYS[0], protocol=protocol)
    renamed = whole.replace(b"numpy._core", b"numpy.core")
    if b"\x8c" in whole:  # counted names: the module's is one byte shorter, and so is its frame
        module = next(arg for op, arg, _ in pickletools.genops(whole) if isinstance(arg, str) and "_core" in arg)
        short = module.replace("_core", "core")
        renamed = whole.replace(
            b"\x8c" + bytes([len(module)]) + module.encode(), b"\x8c" + bytes([len(short)]) + short.encode()
        )
        start = renamed.index(b"\x95")
        size = int.from_bytes(renamed[start + 1 : start + 9], "little") - 1
        renamed = renamed[: start + 1] + size.to_bytes(8, "little") + renamed[start + 9 :]
    assert b"numpy.core" in renamed
    (tmp_path / "a.pkl").write_bytes(renamed)
    np.testing.assert_array_equal(read_pickle(tmp_path / "a.pkl"), ARRAYS[0])


def test_strings_of_python_2(tmp_path):
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
    state = b"(I1\n(I3\ntcnumpy\ndtype\n(S'u1'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntbI00\nS'\\x01\\xff\\x03'\ntb."
    (tmp_path / "a.pkl").write_bytes(array + state)
    assert read_pickle(tmp_path / "a.pkl").tolist() == [1, 255, 3]


class _Calls:
    def __init__(self, function, *arguments):
        self.how = function, arguments

    def __reduce__(self):
        return self.how


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize(
    ("function", "argument", "name"),
    [
        (os.system, "touch {mark}", r"(posix|nt)\.system"),
        (eval, "open({mark!r}, 'w')", r"(builtins|__builtin__)\.eval"),
        (subprocess.Popen, "touch {mark}", r"(subprocess|commands)\.Popen"),
        (np.load, "{mark}", r"numpy\.load|numpy\.lib"),
        (getattr, "x", r"(builtins|__builtin__)\.getattr"),
    ],
)
def test_a_malicious_pickle_is_refused_and_what_it_tried_named(tmp_path, protocol, function, argument, name):
    mark = tmp_path / "mark"
    filled = argument.format(mark=str(mark))
    path = write(tmp_path / "evil.pkl", [{"X": ARRAYS[0]}, _Calls(function, filled)], protocol)
    with pytest.raises(RefusedPickle, match=rf"evil\.pkl is refused: it tries to import ({name})") as caught:
        read_pickle(path)
    assert "No code in it was executed" in str(caught.value)
    assert not mark.exists()


EMPTY = b"cnumpy.core.multiarray\n_reconstruct\n"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (b"(ios\nsystem\nS'x'\no.", "classes"),
        (b"(S'touch x'\nios\nsystem\n.", "classes"),
        (b"\x80\x02cnumpy\ndtype\n)\x81.", "classes"),
        (b"\x80\x02\x82\x01.", "classes"),
        (b"Pme\n.", "outside the file"),
        (b"\x80\x01I1\nQ.", "outside the file"),
        (b"S'text'\n(I1\ntR.", "calls 'text'"),
        (b"cnumpy\ndtype\n(S'O'\ntR.", "dtype 'O'"),
        (b"cnumpy\ndtype\n(S'f8,O'\ntR.", "dtype 'f8,O'"),
        (b"cnumpy\ndtype\n(dS'value'\nI1\nsb.", "sets the state of a type"),
        (EMPTY + b"(dS'__setstate__'\ncnumpy\ndtype\nsb.", "sets the state of a method"),
        (b"c_codecs\nencode\n(S'a'\nS'rot13'\ntR.", "rot13"),
        (b"\x80\x04\x8c\x05numpy\x8c\x0dndarray.dumps\x93.", r"numpy\.ndarray\.dumps"),
        (b"cnumpy\ndtype\n.", "name of a function"),
    ],
)
def test_hand_written_pickles(tmp_path, code, message):
    (tmp_path / "a.pkl").write_bytes(code)
    with pytest.raises(ValueError, match=message):
        read_pickle(tmp_path / "a.pkl")


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_truncated_pickle_says_so(tmp_path, protocol):
    whole = pickle.dumps([ARRAYS[7].copy() for _ in range(4)], protocol=protocol)
    for share in (0.999, 0.6, 0.1):
        (tmp_path / "a.pkl").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ValueError, match=r"a\.pkl (is truncated or damaged|cannot be read)"):
            read_pickle(tmp_path / "a.pkl")
    (tmp_path / "a.pkl").write_bytes(whole[: int(len(whole) * 0.6)])
    if protocol:
        with pytest.raises(ValueError, match=r"at byte [\d,]+ of [\d,]+, after 2 arrays"):
            read_pickle(tmp_path / "a.pkl")
    (tmp_path / "a.pkl").write_bytes(b"")
    with pytest.raises(ValueError, match="truncated"):
        read_pickle(tmp_path / "a.pkl")


@pytest.mark.parametrize(
    "code",
    [
        b"\x80\x04\x8e" + (2**62).to_bytes(8, "little"),  # bytes
        b"\x80\x05\x96" + (2**62).to_bytes(8, "little"),  # a bytearray
        b"\x80\x04\x95" + (2**62).to_bytes(8, "little"),  # a frame
        b"\x80\x04\x8d" + (2**40).to_bytes(8, "little"),  # text
    ],
)
def test_lengths_that_cannot_be_true_take_no_memory(tmp_path, code):
    (tmp_path / "a.pkl").write_bytes(code + b"abc.")
    with pytest.raises(ValueError, match="truncated or damaged"):
        read_pickle(tmp_path / "a.pkl")


def test_a_list_in_itself_is_no_endless_loop(tmp_path):
    (tmp_path / "a.pkl").write_bytes(b"]q\x00h\x00a.")
    with pytest.raises(ValueError, match="cannot be read"):
        read_pickle(tmp_path / "a.pkl")


def test_shapes_must_agree_with_their_bytes(tmp_path):
    whole = pickle.dumps(np.arange(3, dtype=np.uint8), protocol=2)
    (tmp_path / "a.pkl").write_bytes(whole.replace(b"K\x03\x85", b"K\x09\x85"))
    with pytest.raises(ValueError, match=r"an array of shape \(9,\) has 3 bytes"):
        read_pickle(tmp_path / "a.pkl")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_arrays_are_converted_one_by_one_and_their_memory_given_up(tmp_path, protocol):
    count, shape = 100, (3, 96, 96)
    random = np.random.default_rng(0)
    samples = [{"X": random.random(shape), "file_name": str(index)} for index in range(count)]
    write(tmp_path / "a.pkl", samples, protocol)
    size = count * np.prod(shape) * 8  # 21 MB of float64
    tracemalloc.start()
    try:
        found = read_pickle(tmp_path / "a.pkl", lambda array: np.rint(array * 255).astype(np.uint8))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found) == count
    assert peak < 0.2 * size  # an eighth stays
