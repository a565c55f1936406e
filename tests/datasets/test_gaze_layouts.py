"""Every layout of gaze data in use, found by where it lies; and files without their counterparts, all named."""

import numpy as np
import pytest
import scipy.io
from PIL import Image

from kerasal.datasets import gaze_splits, open_gaze

SHAPE = (12, 16)


def picture(path, shape=SHAPE, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*shape, 3)).astype(np.uint8)).save(path)


def marks(path, *at, shape=SHAPE):
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.zeros(shape, np.uint8)
    for x, y in at:
        array[y, x] = 255
    Image.fromarray(array).save(path)


def density(path, shape=SHAPE):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((np.arange(shape[0] * shape[1]).reshape(shape) % 256).astype(np.uint8)).save(path)


@pytest.mark.parametrize(
    ("images", "maps"),
    [("stimuli", "saliency"), ("images", "maps"), ("Images", "Maps")],
    ids=["MSI-Net", "SimpleNet", ""],
)
def test_folders_with_splits(tmp_path, images, maps):
    for split, name in (("train", "a"), ("train", "b"), ("val", "c")):
        picture(tmp_path / images / split / f"{name}.jpg")
        density(tmp_path / maps / split / f"{name}.png")
        marks(tmp_path / "fixations" / split / f"{name}.png", (3, 2), (5, 7))
    assert gaze_splits(tmp_path) == ("train", "val")
    train = open_gaze(tmp_path, "train")
    assert train.names == ["a", "b"] and open_gaze(tmp_path).names == ["a", "b", "c"]
    assert train.fixations("b").tolist() == [[3, 2], [5, 7]]
    assert train.density("a").max() == pytest.approx(191 / 255)
    with pytest.raises(ValueError, match=r"split must be one of train, val for .*, got 'test'"):
        open_gaze(tmp_path, "test")


def test_salicon(tmp_path):
    for name in ("COCO_1", "COCO_2"):
        picture(tmp_path / "images/train" / f"{name}.jpg")
        density(tmp_path / "maps/train" / f"{name}.png")
        (tmp_path / "fixations/train").mkdir(parents=True, exist_ok=True)
        gaze = np.array([{"fixations": np.array([[1, 1], [16, 12]])}, {"fixations": np.zeros((0, 2))}], dtype=object)
        scipy.io.savemat(tmp_path / "fixations/train" / f"{name}.mat", {"gaze": gaze, "image": name})
    data = open_gaze(tmp_path, "train")
    assert data.fixations("COCO_2").tolist() == [[0, 0], [15, 11]]


def test_a_students_folder_with_one_table(tmp_path):
    picture(tmp_path / "images/a.png")
    picture(tmp_path / "images/b.png")
    (tmp_path / "fixations.csv").write_text("image,x,y\na.png,3,2\nb.png,5,7\na.png,4,4\n")
    data = open_gaze(tmp_path)
    assert data.names == ["a", "b"] and gaze_splits(tmp_path) == ()
    assert data.fixations("a").tolist() == [[3, 2], [4, 4]]
    with pytest.raises(ValueError, match=r"split must be None for .*Use GazeDataset\.split"):
        open_gaze(tmp_path, "train")


