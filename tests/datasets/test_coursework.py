"""The coursework's pickles: both layouts, channel first and last, written and read again."""

import pickle

import numpy as np
import pytest

from kerasal.datasets import GazeDataset, gaze_splits, open_gaze, read_coursework, write_coursework

RANDOM = np.random.default_rng(5)
SMALL, WHOLE = (96, 96), (60, 80)


def sample(name="a", *, last=False, scale=1.0, originals=False, kind=np.float64):
    image = RANDOM.integers(0, 256, (*SMALL, 3))
    truth = RANDOM.random((48, 48))
    made = {"X": image if last else np.moveaxis(image, -1, 0), "y": truth * scale, "file_name": name}
    made["X"] = (made["X"] / 255 * scale).astype(kind)
    if originals:
        whole = RANDOM.integers(0, 256, (*WHOLE, 3))
        made["X_original"] = whole if last else np.moveaxis(whole, -1, 0)
        made["y_original"] = (RANDOM.random(WHOLE) < 0.02).astype(float)
    return image, truth, made


@pytest.mark.parametrize("last", [False, True], ids=["channels first", "last"])
@pytest.mark.parametrize(
    ("scale", "kind"), [(1.0, np.float64), (1.0, np.float32), (255.0, np.float32), (255.0, np.uint8)]
)
def test_training_layout(tmp_path, last, scale, kind):
    image, truth, made = sample(last=last, scale=scale)
    made["X"] = np.rint(made["X"]).astype(kind) if scale > 1 else made["X"].astype(kind)
    (tmp_path / "train.pkl").write_bytes(pickle.dumps([made]))
    data = open_gaze(tmp_path / "train.pkl")
    np.testing.assert_array_equal(data.image("a"), image)
    np.testing.assert_allclose(data.density("a", (48, 48)), truth, atol=1e-6)
    assert data.fixations("a") is None


@pytest.mark.parametrize("last", [False, True], ids=["channels first", "last"])
def test_validation_layout(tmp_path, last):
    image, truth, made = sample(last=last, originals=True)
    (tmp_path / "val.pkl").write_bytes(pickle.dumps([made]))
    data = open_gaze(tmp_path, "val")
    assert data.image(0).shape == (*WHOLE, 3)
    np.testing.assert_array_equal(data.fixation_map(0), made["y_original"])
    np.testing.assert_allclose(data.density(0, (48, 48)), truth, atol=1e-6)
    np.testing.assert_array_equal(data.stimulus(0).small, image)
    images, maps = next(iter(data.to_tf_data(SMALL, (48, 48), batch=1)))
    np.testing.assert_array_equal(images[0], image)  # X itself, not the original shrunk
    np.testing.assert_allclose(maps[0], truth, atol=1e-6)


def test_rows_continuous_originals_and_repeated_names(tmp_path):
    made = [sample("a")[2], sample("a", originals=True)[2]]
    row = made[0]["y"] = made[0]["y"].reshape(-1)
    made[1]["y_original"] = RANDOM.random(WHOLE) * 0.9
    (tmp_path / "val.pkl").write_bytes(pickle.dumps(made))
    data = open_gaze(tmp_path)
    assert data.names == ["a", "a_2"]
    np.testing.assert_allclose(data.density(0, (48, 48)).reshape(-1), row, atol=1e-6)
    assert data.fixations(1) is None
    np.testing.assert_allclose(data.density(1), made[1]["y_original"], atol=1e-6)


