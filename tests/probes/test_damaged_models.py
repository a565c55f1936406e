"""Damaged and deeply nested model files: a ValueError that names the file, whatever the libraries below call it."""

import importlib.util
import json
import pathlib
import struct
import subprocess
import sys
import warnings
import zipfile

import h5py
import numpy as np
import pytest

import kerasal
from kerasal.archive_check import DamagedFile, check_claims
from kerasal.models.weight_files import load_weights

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="module")
def probe():
    spec = importlib.util.spec_from_file_location("damage", HERE / "damage.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def whole(probe, tmp_path_factory):
    """A folder with one net in every format."""
    folder, model = tmp_path_factory.mktemp("whole"), probe.build()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(folder / "net.keras")
        model.save(folder / "net.h5")
        model.save_weights(folder / "net.weights.h5")
        model.export(folder / "saved", verbose=False)
    return folder


def _with_config(source, target, change):
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w") as copy:
        for name in archive.namelist():
            content = archive.read(name)
            copy.writestr(name, change(content) if name == "config.json" else content)
    return target


@pytest.mark.parametrize("kind", ["lists", "objects", "models", "attributes"])
def test_a_configuration_of_ten_thousand_levels(kind, whole, tmp_path):
    levels = 10_000

    def nest(content):
        if kind == "lists":
            return b"[" * levels + b"]" * levels
        if kind == "objects":
            return b'{"a":' * levels + b"1" + b"}" * levels
        if kind == "attributes":
            return content.replace(b'"name": "net"', b'"name": ' + b'{"a":' * 900 + b"1" + b"}" * 900, 1)
        head = b'{"module": "keras", "class_name": "Sequential", "registered_name": null, "config": {"layers": ['
        return head * levels + b"]}}" * levels

    with pytest.raises(ValueError, match=r"nested\.keras cannot be loaded"):
        kerasal.load_model(_with_config(whole / "net.keras", tmp_path / "nested.keras", nest))


def test_an_h5_file_with_ten_thousand_groups_in_one_another(whole, tmp_path):
    path = tmp_path / "deep.weights.h5"
    with h5py.File(path, "w") as file:
        group = file
        for _ in range(10_000):
            group = group.create_group("g")
    with pytest.raises(DamagedFile, match=r"deep\.weights\.h5 cannot be read: it is nested too deeply"):
        check_claims(path)


@pytest.mark.parametrize("name", ["net.h5", "net.keras", "net.weights.h5"])
def test_a_heap_of_zeros_is_found_before_hdf5_runs_round_in_it(name, probe, whole, tmp_path):
    content = bytearray((whole / name).read_bytes())
    heap = content.index(b"GCOL\x01\0\0\0") + 16
    while (head := struct.unpack_from("<HHIQ", content, heap))[0]:
        heap += 16 + (head[3] + 7) // 8 * 8
    content[heap : heap + 16] = bytes(16)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DamagedFile, match=r"an HDF5 heap is damaged at byte \d+\. Copy"):
        load_weights(probe.build(), tmp_path / name) if "weights" in name else kerasal.load_model(tmp_path / name)


def test_a_compressed_heap_of_zeros_is_found_too(whole, tmp_path):
    with zipfile.ZipFile(whole / "net.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    weights = bytearray(members["model.weights.h5"])
    heap = weights.index(b"GCOL\x01\0\0\0") + 16
    weights[heap : heap + 4080] = bytes(len(weights[heap : heap + 4080]))
    members["model.weights.h5"] = bytes(weights)
    with zipfile.ZipFile(tmp_path / "net.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(DamagedFile, match="heap is damaged"):
        kerasal.load_model(tmp_path / "net.keras")


@pytest.mark.parametrize("member", ["config.json", "model.weights.h5"])
def test_an_archive_that_lacks_a_member(member, whole, tmp_path):
    with zipfile.ZipFile(whole / "net.keras") as archive, zipfile.ZipFile(tmp_path / "net.keras", "w") as copy:
        for name in archive.namelist():
            if name != member:
                copy.writestr(name, archive.read(name))
    with pytest.raises(ValueError, match=r"net\.keras cannot be loaded as a Keras model: ."):
        kerasal.load_model(tmp_path / "net.keras")


@pytest.mark.parametrize("damaged", ["saved_model.pb", "variables/variables.index", "variables/variables.data"])
def test_a_saved_model_that_was_cut_off(damaged, whole, tmp_path, probe):
    import shutil

    shutil.copytree(whole / "saved", tmp_path / "saved")
    file = next(one for one in (tmp_path / "saved").rglob("*") if damaged in one.as_posix())
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(DamagedFile, match=r"saved cannot be loaded as a SavedModel: .* Export it again"):
        kerasal.load_model(tmp_path / "saved")


def test_a_failure_half_way_leaves_the_model_as_it_was(whole, probe, monkeypatch):
    """Keras reads layer by layer: the first are set when the last turns out to be damaged."""
    model = probe.build()
    before = [np.copy(one) for one in model.get_weights()]

    def fail(self, path):
        self.layers[1].set_weights([np.zeros_like(one) for one in self.layers[1].get_weights()])
        raise RuntimeError("bad B-tree")

    monkeypatch.setattr(type(model), "load_weights", fail)
    with pytest.raises(DamagedFile, match=r"net\.weights\.h5 cannot be loaded into 'net': bad B-tree"):
        load_weights(model, whole / "net.weights.h5")
    for mine, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, old)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "seeds"), [("keras", 100), ("config", 100), ("h5", 120), ("weights", 120), ("saved", 30)]
)
def test_random_damage_is_a_model_or_a_value_error(kind, seeds, whole):
    command = [sys.executable, HERE / "damage.py", kind, whole, f"0:{seeds}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    last = done.stdout.strip().splitlines()[-1]
    assert done.returncode == 0, f"exit code {done.returncode} after {last}: {done.stderr[-2000:]}"
    assert "WRONG" not in done.stdout, done.stdout
    assert json.loads(last.split()[1]) == seeds - 1
