"""The photos of the live page."""

import numpy as np
import pytest

from kerasal import images
from kerasal.viewer import photo_list


def test_passed_photos_come_before_the_bundled(photo):
    bundled = ["admiral", "cat", "coffee", "rocket"]
    assert list(photo_list.list_photos(None)) == [f"{name} (comes with kerasal)" for name in bundled]
    assert next(iter(photo_list.list_photos(photo.parent))) == "two.png"
    assert next(iter(photo_list.list_photos([photo]).values())) == photo


def test_photos_of_the_same_name_are_listed_by_path(photo):
    other = images.write(photo.parent / "more" / "two.png", images.read(photo))
    assert {str(photo), str(other)} <= set(photo_list.list_photos(photo.parent))


def test_wrong_paths_are_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="no image file"):
        photo_list.list_photos(tmp_path / "none.jpg")
    with pytest.raises(ValueError, match="no image files"):
        photo_list.list_photos(tmp_path)


def test_a_dropped_file_is_read_like_a_file(photo):
    dropped = photo_list.read_dropped("mine.png", photo.read_bytes())
    np.testing.assert_array_equal(dropped.pixels, images.read(photo))
    assert dropped.name == "mine.png" and dropped == photo_list.read_dropped("mine.png", photo.read_bytes())
    assert dropped.key != photo_list.read_photo("two.png", photo).key


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n damaged"])
def test_a_dropped_file_that_is_no_photo_is_named(content):
    with pytest.raises(ValueError, match=r"^mine\.png "):
        photo_list.read_dropped("mine.png", content)


def test_a_changed_file_is_another_photo(photo):
    before = photo_list.read_photo("two.png", photo)
    images.write(photo, np.zeros((50, 60, 3), np.uint8))
    assert photo_list.read_photo("two.png", photo).key != before.key


def test_only_large_photos_are_drawn_smaller(monkeypatch, photo):
    small = photo_list.read_photo("two.png", photo)
    assert small.to_draw() is small.pixels
    monkeypatch.setattr(photo_list, "MAX_DRAWN", 240)
    assert small.to_draw().shape == (12, 20, 3)
