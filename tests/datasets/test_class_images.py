"""Folders of images, one a class: listed, read, split, and what is wrong with them said."""

import numpy as np
import pytest

from kerasal import images
from kerasal.datasets import class_images
from kerasal.datasets.class_folders import class_files, has_class_folders
from kerasal.datasets.labeled_images import ClassImages, _allocate_test_images

SHAPE = (8, 8, 3)


def make(folder, **counts):
    """Write one gray level an image; classes and images are told apart by it."""
    for label, (name, count) in enumerate(counts.items()):
        for number in range(count):
            picture = np.full((10, 12, 3), 40 * label + number, np.uint8)
            images.write(folder / name / f"{number:02d}.png", picture)
    return folder


@pytest.fixture
def folder(tmp_path):
    return make(tmp_path / "data", ant=10, bee=5, cat=5)


def test_every_image_with_its_class(folder):
    train, test = class_images(folder, SHAPE)
    assert train.names == test.names == ["ant", "bee", "cat"]
    assert (len(train), len(test)) == (16, 4)
    assert np.bincount(test.labels).tolist() == [2, 1, 1]
    for part in (train, test):
        pixels = part.load_images(range(len(part)))
        assert pixels.shape == (len(part), *SHAPE) and pixels.dtype == np.uint8
        for picture, label, file in zip(pixels, part.labels, part.files, strict=True):
            assert file.parent.name == part.names[label]
            assert (picture == 40 * label + int(file.stem)).all()
    assert not set(train.files) & set(test.files)


def test_the_seed_decides_the_split(folder):
    splits = [class_images(folder, SHAPE, seed=seed)[1].files for seed in (0, 0, 1, 2)]
    assert splits[0] == splits[1] and not splits[0] == splits[2] == splits[3]


def test_what_does_not_fit_into_memory_is_read_from_its_files(folder):
    kept, read = (class_images(folder, SHAPE, memory=memory)[0] for memory in (1 << 20, 100))
    assert kept.pixels is not None and read.pixels is None
    np.testing.assert_array_equal(kept.load_images([3, 0, 12]), read.load_images([3, 0, 12]))
    np.testing.assert_array_equal(kept.means(), read.means())
    assert kept.digest() == read.digest()


def test_class_means(folder):
    train, _ = class_images(folder, SHAPE)
    for label, mean in enumerate(train.means()):
        levels = [40 * label + int(file.stem) for file in train.files if file.parent.name == train.names[label]]
        np.testing.assert_allclose(mean, np.mean(levels), rtol=1e-6)


def test_gray_and_cut_or_stretched(tmp_path):
    picture = np.zeros((8, 16, 3), np.uint8)
    picture[:, :4] = 255
    for name in ("a", "b"):
        for number in range(2):
            images.write(tmp_path / name / f"{number}.png", picture)
    cut, stretched = (class_images(tmp_path, (8, 8, 1), fit=fit)[0].load_images([0]) for fit in ("crop", "stretch"))
    assert cut.shape == stretched.shape == (1, 8, 8, 1)
    assert cut.max() == 0 and stretched[0, :, 0, 0].min() == 255


@pytest.mark.parametrize("seed", range(20))
def test_a_split_has_the_share_and_every_class(seed):
    random = np.random.default_rng(seed)
    counts = random.integers(2, 200, random.integers(2, 9))
    share = random.uniform(0.1, 0.5)
    wanted = _allocate_test_images(counts, share)
    assert (wanted >= 1).all() and (wanted < counts).all()
    assert (np.abs(wanted - counts * share) < 1).all() or counts.min() * share < 1
    if counts.min() * share >= 1:
        assert wanted.sum() == round(share * counts.sum())


def test_the_papers_split():
    """2,890 images of five classes, a fifth of them to test on: 2,312 and 578."""
    assert _allocate_test_images(np.array([578, 577, 579, 600, 556]), 0.2).sum() == 578


@pytest.mark.parametrize("parts", [("train", "val"), ("Training", "test")])
def test_parts_are_kept(tmp_path, parts):
    make(tmp_path / parts[0], ant=3, bee=3)
    make(tmp_path / parts[1], ant=1, bee=2)
    train, test = class_images(tmp_path, SHAPE)
    assert (len(train), len(test)) == (6, 3)
    assert {file.parent.parent.name for file in test.files} == {parts[1]}


def test_parts_with_other_classes_are_refused(tmp_path):
    make(tmp_path / "train", ant=3, bee=3, cat=2)
    make(tmp_path / "val", ant=1, bee=2)
    with pytest.raises(ValueError, match=r"the same classes\. Only one of them has cat"):
        class_images(tmp_path, SHAPE)
    assert class_images(tmp_path, SHAPE, classes=["ant", "bee"])[0].names == ["ant", "bee"]