def archive(path, names, rows, size, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = dict(zip(("img", "x", "y"), np.array(rows, float).T, strict=True))
    columns["img"] = columns["img"].astype(np.int16)
    np.savez(path, names=np.array(names), **columns, **size, **more)


def test_compact_archives_are_scaled_to_the_staged_images(tmp_path):
    for number in (1001, 1500, 1501):
        picture(tmp_path / "images" / f"{number}.jpg", (60, 80))
    rows = [(0, 395.5, 265.4), (2, 1.2, 600.0), (0, 800.0, 1.0), (1, 400.0, 300.0)]
    names = ["1001.jpg", "1500.jpg", "1501.jpg"]
    archive(tmp_path / "fixations.npz", names, rows, {"size_wh": np.array([800, 600])}, subject=np.array([3, 1, 4, 1]))
    assert gaze_splits(tmp_path) == ("train", "test")
    data = open_gaze(tmp_path, "train")
    assert data.names == ["1001", "1500"] and open_gaze(tmp_path, "test").names == ["1501"]
    np.testing.assert_allclose(data.fixations("1001"), [[39.5, 26.49], [79.95, 0.05]], rtol=1e-5)
    assert data.subjects("1001").tolist() == [3, 4]
    # At the size of the stimuli, the pixel is the authors' round(x), less one.
    (tmp_path / "full/images").mkdir(parents=True)
    Image.new("RGB", (800, 600)).save(tmp_path / "full/images/1001.jpg")
    archive(tmp_path / "full/fixations.npz", ["1001.jpg"], rows[:1], {"size_wh": np.array([800, 600])})
    assert open_gaze(tmp_path / "full").fixations(0).astype(int).tolist() == [[395, 264]]


def test_compact_salicon_counts_from_zero(tmp_path):
    picture(tmp_path / "images/a.jpg")
    archive(tmp_path / "fixations.npz", ["a.jpg"], [(0, 0, 0), (0, 31, 23)], {"sizes_wh": np.array([[32, 24]])})
    assert open_gaze(tmp_path / "fixations.npz").fixations(0).tolist() == [[0.25, 0.25], [15.75, 11.75]]


@pytest.mark.parametrize(("stimulus", "name"), [((600, 800), "1001"), ((768, 1024), "001")], ids=["OSIE", "crowd"])
def test_one_matlab_file_for_all_images(tmp_path, stimulus, name):
    picture(tmp_path / "stimuli" / f"{name}.jpg", (stimulus[0] // 4, stimulus[1] // 4))
    far = {"fix_x": np.array([1.0, stimulus[1] + 0.4]), "fix_y": np.array([1.0, stimulus[0] + 0.3])}
    subjects = np.empty((1, 1), object)
    subjects[0, 0] = far
    images = np.empty((1, 1), object)
    images[0, 0] = {"img": f"{name}.jpg", "subjects": subjects}
    more = np.empty((2, 1), object)
    more[0, 0], more[1, 0] = images[0, 0], {"img": "another.jpg", "subjects": subjects}
    scipy.io.savemat(tmp_path / "fixations.mat", {"fixations": more})
    data = open_gaze(tmp_path, missing="skip")
    last = [stimulus[1] / 4 - 0.125, stimulus[0] / 4 - 0.125]
    np.testing.assert_allclose(data.fixations(name), [[0.125, 0.125], last], rtol=1e-6)


def test_files_without_their_counterpart_are_all_named(tmp_path):
    for name in "abc":
        picture(tmp_path / "images" / f"{name}.png")
    for name in "bcd":
        density(tmp_path / "maps" / f"{name}.png")
    for name in "ab":
        marks(tmp_path / "fixations" / f"{name}.png", (1, 1))
    with pytest.raises(ValueError) as caught:
        open_gaze(tmp_path)
    for line in ("images without fixations: c", "images without density: a", "density without an image: d"):
        assert line in str(caught.value)
    assert 'missing="skip"' in str(caught.value)
    assert open_gaze(tmp_path, missing="skip").names == ["b"]
    assert open_gaze(tmp_path, missing="skip").density("b").shape == SHAPE


def test_one_table_for_all_splits(tmp_path):
    for split, name in (("train", "a"), ("val", "b")):
        picture(tmp_path / "images" / split / f"{name}.png")
    (tmp_path / "fixations.csv").write_text("image,x,y\na,3,2\nb,5,7\n")
    assert open_gaze(tmp_path, "val").names == ["b"]
    picture(tmp_path / "images/val/c.png")
    with pytest.raises(ValueError, match="images without fixations: c"):
        open_gaze(tmp_path, "val")


def test_what_is_no_gaze_data(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder or file"):
        open_gaze(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ValueError, match=r"must have a folder images or stimuli .*got notes\.txt"):
        open_gaze(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(ValueError, match="must have images, got none"):
        open_gaze(tmp_path)
    picture(tmp_path / "images/a.png")
    with pytest.raises(ValueError, match="got only images"):
        open_gaze(tmp_path)
    picture(tmp_path / "images/a.jpg")
    with pytest.raises(ValueError, match="must have images of different names"):
        open_gaze(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros(3)}, "the same length"),
        ({"img": np.array([0, 7])}, "img must be in 0..0, got 0..7"),
        ({"names": None}, "must have the arrays names"),
        ({"size_wh": None}, "must have the arrays size_wh or sizes_wh"),
    ],
)
def test_archives_that_do_not_fit(tmp_path, change, message):
    picture(tmp_path / "images/a.png")
    arrays = {"names": np.array(["a.png"]), "img": np.array([0, 0]), "x": np.ones(2), "y": np.ones(2)}
    arrays |= {"size_wh": np.array([16, 12])} | change
    np.savez(tmp_path / "fixations.npz", **{key: value for key, value in arrays.items() if value is not None})
    with pytest.raises(ValueError, match=message):
        open_gaze(tmp_path)


def test_damaged_archive(tmp_path):
    picture(tmp_path / "images/a.png")
    (tmp_path / "fixations.npz").write_bytes(b"PK broken")
    with pytest.raises(ValueError, match="cannot be read as an npz"):
        open_gaze(tmp_path)


def test_the_real_data(data_folder):
    for name, splits, fixations in (
        ("osie", {"train": 500, "test": 200}, 98_321),
        ("crowd", {"train": 400, "test": 100}, 126_348),
    ):
        data = open_gaze(data_folder / name)
        assert {split: len(open_gaze(data_folder / name, split)) for split in splits} == splits
        assert sum(len(data.fixations(index)) for index in range(len(data))) == fixations
    osie = open_gaze(data_folder / "osie", "test")
    assert osie.names[0] == "1501" and osie.sizes[0] == (240, 320)
    assert np.unique(osie.subjects(0)).size == 15
