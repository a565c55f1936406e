"""Observers, order and durations of fixations: kept by every reader that can know them."""

import numpy as np
import pytest
import scipy.io
from PIL import Image

from kerasal.datasets import open_gaze
from kerasal.fixations.fixation_files import list_recordings

TABLE = "image,x,y,observer,order,duration_ms\na,3,4,ann,1,200\na,5,6,bob,1,\na,7,8,ann,2,150\nb,1,2,cem,1,90\n"


def write(path, text):
    path.write_text(text)
    return path


def test_a_table_keeps_observers_order_and_durations(tmp_path):
    found = {name: read() for name, read in list_recordings(write(tmp_path / "all.csv", TABLE)).items()}
    np.testing.assert_array_equal(found["a"].points, [[3, 4], [5, 6], [7, 8]])
    np.testing.assert_array_equal(found["a"].subject, [0, 1, 0])  # names are numbered in the whole file
    np.testing.assert_array_equal(found["b"].subject, [2])
    np.testing.assert_array_equal(found["a"].order, [1, 1, 2])
    np.testing.assert_array_equal(found["a"].duration_ms, [200, np.nan, 150])


def test_numbers_of_observers_are_kept(tmp_path):
    found = list_recordings(write(tmp_path / "a.csv", "x,y,subject\n3,4,17\n5,6,4\n"))["a"]()
    np.testing.assert_array_equal(found.subject, [17, 4])
    assert found.order is None and found.duration_ms is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,y,order\n3,4,first\n", "must have integers in the column order, got 'first' in line 2"),
        ("x,y,order\n3,4,1.5\n", "must have integers in the column order, got '1.5'"),
        ("x,y,duration_ms\n3,4,-1\n", "must have non-negative numbers, or nothing where one is missing, in the column"),
        ("x,y,order,order\n3,4,1,2\n", "must have a single column order"),
    ],
)
def test_wrong_columns_are_errors(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        list_recordings(write(tmp_path / "a.csv", text))["a"]()


def test_matlab_files_keep_observers(tmp_path):
    subjects = [
        {"fix_x": np.array([11.0, 21.0]), "fix_y": np.array([5.0, 6.0]), "fix_duration": np.array([200, 300])},
        {"fix_x": np.array([31.0]), "fix_y": np.array([7.0]), "fix_duration": np.array([250])},
    ]
    images = np.empty(2, object)
    for number, name in enumerate(("a.jpg", "b.jpg")):
        images[number] = {"img": name, "subjects": np.array(subjects, object)}
    scipy.io.savemat(tmp_path / "fixations.mat", {"fixations": images})
    found = list_recordings(tmp_path / "fixations.mat")["a"]()
    np.testing.assert_array_equal(found.points, [[10, 4], [20, 5], [30, 6]])
    np.testing.assert_array_equal(found.subject, [0, 0, 1])
    np.testing.assert_array_equal(found.order, [0, 1, 0])
    np.testing.assert_array_equal(found.duration_ms, [200, 300, 250])
    gaze = np.array([{"fixations": np.array([[3, 4], [5, 6]])}, {"fixations": np.array([[7, 8]])}], object)
    scipy.io.savemat(tmp_path / "b.mat", {"gaze": gaze})
    np.testing.assert_array_equal(list_recordings(tmp_path / "b.mat")["b"]().subject, [0, 0, 1])


def test_a_data_set_scales_and_drops_them_together(tmp_path):
    (tmp_path / "images").mkdir()
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(tmp_path / "images" / "a.png")
    write(
        tmp_path / "fixations.csv", "image,x,y,subject,order,duration_ms\na,3,4,7,0,10\na,90,4,8,0,20\na,5,6,9,3,30\n"
    )
    points = open_gaze(tmp_path, outside="drop").points("a")
    np.testing.assert_array_equal(points.xy, [[3, 4], [5, 6]])
    np.testing.assert_array_equal(points.subject, [7, 9])
    np.testing.assert_array_equal(points.order, [0, 3])
    np.testing.assert_array_equal(points.duration_ms, [10, 30])


def test_an_archive_keeps_them(tmp_path):
    (tmp_path / "images").mkdir()
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(tmp_path / "images" / "a.png")
    rows = {"x": [4.5, 6.5], "y": [2.5, 3.5], "img": [0, 0], "subject": [1, 0], "order": [2, 0]}
    arrays = {name: np.array(values) for name, values in rows.items()}
    np.savez(tmp_path / "fixations.npz", names=["a.png"], size_wh=[80, 60], duration_ms=[100, 120], **arrays)
    data = open_gaze(tmp_path)
    points = data.points("a")
    np.testing.assert_array_equal(points.xy, [[2, 1], [3, 1.5]])
    np.testing.assert_array_equal(points.subject, [1, 0])
    np.testing.assert_array_equal(points.order, [2, 0])
    np.testing.assert_array_equal(points.duration_ms, [100, 120])
    np.testing.assert_array_equal(data.subjects("a"), [1, 0])
