"""Files are there whole or not at all."""

import os

import pytest

from kerasal.files import atomic_write


def test_a_file_is_written_and_the_folders_made(tmp_path):
    with atomic_write(tmp_path / "a" / "b.txt") as temporary:
        assert temporary.parent == tmp_path / "a"
        assert temporary.suffix == ".txt"
        temporary.write_text("new")
    assert (tmp_path / "a" / "b.txt").read_text() == "new"
    assert os.listdir(tmp_path / "a") == ["b.txt"]


def test_an_error_half_way_leaves_the_old_file(tmp_path):
    (tmp_path / "b.txt").write_text("old")
    with pytest.raises(OSError, match="disk full"), atomic_write(tmp_path / "b.txt") as temporary:
        temporary.write_text("ne")
        raise OSError("disk full")
    assert (tmp_path / "b.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["b.txt"]


def test_a_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot write"), atomic_write(tmp_path / "file" / "x.png"):
        raise AssertionError
