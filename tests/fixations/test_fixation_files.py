"""Fixations and maps from every kind of file, and what is said about the ones that are damaged."""

import numpy as np
import pytest
import scipy.io
from PIL import Image

from kerasal.fixations.fixation_files import list_fixations, read_fixations
from kerasal.fixations.map_files import list_maps, map_shape, read_map

POINTS = np.array([[3.0, 2.0], [5.0, 1.0]])
GRAY = np.arange(48, dtype=np.uint8).reshape(6, 8)


@pytest.mark.parametrize(
    "text", ["x,y\n3,2\n5,1\n", "3,2\n5,1\n", "Y, X\n2, 3\n1, 5\n", "x\ty\n3\t2\n5\t1\n", "subject,x,y\n1,3,2\n2,5,1\n"]
)
def test_coordinate_tables(tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    np.testing.assert_array_equal(read_fixations(tmp_path / "a.csv"), POINTS)


def test_one_table_for_all_images(tmp_path):
    (tmp_path / "all.csv").write_text("image,x,y\n1.jpg,3,2\n2.jpg,7,7\n1.jpg,5,1\n")
    found = list_fixations(tmp_path / "all.csv")
    assert sorted(found) == ["1", "2"]
    np.testing.assert_array_equal(found["1"](), POINTS)
    np.testing.assert_array_equal(found["2"](), [[7, 7]])


def test_fixation_maps_keep_counts_and_marks(tmp_path):
    counts = np.zeros((6, 8), np.uint8)
    counts[1, 2], counts[3, 3] = 1, 3
    Image.fromarray(counts).save(tmp_path / "counts.png")
    np.testing.assert_array_equal(read_fixations(tmp_path / "counts.png"), counts)
    Image.fromarray((counts > 0) * np.uint8(255)).save(tmp_path / "marks.png")
    np.testing.assert_array_equal(read_fixations(tmp_path / "marks.png"), counts > 0)
    np.save(tmp_path / "points.npy", POINTS)
    np.testing.assert_array_equal(read_fixations(tmp_path / "points.npy"), POINTS)
    assert sorted(list_fixations(tmp_path)) == ["counts", "marks", "points"]


def test_matlab_files_count_from_one(tmp_path):
    gaze = np.array([{"fixations": POINTS[:1] + 1}, {"fixations": POINTS[1:] + 1}], dtype=object)
    scipy.io.savemat(tmp_path / "salicon.mat", {"gaze": gaze, "image": "COCO_1"})
    np.testing.assert_array_equal(read_fixations(tmp_path / "salicon.mat"), POINTS)
    scipy.io.savemat(tmp_path / "map.mat", {"fixLocs": (GRAY > 45).astype(float)})
    np.testing.assert_array_equal(read_fixations(tmp_path / "map.mat"), GRAY > 45)
    scipy.io.savemat(tmp_path / "plain.mat", {"fixations": POINTS + 1})
    np.testing.assert_array_equal(list_fixations(tmp_path / "plain.mat")["plain"](), POINTS)


def test_osie_mat(tmp_path):
    images = np.empty((2, 1), object)
    for which, name in enumerate(("1001.jpg", "1002.jpg")):
        subjects = np.empty((2, 1), object)
        for subject in range(2):
            subjects[subject, 0] = {"fix_x": np.array([1.2, 799.9]), "fix_y": np.array([10.4, 600.2 + subject])}
        images[which, 0] = {"img": name, "subjects": subjects}
    scipy.io.savemat(tmp_path / "fixations.mat", {"fixations": images})
    found = list_fixations(tmp_path / "fixations.mat")
    assert sorted(found) == ["1001", "1002"]
    np.testing.assert_array_equal(found["1001"](), [[0, 9], [799, 599]] * 2)


def test_maps_of_every_kind(tmp_path):
    Image.fromarray(GRAY).save(tmp_path / "gray.png")
    Image.fromarray(GRAY.astype(np.uint16) * 1000).save(tmp_path / "deep.png")
    Image.fromarray(np.repeat(GRAY[..., None], 3, axis=2)).save(tmp_path / "color.png")
    Image.fromarray(np.repeat(np.repeat(GRAY, 8, 0), 8, 1)).save(tmp_path / "lossy.jpg", quality=95)
    np.save(tmp_path / "array.npy", GRAY / 7)
    np.testing.assert_array_equal(read_map(tmp_path / "gray.png"), GRAY)
    np.testing.assert_array_equal(read_map(tmp_path / "deep.png"), GRAY.astype(int) * 1000)
    np.testing.assert_array_equal(read_map(tmp_path / "color.png"), GRAY)
    np.testing.assert_array_equal(read_map(tmp_path / "array.npy"), GRAY / 7)
    assert np.abs(read_map(tmp_path / "lossy.jpg")[::8, ::8].astype(int) - GRAY).max() < 6
    assert {map_shape(path) for name, path in list_maps(tmp_path).items() if name != "lossy"} == {(6, 8)}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "cannot be read as a table"),
        ("a.csv", b"u,v\n1,2\n", "must have the columns x and y"),
        ("a.csv", b"x,y\n1,2\n3,oops\n", "got 'oops' in line 3"),
        ("a.png", b"\x89PNG\r\n\x1a\nbroken", "cannot be read as an image"),
        ("a.png", b"", "cannot be read as an image"),
        ("a.npy", b"nothing", "cannot be read as a NumPy array"),
        ("a.mat", b"nothing at all", "cannot be read as a Matlab file"),
        ("a.jpg", b"", "JPEG compression changes pixel values"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_fixations(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_matlab_files_without_fixations(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"something": 3})
    with pytest.raises(ValueError, match=r"must have a variable gaze .*, got something"):
        read_fixations(tmp_path / "a.mat")


def test_pickled_arrays_are_never_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"code": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="cannot be read as a NumPy array"):
        read_map(tmp_path / "a.npy")


def test_truncated_image(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80)).astype(np.uint8)).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"a\.png cannot be read as an image"):
        read_map(tmp_path / "a.png")
