"""Digests of values and files: the same for what is the same, in any process, and another for anything else."""

import os
import subprocess
import sys

import numpy as np
import pytest

from kerasal import digests
from kerasal.digests import digest, digest_file, digest_files

VALUES = [
    None,
    True,
    1,
    1.0,
    "1",
    b"1",
    [1],
    [1, [2]],
    [[1], 2],
    ["ab", "c"],
    ["a", "bc"],
    {"a": 1, "b": 2},
    {"a": 2, "b": 1},
    {1, 2},
    np.float32(0.1),
    np.zeros(4, np.float32),
    np.zeros(4, np.int32),
    np.zeros((2, 2), np.float32),
    np.zeros((0, 3)),
    np.array(1.0),
    np.array(["a", "b"]),
]


def test_different_values_have_different_digests():
    assert len({digest(value) for value in VALUES}) == len(VALUES)


def test_equal_values_have_equal_digests():
    array = np.arange(12).reshape(3, 4)
    assert digest(array[:, ::2]) == digest(array[:, ::2].copy())
    assert digest((1, "a")) == digest([1, "a"]) == digest([np.int64(1), "a"])
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_another_process_gives_the_same():
    """Texts have other hashes there, so that sets have another order."""
    code = "from kerasal.digests import digest; print(digest({'x', 'y', 'z'}, {'b': 1, 'a': [None, .5]}))"
    told = set()
    for seed in "12":
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        told.add(subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True).stdout)
    assert told == {f"{digest({'z', 'y', 'x'}, {'a': [None, 0.5], 'b': 1})}\n".encode()}


def test_what_has_no_digest_is_refused():
    with pytest.raises(TypeError, match=r"numbers, strings, paths or arrays, .* got <object"):
        digest([object()])


def test_a_folder_is_its_files(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.bin").write_bytes(b"one")
    assert digest_file(tmp_path / "a") == digest_file(tmp_path / "b")
    (tmp_path / "b" / "x.bin").write_bytes(b"two")
    assert digest_file(tmp_path / "a") != digest_file(tmp_path / "b")


@pytest.mark.parametrize("limit", [2**20, 0])
def test_files_are_known_by_content_or_by_size_and_time(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(digests, "_READ", limit)
    file, missing = tmp_path / "a", tmp_path / "missing"
    file.write_bytes(b"one")
    os.utime(file, ns=(1, 1))
    first = digest_files([file, missing])
    assert first == digest_files([file, missing]) != digest_files([missing, file])
    file.write_bytes(b"three")
    longer = digest_files([file, missing])
    file.write_bytes(b"two")
    assert len({first, longer, digest_files([file, missing])}) == 3
    os.utime(file, ns=(1, 1))  # what is read is found out, what is not is the documented limit
    assert (digest_files([file, missing]) == first) is (limit == 0)
