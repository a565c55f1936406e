"""Damaged Matlab files: an error, where SciPy alone ends the process; whole ones of every kind pass."""

import struct

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from kerasal.archive_check import ImplausibleFile
from kerasal.fixations.fixation_files import list_fixations, read_fixations
from kerasal.fixations.matlab_check import DamagedMatlabFile, check_matlab

POINTS = np.array([[3.0, 2.0], [5.0, 1.0]])


def _cells(*values):
    cells = np.empty((len(values), 1), object)
    for place, value in enumerate(values):
        cells[place, 0] = value
    return cells


KINDS = {
    "numbers": {f"a_{kind}": np.ones((3, 4), kind) for kind in ("u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")},
    "complex": {"a": np.ones((2, 3)) * 1j},
    "logical": {"a": np.eye(3) > 0},
    "text": {"a": "text", "b": "Fixationen über Bilder", "c": ["one", "two and more"], "d": ""},
    "empty": {"a": np.zeros((0, 0)), "b": np.zeros((0, 5)), "c": _cells(), "d": {"a_field": []}},
    "cells": {"a": _cells("text", np.ones(3), _cells(1, _cells(2.5, "inner")))},
    "structs": {"a": {"b": 1, "c": {"a_long_field_name": "text", "d": _cells({"e": 1})}}, "f": [{"x": 1}, {"x": 2}]},
    "sparse": {"a": scipy.sparse.csc_array(np.eye(5)), "b": scipy.sparse.csc_array((4, 4))},
    "many axes": {"a": np.ones((2, 3, 4, 5))},
    "a long name": {"a_name_of_more_than_eight_letters": 1.0},
}


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:The default value for `spmatrix`:DeprecationWarning")
def test_whole_files_of_every_kind_pass(kind, compressed, tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", KINDS[kind], do_compression=compressed, long_field_names=True)
    check_matlab(tmp_path / "a.mat")
    assert set(KINDS[kind]) <= set(scipy.io.loadmat(tmp_path / "a.mat"))


def test_files_of_version_4_are_left_to_scipy(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"fixLocs": np.eye(4)}, format="4")
    check_matlab(tmp_path / "a.mat")
    np.testing.assert_array_equal(read_fixations(tmp_path / "a.mat"), np.eye(4))


def _osie(points=POINTS):
    subject = {"fix_x": points[:, 0], "fix_y": points[:, 1]}
    return _cells(*[{"img": name, "subjects": _cells(subject, subject)} for name in ("1001.jpg", "1002.jpg")])


CONTENTS = {
    "SALICON": {"gaze": np.array([{"fixations": POINTS}, {"fixations": POINTS}], dtype=object)},
    "map": {"fixLocs": np.eye(9)},
    "OSIE": {"fixations": _osie()},
}


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", CONTENTS)
def test_changed_bytes_never_end_the_process(kind, compressed, tmp_path):
    """SciPy looks up the type of an element in a table without looking whether it is in it."""
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, CONTENTS[kind], do_compression=compressed)
    whole, random = path.read_bytes(), np.random.default_rng(0)
    for _ in range(150):
        content = bytearray(whole)
        for place in random.integers(128, len(whole), random.integers(1, 4)):
            content[place] = random.choice([0, 1, 14, 15, 127, 200, 255])
        if random.random() < 0.3:
            del content[random.integers(128, len(whole)) :]
        path.write_bytes(content)
        try:
            for read in list_fixations(path).values():
                read()
        except ValueError as error:
            assert "a.mat" in str(error) and "\n" not in str(error) and len(str(error)) < 400


def test_an_element_of_an_unknown_type_is_named(tmp_path):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"fixLocs": np.ones((7, 11))})
    whole = path.read_bytes()
    tag = struct.pack("<II", 9, 7 * 11 * 8)
    assert whole.count(tag) == 1
    path.write_bytes(whole.replace(tag, struct.pack("<II", 250, 7 * 11 * 8)))
    with pytest.raises(DamagedMatlabFile, match="an element of type 250"):
        check_matlab(path)
    path.write_bytes(whole.replace(tag, struct.pack("<II", 9, 2**31)))
    with pytest.raises(DamagedMatlabFile, match="expected an element of 2,147,483,648 bytes, got"):
        check_matlab(path)


def test_a_sparse_map_is_read_and_a_hostile_one_refused(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"fixLocs": scipy.sparse.csc_array(np.eye(30, 40))})
    np.testing.assert_array_equal(read_fixations(tmp_path / "a.mat"), np.eye(30, 40))
    scipy.io.savemat(tmp_path / "b.mat", {"fixLocs": scipy.sparse.csc_array((2**30, 50))})
    with pytest.raises(ImplausibleFile, match="in a sparse matrix"):
        read_fixations(tmp_path / "b.mat")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"gaze": np.array([{"fixations": POINTS[:, :1]}] * 2, dtype=object)}, None),
        (
            {"gaze": np.array([{"fixations": np.ones((2, 4))}] * 2, dtype=object)},
            r"fixations must be numbers of shape \(n, 2\)",
        ),
        ({"gaze": np.array([{"fixations": "text"}] * 2, dtype=object)}, r"fixations must be numbers of shape \(n, 2\)"),
        ({"fixations": _osie(np.array([["a", "b"]]))}, "must be numbers"),
        ({"fixations": _cells(*[{"img": i, "subjects": {"fix_x": [1, 2], "fix_y": 1}} for i in "ab"])}, "equal length"),
        ({"fixations": _cells(*[{"img": i, "subjects": ["x"]} for i in "ab"])}, "for every subject"),
    ],
)
def test_fixations_of_another_shape_are_refused(content, message, tmp_path):
    """A (2, n) array was cut into pairs as it came."""
    scipy.io.savemat(tmp_path / "a.mat", content)
    if message is None:  # two numbers are one point
        assert read_fixations(tmp_path / "a.mat").shape == (2, 2)
        return
    with pytest.raises(ValueError, match=rf"a\.mat.*({message})"):
        for read in list_fixations(tmp_path / "a.mat").values():
            read()


def test_a_single_fixation_is_read(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"fixations": [[4.0, 3.0]]})
    np.testing.assert_array_equal(read_fixations(tmp_path / "a.mat"), [[3, 2]])
