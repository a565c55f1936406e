"""Tables of fixations as programs save them: no row lost, no number changed, or an error that names the line."""

import numpy as np
import pytest

from kerasal import images
from kerasal.datasets import open_gaze
from kerasal.fixations.coordinate_tables import read_table
from kerasal.fixations.fixation_files import list_fixations, read_fixations

POINTS = np.array([[3.0, 2.0], [5.0, 1.0]])


def _write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    "text",
    [
        "x;y\n3;2\n5;1\n",
        "x,y\r\n3,2\r\n5,1\r\n",
        "x,y\r3,2\r5,1\r",
        "\ufeffx,y\n3,2\n5,1",
        '"x" , "y"\n"3", "2"\n"5","1"\n',
        "\n\nX Y\n3 2\n\n 5   1 \n",
        "x,y,\n3,2,\n5,1,\n",
        "\ufeff3,2\n5,1\n",
        "3.0;+2\n.5e1;1.\n",
        'x,y,note\n3,2,"a, b\nc"\n5,1,\n',
    ],
)
def test_spellings_of_one_table(tmp_path, text):
    np.testing.assert_array_equal(read_fixations(_write(tmp_path / "a.csv", text)), POINTS)


@pytest.mark.parametrize("separator", [",", ";", "\t", " "])
def test_a_first_row_with_equal_coordinates_is_not_changed(tmp_path, separator):
    """Taken for a header, the second 7 was renamed to 7.1."""
    rows = [[7, 7], [7, 7], [1, 2]]
    text = "".join(f"{x}{separator}{y}\n" for x, y in rows)
    np.testing.assert_array_equal(read_fixations(_write(tmp_path / "a.csv", text)), rows)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,y\n3,2\n5,\n", "got '' in line 3"),
        ("x,y\n3,2\n5,1,7\n", r"must have 2 fields \(x, y\), got 3 in line 3"),
        ("x,y\n3,2,\n5,1,\n", "got 3 in line 2"),
        ("x,y,z\n3,2\n", "got 2 in line 2"),
        ("x,y,x\n3,2,1\n", "a single column x"),
        ("x;y\n3,5;2\n", "got '3,5' in line 2. Write decimals with a point"),
        ("x,y\n1_0,2\n", "got '1_0' in line 2"),
        ("x,y\nnan,2\n", "got 'nan' in line 2"),
        ("x,y\n1e999,2\n", "got '1e999' in line 2"),
        ('x,y\n"3,2\n', "cannot be read as a table: unexpected end of data"),
        ("", "it is empty"),
        ("1,2,3\n4,5,6\n", "must have the columns x and y"),
        ("image,x,y\na.jpg,1,2\nb.jpg,3,4\n", r"the fixations of a single image, got 2: a\.jpg, b\.jpg"),
    ],
)
def test_what_is_no_table_of_numbers_is_named(tmp_path, text, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_fixations(_write(tmp_path / "a.csv", text))
    assert "a.csv" in str(caught.value) and "\n" not in str(caught.value)


def test_a_table_in_utf_16_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"a\.csv cannot be read as a table"):
        read_table(_write(tmp_path / "a.csv", "x,y\n1,2\n", "utf-16"))


@pytest.mark.parametrize("other", ["b/1.jpg", r"b\1.jpg", "1.png", "1"])
def test_two_images_of_one_file_name_are_refused(tmp_path, other):
    """All but the last group were dropped."""
    _write(tmp_path / "all.csv", f"image,x,y\na/1.jpg,3,2\n{other},7,7\na/1.jpg,5,1\n")
    with pytest.raises(ValueError, match="image names must be unique") as caught:
        list_fixations(tmp_path / "all.csv")
    assert repr("a/1.jpg") in str(caught.value) and repr(other) in str(caught.value)


def test_a_row_without_an_image_is_refused(tmp_path):
    _write(tmp_path / "all.csv", "image,x,y\n1.jpg,3,2\n,7,7\n")
    with pytest.raises(ValueError, match=r"all\.csv: every row must name its image in the column image, got .* line 3"):
        list_fixations(tmp_path / "all.csv")


def test_rows_keep_their_order_and_their_repetitions(tmp_path):
    _write(tmp_path / "all.csv", "image,x,y\nmy.photo.jpg,3,2\n2,7,7\nmy.photo.jpg,5,1\nmy.photo.jpg,3,2\n")
    found = list_fixations(tmp_path / "all.csv")
    assert sorted(found) == ["2", "my.photo"]
    np.testing.assert_array_equal(found["my.photo"](), [[3, 2], [5, 1], [3, 2]])


def _images(folder, *names):
    for name in names:
        images.write(folder / "images" / name, np.zeros((10, 12, 3), np.uint8))


def _npz(folder, names):
    xy = np.array([[1.0, 2.0], [3.0, 4.0]])
    np.savez(folder / "fixations.npz", names=names, img=[0, 1], x=xy[:, 0], y=xy[:, 1], sizes_wh=[[12, 10]] * 2)


@pytest.mark.parametrize("kind", ["csv", "npz"])
def test_a_split_takes_the_rows_of_its_own_folder(tmp_path, kind):
    _images(tmp_path, "train/1.png", "val/1.png")
    if kind == "csv":
        _write(tmp_path / "fixations.csv", "image,x,y\ntrain/1.png,1,2\nval/1.png,3,4\n")
    else:
        _npz(tmp_path, ["train/1.png", "val/1.png"])
    at = {split: open_gaze(tmp_path, split).fixations(0) for split in ("train", "val")}
    scale = 0.5 if kind == "npz" else 0  # whole numbers of an npz on the image's own grid stay as they are
    np.testing.assert_allclose(at["train"], [[1, 2]], atol=scale)
    np.testing.assert_allclose(at["val"], [[3, 4]], atol=scale)


def test_an_npz_with_two_images_of_one_file_name_is_refused(tmp_path):
    _images(tmp_path, "1.png")
    _npz(tmp_path, ["a/1.png", "b/1.png"])
    with pytest.raises(ValueError, match=r"without folder and suffix, got 'a/1[.]png' and 'b/1[.]png'"):
        open_gaze(tmp_path)
