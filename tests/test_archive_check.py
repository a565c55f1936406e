"""Files that ask for more memory than they have bytes, end early or lead elsewhere: refused before they are read."""

import pathlib
import tracemalloc
import warnings
import zipfile

import h5py
import numpy as np
import pytest

import kerasal
from kerasal.archive_check import arrays, check_claims, npz_arrays
from kerasal.models.weight_files import load_weights

import keras

KERNELS = {
    "net.keras": "layers/dense/vars/0",
    "net.weights.h5": "layers/dense/vars/0",
    "net.h5": "model_weights/d/net/d/kernel",
}


def _net():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="d")], name="net")


@pytest.fixture(params=KERNELS)
def file(request, tmp_path):
    """A model's file of each format, and where it keeps its kernel."""
    path, model = tmp_path / request.param, _net()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (model.save_weights if "weights" in path.name else model.save)(path)
    return path, KERNELS[request.param]


def _edit(path, change):
    """Let ``change`` edit the HDF5 file, which in a .keras file is a member."""
    if not zipfile.is_zipfile(path):
        with h5py.File(path, "a") as inner:
            change(inner)
        return
    inside = path.with_suffix(".inside.h5")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    inside.write_bytes(members["model.weights.h5"])
    with h5py.File(inside, "a") as inner:
        change(inner)
    members["model.weights.h5"] = inside.read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _load(path):
    return load_weights(_net(), path) if "weights" in path.name else kerasal.load_model(path)


def test_a_whole_file_is_loaded(file):
    path, kernel = file
    check_claims(path)
    assert (f"/{kernel}", (4, 3), np.dtype("f4")) in list(arrays(path))
    _load(path)


def test_an_array_that_is_not_in_the_file_is_refused_before_it_is_read(file):
    """A gigabyte: below what Keras itself refuses."""
    path, kernel = file

    def claim(inner):
        del inner[kernel]
        inner.create_dataset(kernel, (2**26, 4), "f4", chunks=(1000, 4))

    _edit(path, claim)
    assert path.stat().st_size < 50_000
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"claims to hold 1,024 MiB, as .* of shape \(67108864, 4\)"):
            _load(path)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["soft", "external", "values elsewhere"])
def test_what_leads_elsewhere_is_not_followed(kind, file, tmp_path):
    path, kernel = file
    (tmp_path / "secret").write_bytes(b"0" * 48)

    def lead(inner):
        del inner[kernel]
        if kind == "soft":
            inner[kernel] = h5py.SoftLink("/elsewhere")
        elif kind == "external":
            inner[kernel] = h5py.ExternalLink("other.h5", "/kernel")
        else:
            inner.create_dataset(kernel, (4, 3), "f4", external=[(str(tmp_path / "secret"), 0, 48)])

    _edit(path, lead)
    with pytest.raises(ValueError, match="in other files" if kind == "values elsewhere" else "got the link"):
        _load(path)


def test_weights_of_another_shape_are_refused_before_they_are_read(file, monkeypatch):
    path, _ = file
    small = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="d")], name="net")
    before = [one.copy() for one in small.get_weights()]
    monkeypatch.setattr(keras.Model, "load_weights", lambda *_: pytest.fail("the file was read"))
    with pytest.raises(ValueError, match=r"with other shapes|at most 6 values"):
        load_weights(small, path)
    for mine, old in zip(small.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, old)


@pytest.mark.parametrize("share", [0.3, 0.99])
def test_a_truncated_file_says_so(share, file):
    path, _ = file
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ValueError, match="truncated"):
        _load(path)


def test_an_archive_that_unfolds_too_far_is_refused(tmp_path):
    _net().save(tmp_path / "net.keras")
    with zipfile.ZipFile(tmp_path / "net.keras", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("assets/more", bytes(80 * 2**20))
    with pytest.raises(ValueError, match="claims to hold 80 MiB, in a file of"):
        kerasal.load_model(tmp_path / "net.keras")


def test_arrays_of_an_npz_are_compared_by_their_heads(tmp_path, monkeypatch):
    np.savez(tmp_path / "net.npz", **{"d/kernel": np.zeros((4, 300), np.float32), "d/bias": np.zeros(3, np.float32)})
    assert npz_arrays(tmp_path / "net.npz") == {"d/kernel": (4, 300), "d/bias": (3,)}
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("the file was read"))
    with pytest.raises(ValueError, match=r"d/kernel must have the shape \(4, 3\), got \(4, 300\)"):
        load_weights(_net(), tmp_path / "net.npz")


@pytest.mark.parametrize("name", kerasal.list_models())
def test_whatever_ships_has_its_sum(name):
    import hashlib

    for weights in kerasal.model_spec(name).weights.values():
        if weights.file is not None:
            assert hashlib.sha256(pathlib.Path(weights.file).read_bytes()).hexdigest() == weights.sha256