def test_classes_are_chosen_in_an_order_and_named_by_a_table(folder):
    (folder / "classes.csv").write_text("wnid,name,more\nant,big ant,1\ncat,small cat,2\n")
    assert class_files(folder)[0].names == ["big ant", "bee", "small cat"]
    chosen = class_images(folder, SHAPE, classes=["Cat", "big_ant"])[0]
    assert chosen.names == ["small cat", "big ant"]
    assert {file.parent.name for file in np.array(chosen.files)[chosen.labels == 0]} == {"cat"}
    with pytest.raises(ValueError, match=r"Unknown class 'bea'\. There is .*\bbee\b"):
        class_files(folder, ["bea", "cat"])
    with pytest.raises(ValueError, match="classes must be unique"):
        class_files(folder, ["cat", "small cat"])


def test_what_is_no_image_is_left_out_and_named(folder):
    (folder / "ant" / "notes.txt").write_text("hello")
    (folder / "bee" / "broken.jpg").write_bytes(b"\xff\xd8nonsense")
    (folder / "bee" / ".hidden.jpg").write_bytes(b"")
    train, test = class_images(folder, SHAPE)
    assert len(train) + len(test) == 20
    assert {file.rsplit("/")[-1] for file in train.skipped} == {"notes.txt", "broken.jpg"}
    assert "broken.jpg" in train.skipped[str(folder / "bee" / "broken.jpg")]
    images = train.load_images(range(len(train)))
    assert (images[:, 0, 0, 0] // 40 == train.labels).all()  # the labels still belong to their images


def test_unusable_folders(tmp_path, folder):
    def refused(path, says, error=ValueError, **options):
        with pytest.raises(error, match=says):
            class_images(path, SHAPE, **options)

    refused(tmp_path / "none", "There is no folder", FileNotFoundError)
    refused(folder / "ant" / "00.png", "got the file", NotADirectoryError)
    refused(folder / "ant", r"ant must have a folder of images per class, got none")
    refused(folder, "must have at least two classes, got bee", classes=["bee"])
    refused(folder, r"share must be a finite number above 0 and below 1, got 1\.5", test_share=1.5)
    (folder / "dog").mkdir()
    refused(folder, r"must have images, got none in 1 of 4: dog\. Remove them")
    make(folder, dog=1)
    refused(folder, "must have two images.*a single image for dog")
    (folder / "dog" / "00.png").write_bytes(b"no image")
    refused(folder, r"readable images, got none for dog\. The first error is: .*00\.png")


def test_images_lie_at_any_depth(tmp_path):
    make(tmp_path / "a", deep=1)
    make(tmp_path, b=2)
    found, _ = class_files(tmp_path)
    assert found.names == ["a", "b"] and found.labels.tolist() == [0, 1, 1]


def test_a_lone_part_is_told(tmp_path):
    make(tmp_path / "train", ant=1, bee=2)
    with pytest.raises(ValueError, match="must have both a folder train and a folder val or test, got only train"):
        class_files(tmp_path)


def test_parts_of_which_one_has_a_single_class(tmp_path):
    make(tmp_path / "train", ant=1, bee=2)
    make(tmp_path / "val", ant=1)
    with pytest.raises(ValueError, match=r"must have the same classes\. Only one of them has bee"):
        class_files(tmp_path)


def test_which_folders_hold_classes(folder, tmp_path):
    assert has_class_folders(folder) and has_class_folders(tmp_path)
    assert not has_class_folders(folder / "ant")


def test_a_digest_tells_data_apart(folder):
    first = class_images(folder, SHAPE)[0]
    assert first.digest() == class_images(folder, SHAPE)[0].digest()
    others = [
        class_images(folder, (9, 8, 3))[0],
        class_images(folder, SHAPE, fit="stretch")[0],
        class_images(folder, SHAPE, seed=1)[0],
        ClassImages(["x", "bee", "cat"], first.files, first.labels, SHAPE),
    ]
    images.write(first.files[0], np.random.default_rng(0).integers(0, 255, (9, 9, 3)).astype(np.uint8))
    assert len({one.digest() for one in [*others, first]} | {class_images(folder, SHAPE)[0].digest()}) == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            b"wnid,name\nant,big ant\nant,small ant\n",
            "each folder must have a single name, got 'big ant' and 'small ant'",
        ),
        ("wnid,name\nant,fourmi géante\n".encode("latin1"), r"classes\.csv cannot be read as a table"),
    ],
)
def test_a_list_of_classes_with_mistakes_is_refused(text, message, colored_squares, tmp_path):
    folder = colored_squares(tmp_path / "data", ["ant", "cat"], 2, (8, 8), np.s_[:2, :2])
    (folder / "classes.csv").write_bytes(text)
    with pytest.raises(ValueError, match=message):
        class_files(folder)
