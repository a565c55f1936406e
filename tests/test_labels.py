"""Class names: what ships, the files that people have, and finding a class by name."""

import pytest

from kerasal import labels


@pytest.mark.parametrize(
    ("score", "text", "named"),
    [
        (0.534, "53 %", "probability 53 %"),
        (1.0, "100 %", "probability 100 %"),
        (0.0123, "1.2 %", "probability 1.2 %"),
        (0.0, "0 %", "probability 0 %"),
        (8.312, "score 8.31", "score 8.31"),
        (-2.0, "score -2", "score -2"),
    ],
)
def test_scores_as_text(score, text, named):
    assert labels.format_score(score) == text
    assert labels.format_score(score, named=True) == named


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
    with pytest.raises(FileNotFoundError, match=r"existing file or one of imagenet, digits, got"):
        labels.load("imgnet")
    with pytest.raises(ValueError, match=r"There are 1000, from"):  # classes, of 1842 names
        labels.find("qqqq", labels.load("imagenet"))
    with pytest.raises(ValueError, match=r"Did you mean .*ostrich"):
        labels.find("ostritch", labels.load("imagenet"))
    with pytest.raises(ValueError, match="several classes: 134, 517"):
        labels.find("crane", labels.load("imagenet"))
    with pytest.raises(ValueError, match=r"must be in 0\.\.1, got"):
        labels.find("2", ["a", "b"])
    with pytest.raises(ValueError, match="Pass the index, or labels"):
        labels.find("cat", [])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", '"dog"', "a single str"),
        ("a.json", "3", "a single int"),
        ("a.json", '[["n1", 3]]', "a name is not text"),
        ("a.json", "[1, 2]", "a name is not text"),
        ("a.json", "[[]]", "a name is not text"),
        ("a.json", "[" * 100_000, "cannot be read"),
        ("a.csv", "index,name\n0,dog\n1\n", "a name is not text"),
        ("a.csv", 'index,name\n0,"dog\n', "cannot be read"),
    ],
)
def test_a_file_with_other_things_than_names_is_refused(name, text, message, tmp_path):
    """A single text in JSON became a class for each letter."""
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        labels.load(tmp_path / name)
    assert name in str(caught.value)


def test_a_name_with_a_line_separator_of_unicode_stays_one(tmp_path):
    (tmp_path / "a.txt").write_text("one\u2028half\r\ntwo\n", encoding="utf-8")
    assert labels.load(tmp_path / "a.txt") == ["one\u2028half", "two"]
    (tmp_path / "a.csv").write_text('index,name\n1,two\n0,"one\u2028half"\n', encoding="utf-8")
    assert labels.load(tmp_path / "a.csv") == ["one\u2028half", "two"]


@pytest.mark.parametrize("column", ["image", "file", "filename", "path", "photo"])
def test_a_table_of_images_is_no_list_of_classes(tmp_path, column):
    (tmp_path / "labels.csv").write_text(f"{column},label\nb.jpg,zebra\na.jpg,cat\n")
    with pytest.raises(
        ValueError, match=rf"labels.csv must be .* the column '{column}' shows that each row is an image"
    ):
        labels.load(tmp_path / "labels.csv")
    (tmp_path / "labels.csv").write_text(f"{column},label,index\nb.jpg,zebra,1\na.jpg,cat,0\n")
    assert labels.load(tmp_path / "labels.csv") == ["cat", "zebra"]
