"""File names that no result can bear: dead letters, and everything else is done."""

import json
import os
import pathlib
import types

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kerasal import images
from kerasal.batch import shard
from kerasal.batch.image_list import list_images
from kerasal.batch.output_folder import Folder
from kerasal.batch.shard import Shard, plan_shards
from kerasal.files import atomic_write

LATIN = os.fsdecode(b"caf\xe9.png")
LONGEST = "x" * 251 + ".png"  # 255 bytes: with .png behind it is too long


class FakeKind:
    """Means of images instead of a model."""

    columns = types.MappingProxyType({"mean": "float32"})

    def __init__(self, format):
        self.job = types.SimpleNamespace(threads=None, format=format)

    def prepare(self, image):
        return image

    def fits(self, first, other):
        return first.shape == other.shape

    def batch_size(self, prepared):
        return 4

    def run(self, prepared):
        return [[{"mean": float(image.mean())}] for image in prepared]

    def draw(self, prepared, rows):
        if prepared[0, 0, 0] == 13:
            raise ValueError("it cannot be drawn")
        return prepared


def _write(path, value=7):
    path.parent.mkdir(parents=True, exist_ok=True)
    images.write(path.parent / "new.png", np.full((4, 5, 3), value, np.uint8))
    try:
        os.rename(path.parent / "new.png", path)
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system has no such names")


@pytest.fixture
def photos(tmp_path):
    for name in ("a.png", LATIN, LONGEST, "sub/z.png"):
        _write(tmp_path / "photos" / name)
    (tmp_path / "photos" / "circle.png").symlink_to("circle.png")
    return tmp_path / "photos"


def _make(sources, out, format):
    kind = FakeKind(format)
    record = shard.make_shard(kind, out, Shard(0, tuple(sources)))
    return {letter["image"]: letter for letter in record["dead_letters"]}


@pytest.mark.parametrize("format", ["parquet", "npz", "png"])
def test_names_that_cannot_be_written_are_dead_letters(photos, tmp_path, format):
    out = tmp_path / "out"
    folder = Folder(out)
    sources = list_images(photos, out)
    letters = _make(sources, out, format)
    expected = {r"caf\udce9.png": "must be UTF-8", "circle.png": ""}
    if format == "png":
        expected[LONGEST] = "File name too long"
        assert sorted(path.name for path in (out / "pictures").rglob("*.png")) == ["a.png.png", "z.png.png"]
    elif format == "parquet":
        assert sorted(pd.read_parquet(out / "shards")["image"]) == ["a.png", "sub/z.png", LONGEST]
    assert set(letters) == set(expected)
    for name, reason in expected.items():
        assert reason in letters[name]["reason"]
    manifest = folder.write_manifest({}, 0, {source.name for source in list_images(photos, out)})
    assert json.loads((out / "manifest.json").read_text(encoding="utf-8")) == manifest
    assert {letter["image"] for letter in manifest["dead_letters"]} == set(expected)
    assert plan_shards(list_images(photos, out), folder.records(), 32) == ([], [])  # all of it is done
    assert not list(out.rglob(".*-*"))


@pytest.mark.parametrize("format", ["parquet", "png"])
def test_paths_of_a_list_that_cannot_be_are_dead_letters(photos, tmp_path, format):
    names = [b"a.png", b"caf\xe9.png", b"y" * 300 + b".png", b"z" * 5000 + b".png", b"nul\x00.png", b"a.png/b.png"]
    column = pa.array(names, pa.binary()).view(pa.string())
    pq.write_table(pa.table({"image": column}), photos / "list.parquet")
    sources = list_images(photos / "list.parquet", tmp_path / "out")
    assert len(sources) == len(names)
    letters = _make(sources, tmp_path / "out", format)
    assert len(letters) == 5 and "a.png" not in letters
    paths = [os.fsdecode(photos / os.fsdecode(name)) for name in names]
    assert len(_make(list_images(paths, tmp_path), tmp_path / "again", format)) == 5


def test_an_image_that_cannot_be_drawn_is_a_dead_letter(tmp_path):
    _write(tmp_path / "photos" / "bad.png", 13)
    _write(tmp_path / "photos" / "good.png")
    letters = _make(list_images(tmp_path / "photos", tmp_path / "out"), tmp_path / "out", "png")
    assert list(letters) == ["bad.png"] and letters["bad.png"]["reason"] == "it cannot be drawn"


def test_a_full_disk_still_stops_the_batch(photos, tmp_path, monkeypatch):
    def full(path, picture):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(images, "write", full)
    with pytest.raises(OSError, match="No space left"):
        _make(list_images(photos / "a.png", tmp_path / "out"), tmp_path / "out", "png")


LONG = [LONGEST, "é" * 126 + ".h5", "a." + "b" * 200 + ".npz", "x" * 240 + ".weights.h5", LATIN]


@pytest.mark.parametrize("name", LONG)
def test_the_longest_names_are_replaced(name, tmp_path):
    """The temporary name was longer than the final one, so that a name of 245 bytes could not be written."""
    with atomic_write(tmp_path / name) as temporary:
        assert temporary.suffix == pathlib.Path(name).suffix
        temporary.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.slow
def test_a_whole_batch_goes_on(run, photos, tmp_path):
    found = run(out="results", images=photos, format="png")
    assert found.results == 2 and len(found.dead_letters) == 3
    again = run(out="results", images=photos, format="png")
    assert again.new == 0 and again.dead_letters == found.dead_letters
