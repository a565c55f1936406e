"""Class names: what ships, the files that people have, and finding a class by name."""

import pytest

from kerasal import labels


def test_imagenet_is_in_the_standard_order():
    names = labels.load("imagenet")
    assert len(names) == 1000
    known = {
        "tench": 0,
        "goldfish": 1,
        "ostrich": 9,
        "Siberian husky": 250,
        "green snake": 55,
        "lemon": 951,
        "toilet tissue": 999,
    }
    assert {name: labels.find(name, names) for name in known} == known
    assert labels.find("Siberian_Husky", names) == 250
    assert labels.find("951", names) == 951


def test_real_class_list(data_folder):
    names = labels.load(data_folder / "imagenet1000" / "classes.csv")
    assert (len(names), names[9]) == (1000, "ostrich")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("a.txt", "cat\ndog\n\n"),
        ("a.csv", "index,wnid,name\n1,n2,dog\n0,n1,cat\n"),
        ("b.csv", "label\ncat\ndog\n"),
        ("a.json", '["cat", "dog"]'),
        ("b.json", '{"0": ["n1", "cat"], "1": ["n2", "dog"]}'),
        ("bom.txt", "\ufeffcat\ndog"),
    ],
)
def test_files(file, text, tmp_path):
    (tmp_path / file).write_text(text, encoding="utf-8")
    assert labels.load(tmp_path / file) == ["cat", "dog"]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("a.json", b"{"),
        ("b.json", b'{"1": "dog"}'),
        ("a.csv", b"index,name\n0,cat\n2,dog\n"),
        ("b.csv", b"a,b\n1,2\n"),
        ("a.txt", b"\xff\xfe\x00"),
        ("empty.txt", b""),
        ("empty.csv", b""),
    ],
)
def test_files_that_cannot_be_read(file, content, tmp_path):
    (tmp_path / file).write_bytes(content)
    with pytest.raises(ValueError, match=file):
        labels.load(tmp_path / file)


def test_what_cannot_be_found():
    with pytest.raises(FileNotFoundError, match=r"no labels file .*imagenet"):
        labels.load("imgnet")
    with pytest.raises(ValueError, match=r"Did you mean .*ostrich"):
        labels.find("ostritch", labels.load("imagenet"))
    with pytest.raises(ValueError, match="classes 134, 517"):
        labels.find("crane", labels.load("imagenet"))
    with pytest.raises(ValueError, match="There are 2 classes"):
        labels.find("2", ["a", "b"])
    with pytest.raises(ValueError, match="--labels"):
        labels.find("cat", [])
