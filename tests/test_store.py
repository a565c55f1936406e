"""A stored file is whole, damaged or not there, and known again by what it was made from."""

import numpy as np
import pytest

from kerasal import files
from kerasal.store import (
    Damaged,
    OtherSettings,
    Store,
    differences,
    plain,
    read_json,
    reading_arrays,
    write_arrays,
    write_json,
)


def is_mine(found):
    return found.get("kind") == "mine"


def test_arrays_and_facts_come_back(tmp_path):
    write_arrays(tmp_path / "deep" / "a.npz", {"x": np.arange(3)}, {"facts": {"n": np.int64(3), "t": (1, 2)}})
    with reading_arrays(tmp_path / "deep" / "a.npz") as stored:
        assert stored["x"].tolist() == [0, 1, 2]
        assert stored.facts() == {"n": 3, "t": [1, 2]}


def test_a_damaged_file_is_told_from_a_missing_one(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(FileNotFoundError), reading_arrays(path):
        pass
    write_arrays(path, {"x": np.arange(300)}, {"facts": {}})
    whole = path.read_bytes()
    for content in (b"", b"no archive", whole[:200], whole[:-30]):
        path.write_bytes(content)
        with pytest.raises(Damaged, match=r"a\.npz is damaged"), reading_arrays(path) as stored:
            stored["x"]
    path.write_bytes(whole)
    with pytest.raises(Damaged, match="y is not a file in the archive"), reading_arrays(path) as stored:
        stored["y"]


def test_what_a_reader_refuses_is_not_damage(tmp_path):
    write_arrays(tmp_path / "a.npz", {}, {"facts": {"seed": 5}})
    with pytest.raises(OtherSettings, match=r"holds a run with other settings \(seed: 5 there, 6 now\)\. Go on\."):
        Store(tmp_path).check({"seed": 5}, {"seed": 6}, "a run", "Go on.")
    with pytest.raises(OtherSettings), reading_arrays(tmp_path / "a.npz") as stored:
        Store(tmp_path).check(stored.facts(), {"seed": 6}, "a run", "Go on.")


@pytest.mark.parametrize("content", [None, b"", b"{", b"[1]", b"\xff"])
def test_json_that_is_not_there_or_damaged_says_nothing(tmp_path, content):
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    assert read_json(tmp_path / "a.json") == {}
    write_json(tmp_path / "a.json", {"name": "caf\udce9", "sizes": (np.int32(3), 4)})
    assert read_json(tmp_path / "a.json") == {"name": "caf\udce9", "sizes": [3, 4]}


def test_a_file_that_says_the_same_already_is_left_alone(tmp_path, monkeypatch):
    write_json(tmp_path / "a.json", {"a": 1})

    def refuse(path):
        raise AssertionError

    monkeypatch.setattr(files, "atomic_write", refuse)
    write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(AssertionError):
        write_json(tmp_path / "a.json", {"a": 2})


def test_a_folder_is_known_by_its_mark(tmp_path):
    store = Store(tmp_path / "work")
    assert store.read_mark("mark.json", is_mine, "my work") == {}
    store.folder.mkdir()
    (store.folder / ".mark-ab12cd34.json").touch()  # left by a kill
    assert store.read_mark("mark.json", is_mine, "my work") == {}
    write_json(store.folder / "mark.json", {"kind": "mine"})
    (store.folder / "other").touch()
    assert store.read_mark("mark.json", is_mine, "my work") == {"kind": "mine"}
    (store.folder / "mark.json").write_text("{")
    with pytest.raises(ValueError, match=r"mark\.json must identify the folder as my work, got a damaged"):
        store.read_mark("mark.json", is_mine, "my work")
    (store.folder / "mark.json").unlink()
    with pytest.raises(ValueError, match=r"must be empty or hold my work, got other files \(other\)"):
        store.read_mark("mark.json", is_mine, "my work")
    with pytest.raises(ValueError, match="must be a folder, got the file"):
        Store(store.folder / "other").read_mark("mark.json", is_mine, "my work")


def test_what_a_kill_left_is_removed_and_nothing_else(tmp_path):
    class Mine(Store):
        parts = ("part",)

    left = [".a-ab12cd34.json", "part/.b-ab12cd34.npz", "part/deep/.c-ab12cd34.tar.gz"]
    kept = ["a.json", ".hidden", ".a-short.json", "theirs/.a-ab12cd34.json", "part/b.npz"]
    for name in [*left, *kept]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    Mine(tmp_path).sweep(["b.npz"])
    assert [(tmp_path / name).exists() for name in left] == [True, False, True]
    with Mine(tmp_path).lock():
        assert not any((tmp_path / name).exists() for name in left)
        with pytest.raises(ValueError, match="Another run is writing"), Store(tmp_path).lock():
            pass
    assert all((tmp_path / name).exists() for name in kept)


def test_differences_are_said_one_by_one():
    there = {"seed": 5, "model": {"name": "a", "size": 3}, "loss": {"mse": 1}, "gone": 1}
    now = {"seed": 5, "model": {"name": "b", "size": 3}, "loss": {"cc": 1}, "new": 2}
    assert differences(there, now) == [
        "model name: a there, b now",
        "loss: {'mse': 1} there, {'cc': 1} now",
        "new: not recorded there, 2 now",
        "gone: 1 there, None now",
    ]
    assert differences(there, there) == []


def test_plain_values_are_what_json_gives_back(tmp_path):
    assert plain({1: (np.float32(0.5), np.arange(2)), "path": tmp_path, "none": None, "yes": np.True_}) == {
        "1": [0.5, [0, 1]],
        "path": str(tmp_path),
        "none": None,
        "yes": True,
    }
