"""The arrays of a data set on the disk and in memory: used again for the same data, and for nothing else."""

import os

import numpy as np
import pytest
from PIL import Image

from kerasal import images as pictures
from kerasal.datasets import GazeDataset, open_gaze
from kerasal.datasets import gaze_arrays as module
from kerasal.training import samples

SIZE, MAP, COUNT = (6, 8), (6, 8), 3


@pytest.fixture
def folder(tmp_path):
    """Images with one fixation each, and with maps."""
    random = np.random.default_rng(0)
    for number in range(COUNT):
        pictures.write(tmp_path / "data" / "images" / f"{number}.png", random.integers(0, 256, (12, 16, 3), np.uint8))
        values = random.integers(1, 255, (12, 16)).astype(np.uint8)
        (tmp_path / "data" / "maps").mkdir(exist_ok=True)
        Image.fromarray(values).save(tmp_path / "data" / "maps" / f"{number}.png")
    rows = [f"{number}.png,{2 + number},3" for number in range(COUNT)]
    (tmp_path / "data" / "fixations.csv").write_text("\n".join(["image,x,y", *rows]) + "\n")
    return tmp_path / "data"


def collect(data, **options):
    (batch,) = data.to_tf_data(SIZE, MAP, batch=COUNT, **options)
    return [part.numpy() for part in batch]


def same(first, second):
    return all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def rewrite(file, change):
    """Change a file's content, not its size or its times."""
    before, content = file.stat(), file.read_bytes()
    changed = change(content)
    assert len(changed) == len(content) and changed != content
    file.write_bytes(changed)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def repaint(file, value):
    Image.fromarray(np.full((12, 16), value, np.uint8) * np.eye(12, 16, dtype=np.uint8)).save(file)


CHANGES = {
    "fixations": (
        {"target": "fixations"},
        lambda folder: rewrite(folder / "fixations.csv", lambda b: b.replace(b"2,3", b"9,7")),
    ),
    "blurred fixations": (
        {"sigma": 2.0},
        lambda folder: rewrite(folder / "fixations.csv", lambda b: b.replace(b"2,3", b"9,7")),
    ),
    "maps": ({}, lambda folder: repaint(folder / "maps" / "1.png", 200)),
    "images": ({}, lambda folder: pictures.write(folder / "images" / "1.png", np.zeros((12, 16, 3), np.uint8))),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_files_are_read_again(folder, tmp_path, change):
    options, apply = CHANGES[change]
    before = collect(open_gaze(folder), cache=tmp_path / "cache", **options)
    apply(folder)
    wanted = collect(open_gaze(folder), **options)
    assert not same(before, wanted)
    assert same(collect(open_gaze(folder), cache=tmp_path / "cache", **options), wanted)


def test_an_image_changed_behind_its_time_is_read_again(tmp_path):
    first, second = (np.full((12, 16, 3), value, np.uint8) for value in (10, 200))
    file = tmp_path / "a.bmp"  # of one size whatever it shows
    for number, pixels in enumerate((first, second)):
        Image.fromarray(pixels).save(file)
        os.utime(file, ns=(1, 1))
        found = collect(GazeDataset([file], [np.array([[1, 2]])]), cache=tmp_path / "cache")
        assert (found[0] == (10, 200)[number]).all()


@pytest.mark.parametrize("what", ["images", "fixations", "densities"])
@pytest.mark.parametrize("cached", [True, False])
def test_changed_arrays_are_read_again(tmp_path, what, cached):
    """Also those of a data set that was asked before, changed in place."""
    random = np.random.default_rng(0)
    arrays = {
        "images": list(random.integers(0, 256, (COUNT, 12, 16, 3), np.uint8)),
        "fixations": [np.array([[2.0, 3.0]]) for _ in range(COUNT)],
        "densities": list(random.uniform(0, 1, (COUNT, 12, 16))),
    }
    options = {"sigma": 2.0 if what == "fixations" else None, "cache": tmp_path / "cache" if cached else None}
    data = GazeDataset(**arrays)
    before = collect(data, **options)
    arrays[what][1][:] = arrays[what][1][::-1] if what != "fixations" else [[9.0, 7.0]]
    wanted = collect(GazeDataset(**arrays), sigma=options["sigma"])
    assert not same(before, wanted)
    assert same(collect(data, **options), wanted)
    assert same(collect(GazeDataset(**arrays), **options), wanted)


def test_what_has_not_changed_is_not_read_again(folder, tmp_path, monkeypatch):
    before = collect(open_gaze(folder), cache=tmp_path / "cache")
    monkeypatch.setattr(module, "_load", lambda *_: pytest.fail("read again"))
    data = open_gaze(folder)
    assert same(collect(data, cache=tmp_path / "cache"), before) and same(collect(data), before)


def test_a_cache_of_an_earlier_version_is_made_anew(folder, tmp_path):
    wanted = collect(open_gaze(folder), cache=tmp_path / "cache")
    (tmp_path / "cache" / "made_from.txt").write_bytes(b"(((6, 8), (6, 8), 'density', None, 'stretch'), \xff")
    np.save(tmp_path / "cache" / "maps.npy", np.zeros((COUNT, *MAP), np.float32))
    assert same(collect(open_gaze(folder), cache=tmp_path / "cache"), wanted)


def test_the_cache_of_a_training_too(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "IN_MEMORY", 0)

    def densities(**options):
        return np.array(samples.prepare_samples(open_gaze(folder), "training", SIZE, MAP, sigma=2.0, **options).density)

    before = densities(folder=tmp_path / "run")
    rewrite(folder / "fixations.csv", lambda content: content.replace(b"2,3", b"9,7"))
    wanted = densities()
    assert not np.array_equal(before, wanted)
    np.testing.assert_array_equal(densities(folder=tmp_path / "run"), wanted)