@pytest.mark.parametrize("channels", ["first", "last"])
def test_written_and_read_again(tmp_path, channels):
    images = [RANDOM.integers(0, 256, (*WHOLE, 3)).astype(np.uint8) for _ in range(3)]
    at = [RANDOM.uniform(0, WHOLE[::-1], (9, 2)) for _ in range(3)]
    data = GazeDataset(images, at, names=["a", "b", "c"])
    write_coursework(data, tmp_path / "val.pkl", originals=True, mirror=True, channels=channels)
    with (tmp_path / "val.pkl").open("rb") as file:
        plain = pickle.load(file)  # any program's own reader understands it
    assert [one["file_name"] for one in plain] == ["a", "a_mirrored", "b", "b_mirrored", "c", "c_mirrored"]
    assert plain[0]["X"].shape == ((3, *SMALL) if channels == "first" else (*SMALL, 3))
    assert plain[0]["X"].dtype == plain[0]["y"].dtype == np.float32
    assert gaze_splits(tmp_path) == ("val",)
    again = open_gaze(tmp_path, "val")
    for name in data.names:
        np.testing.assert_array_equal(again.image(name), data.image(name))
        np.testing.assert_array_equal(again.image(f"{name}_mirrored"), data.image(name)[:, ::-1])
        np.testing.assert_array_equal(again.fixation_map(name), data.fixation_map(name, binary=True))
        mirrored = again.density(f"{name}_mirrored", (48, 48))
        np.testing.assert_allclose(mirrored, data.density(name, (48, 48))[:, ::-1], atol=1e-6)


def test_nothing_is_left_of_a_file_that_cannot_be_finished(tmp_path):
    data = GazeDataset([np.zeros((8, 8, 3), np.uint8)] * 2, [np.array([[1, 1]]), np.zeros((0, 2))])
    with pytest.raises(ValueError, match="'00001' must have fixations"):
        write_coursework(data, tmp_path / "train.pkl")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="channels must be one of first, last, got"):
        write_coursework(data, tmp_path / "train.pkl", channels="middle")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": None}, "sample 1 .*y must be a map"),
        ({"X": RANDOM.random((96, 96))}, r"sample 1 .*X must be an image of three dimensions"),
        ({"X": RANDOM.random((5, 9, 9))}, "3 channels first or last"),
        ({"X": RANDOM.normal(size=(3, 96, 96))}, r"0\.\.1 or 0\.\.255"),
        ({"X": np.full((3, 96, 96), np.nan)}, "NaN"),
        ({"y": np.zeros(2303)}, "square map, got 2303"),
        (
            {"X_original": np.zeros((3, 9, 9)), "y_original": np.zeros((9, 8))},
            r"y_original must have the shape \(9, 9\) of its image, got \(9, 8\)",
        ),
    ],
)
def test_bad_samples_are_named(tmp_path, change, message):
    (tmp_path / "train.pkl").write_bytes(pickle.dumps([sample("a")[2], sample("b")[2] | change]))
    with pytest.raises(ValueError, match=message):
        open_gaze(tmp_path)


def test_what_is_no_coursework_pickle(tmp_path):
    for value in ({"X": 1}, [], [3], [{"X": np.zeros((3, 4, 4))}]):
        (tmp_path / "train.pkl").write_bytes(pickle.dumps(value))
        with pytest.raises(ValueError, match=r"must (have a list|be a dict)"):
            read_coursework(tmp_path / "train.pkl")


def test_an_empty_density_is_found_later(tmp_path):
    made = [sample("a")[2], sample("b")[2]]
    made[1]["y"][:] = 0
    (tmp_path / "train.pkl").write_bytes(pickle.dumps(made))
    assert list(open_gaze(tmp_path).unusable_images()) == ["b"]


@pytest.mark.parametrize(("high", "expected"), [(1.0, 255), (200.0, 200), (255.4, 255), (1.2, None), (256.0, None)])
def test_ranges_of_an_image(high, expected, tmp_path):
    """1.2 times 255 is 306, which was 50 as a byte."""
    image = np.full((3, 8, 8), high / 2, np.float32)
    image[0, 0, 0] = high
    sample = {"X": image, "y": np.eye(4, dtype=np.float32), "file_name": "1"}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([sample]))
    if expected is None:
        with pytest.raises(ValueError, match=r"images must be in 0\.\.1 or 0\.\.255, got values"):
            read_coursework(tmp_path / "a.pkl")
    else:
        assert read_coursework(tmp_path / "a.pkl")[0].small.max() == expected
