"""Many image files: which are found, and that they are read ahead in order, within bounds, and never left running."""

import threading
import time

import pytest

from kerasal.images import find_files, read_ahead


def test_files_are_found_at_any_depth_in_order(tmp_path):
    for name in ("b/2.JPG", "b/1.png", "a.webp", ".hidden/3.png", "b/.4.png", "b/notes.txt", "odd"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [str(path.relative_to(tmp_path)) for path in find_files([tmp_path])] == ["a.webp", "b/1.png", "b/2.JPG"]
    assert find_files([tmp_path / "odd", tmp_path / "b", tmp_path])[:2] == [tmp_path / "odd", tmp_path / "b/1.png"]
    assert len(find_files([tmp_path / "b", tmp_path])) == 3
    with pytest.raises(FileNotFoundError, match=r"no image file or folder .*missing"):
        find_files([tmp_path / "missing"])
    (tmp_path / "hidden").mkdir()
    with pytest.raises(ValueError, match=r"no image files in .*hidden"):
        find_files([tmp_path / "hidden"])


def test_a_link_to_nothing_is_left_to_the_reader(tmp_path):
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    assert [path.name for path in find_files([tmp_path / "gone.jpg"])] == ["gone.jpg"]
    assert [path.name for path in find_files([tmp_path])] == ["gone.jpg"]


def test_reading_ahead_keeps_the_order_and_passes_errors_on():
    def work(number):
        time.sleep(0.01 * (number % 3))
        return 12 // (number - 4)

    items, results = [], []
    for item, future in read_ahead(work, range(8), workers=3, pending=5):
        items.append(item)
        results.append(repr(future.exception()) if future.exception() else future.result())
    assert items == list(range(8))
    assert results[4].startswith("ZeroDivisionError") and results[5:] == [12, 6, 4]


def test_reading_runs_ahead_but_not_away():
    started, most = [], 0
    for position, (_, future) in enumerate(read_ahead(started.append, range(100), workers=4, pending=6)):
        future.result()
        time.sleep(0.001)
        most = max(most, len(started) - position)
    assert 2 <= most <= 6


def test_whoever_stops_early_leaves_no_thread_behind():
    reader = read_ahead(lambda _: time.sleep(0.01), range(1000), workers=2, pending=50)
    next(reader)
    reader.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("kerasal-reader")]
