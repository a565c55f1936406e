"""The teacher's averages and labels, and the distillation that learns from them, on a few generated photos."""

import pathlib
import sys
import types

import numpy as np
import pandas as pd
import pytest
import scipy.ndimage

from kerasal import gaze, images
from kerasal.datasets import open_gaze
from kerasal.layers import LogDensity

import keras

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))
import gaze_scales
import gaze_student
import gaze_teacher
import gaze_teacher_data


@pytest.fixture
def photos():
    return list(np.random.default_rng(0).integers(0, 255, (2, 240, 320, 3), np.uint8))


def make_predictor(seed, stride):
    initializer = keras.initializers.RandomNormal(stddev=0.3, seed=seed)
    inputs = keras.Input((240, 320, 3))
    scores = keras.layers.Conv2D(1, stride, strides=stride, kernel_initializer=initializer)(inputs)
    scores = keras.layers.Reshape((240 // stride, 320 // stride))(scores)
    return gaze.Predictor(keras.Model(inputs, LogDensity()(scores)), "unit")


def test_the_average_is_that_of_the_log_densities(photos):
    first, second = make_predictor(0, 20), make_predictor(1, 20)
    average = list(gaze_teacher_data.AveragedPredictor([first, second], mirrored=False).raw(photos))
    product = [np.sqrt(one * other) for one, other in zip(first.raw(photos), second.raw(photos), strict=True)]
    np.testing.assert_allclose(average, [values / values.max() for values in product], rtol=1e-4)
    coarse = gaze_teacher_data.AveragedPredictor([first, make_predictor(1, 40)], mirrored=False)
    assert next(coarse.raw(photos)).shape == (12, 16)


def test_the_map_of_the_mirror_image_is_mirrored(photos):
    predictor = make_predictor(0, 20)
    flipped = [photo[:, ::-1] for photo in photos]
    both = gaze_teacher_data.AveragedPredictor([predictor], mirrored=True)
    np.testing.assert_allclose(list(both.raw(photos)), [values[:, ::-1] for values in both.raw(flipped)], rtol=1e-5)
    one = gaze_teacher_data.AveragedPredictor([predictor], mirrored=False)
    assert np.abs(next(one.raw(photos)) - next(one.raw(flipped))[:, ::-1]).max() > 0.1


def test_photos_are_spread_over_a_folder(tmp_path):
    for number in range(10):
        images.write(tmp_path / "a" / f"{number}.png", np.zeros((8, 8, 3), np.uint8))
    assert [name for name, _ in gaze_teacher_data.photos_of([tmp_path / "a"], 4)] == ["a-0", "a-3", "a-6", "a-9"]
    assert len(gaze_teacher_data.photos_of([tmp_path / "a"])) == 10
    others = gaze_teacher_data.photos_of([tmp_path / "a"], 3, without=["a-0", "a-1", "b-2"])
    assert [name for name, _ in others] == ["a-2", "a-6", "a-9"]
    images.write(tmp_path / "b" / "a" / "3.png", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(SystemExit, match="must have different names, got a-3 twice"):
        gaze_teacher_data.photos_of([tmp_path / "a", tmp_path / "b" / "a"])


@pytest.fixture
def folders(tmp_path, photos):
    """A folder with gaze for two photos, and one with the labels of these and of a third photo."""
    for name, photo in zip("12", photos, strict=True):
        images.write(tmp_path / "gaze" / "images" / f"{name}.png", photo)
    points = pd.DataFrame({"image": ["1", "1", "2", "2"], "x": [5, 9, 300, 200], "y": [5, 9, 200, 100]})
    points.to_csv(tmp_path / "gaze" / "fixations.csv", index=False)
    images.write(tmp_path / "more" / "3.png", np.full((300, 300, 3), 99, np.uint8))
    data = open_gaze(tmp_path / "gaze")
    listed = gaze_teacher_data.photos_in(data) + gaze_teacher_data.photos_of([tmp_path / "more"])
    gaze_teacher_data.label(make_predictor(0, 20), listed, tmp_path / "labels")
    return types.SimpleNamespace(data=data, labels=tmp_path / "labels", listed=listed)


def test_labels_are_gaze_data_and_are_not_made_twice(folders, photos):
    labels = open_gaze(folders.labels)
    assert list(labels.names) == ["more-3", "train-1", "train-2"]
    np.testing.assert_array_equal(labels.image("train-2"), photos[1])
    expected = next(make_predictor(0, 20).raw([photos[0]]))
    np.testing.assert_allclose(labels.density("train-1", (12, 16)), expected, atol=1e-6)
    times = [path.stat().st_mtime_ns for path in sorted(folders.labels.rglob("*.*"))]
    gaze_teacher_data.label(make_predictor(1, 20), folders.listed, folders.labels)
    assert [path.stat().st_mtime_ns for path in sorted(folders.labels.rglob("*.*"))] == times


def test_parts_lie_within_their_photo_and_stay_the_same(folders, photos):
    parts = gaze_teacher_data.parts_of(folders.data, 20)
    assert [name for name, _ in parts] == [f"part{number}-{name}" for name in "12" for number in range(20)]
    first = [part() for _, part in parts[:20]]
    scales = np.array([pixels.shape[:2] for pixels in first]) / photos[0].shape[:2]
    assert scales.min() > 0.49 and scales.max() < 0.91 and np.ptp(scales) > 0.3
    np.testing.assert_allclose(scales[:, 0], scales[:, 1], atol=0.004)
    places = {
        tuple(np.argwhere((photos[0] == pixels[0, 0]).all(-1) & (photos[0] != 0).any(-1))[0]): pixels
        for pixels in first
    }
    assert len(places) > 15
    for (row, column), pixels in places.items():
        np.testing.assert_array_equal(photos[0][row : row + len(pixels), column : column + pixels.shape[1]], pixels)
    again = [part() for _, part in gaze_teacher_data.parts_of(folders.data, 21)[:20]]
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))


@pytest.mark.parametrize("others", [[], ["--label", "more", "--densities", "new", "--not-in", "labels"]])
def test_parts_that_would_be_left_out_are_an_error(monkeypatch, capsys, others):
    monkeypatch.setattr(sys, "argv", ["gaze_teacher.py", "osie", "crowd", "dinov2.py", "--parts", "2", *others])
    with pytest.raises(SystemExit):
        gaze_teacher.main()
    assert "--parts must be given with --label and without --not-in" in capsys.readouterr().err


def test_photos_to_compare_with_are_of_the_same_folders(folders, tmp_path):
    images.write(tmp_path / "other" / "4.png", np.full((300, 300, 3), 99, np.uint8))
    listed = gaze_teacher_data.photos_of([tmp_path / "more", tmp_path / "other"])
    gaze_teacher_data.label(make_predictor(0, 20), listed, folders.labels)
    labels = open_gaze(folders.labels)
    assert list(gaze_teacher_data.photos_like(labels, labels.subset(["other-4"])).names) == ["other-4"]
    assert list(gaze_teacher_data.photos_like(labels, labels.subset(["more-3", "other-4"])).names) == [
        "more-3",
        "other-4",
    ]


def test_only_the_recorded_photos_have_a_truth(folders):
    student = gaze_student.Photos(open_gaze(folders.labels), folders.data)
    assert student.known.tolist() == [False, True, True]
    np.testing.assert_array_equal(student.targets[..., 2].sum((1, 2)), [0, 2, 2])
    assert (student.targets[..., 0].max((1, 2)) > 0).all() and not student.targets[0, ..., 1].any()
    for path in folders.labels.rglob("train-1.*"):
        path.unlink()
    with pytest.raises(SystemExit, match="must contain the 2 training images, got none for train-1"):
        gaze_student.Photos(open_gaze(folders.labels), folders.data)


def test_photos_of_another_size_have_maps_of_an_eighth_of_it(folders, photos):
    student = gaze_student.Photos(open_gaze(folders.labels), folders.data, (336, 448))
    assert student.pixels.shape == (3, 336, 448, 3) and student.targets.shape == (3, 42, 56, 3)
    np.testing.assert_array_equal(student.pixels[1], images.resize(photos[0], (336, 448)))
    np.testing.assert_array_equal(student.targets[..., 2].sum((1, 2)), [0, 2, 2])


@pytest.mark.slow
def test_the_blur_is_made_wider_and_two_sizes_are_averaged(photos):
    wider = gaze_scales.make_predictor((240, 320), 1.4)
    rows = gaze_scales.predictors()
    plain, smaller = rows["336 × 448"], rows["240 × 320"]
    assert list(rows)[-1] == "336 × 448", "differences are from the last"
    sigmas = [np.exp(row.model.get_layer("blur").get_weights()[0]) for row in (plain, wider)]
    assert sigmas[1] / sigmas[0] == pytest.approx(1.4)
    assert next(wider.raw(photos[:1])).shape == (30, 40)
    logs = [np.log(next(row.raw(photos[:1]))) for row in (plain, smaller, rows["240 × 320 and 336 × 448"])]
    mean = (logs[0] + images.resize(logs[1], (42, 56))) / 2
    assert np.corrcoef(logs[2].ravel(), mean.ravel())[0, 1] > 0.999


def test_a_map_that_is_too_high_and_too_far_right_is_moved_down_and_left(capsys):
    bump = np.zeros((40, 50), np.float32)
    bump[17, 22] = 1
    bump = scipy.ndimage.gaussian_filter(bump, 3)
    points = np.zeros((40, 50))
    points[20, 20] = 1
    data = types.SimpleNamespace(names=["a"], image=lambda name: None, fixation_map=lambda name: points)
    gaze_scales.print_shifts({"moved": types.SimpleNamespace(raw=lambda photos: [bump for _ in photos])}, data)
    text = capsys.readouterr().out
    assert text.startswith("moved: NSS ") and "moved down by +3 (" in text and "to the right by -2 (" in text


def test_every_photo_is_drawn_before_one_is_drawn_again():
    draws = gaze_student.draw(np.arange(5, 11), 3, np.random.default_rng(0))
    for _ in range(3):
        assert sorted(np.concatenate([next(draws), next(draws)])) == [5, 6, 7, 8, 9, 10]
    assert next(gaze_student.draw(np.arange(0), 0, np.random.default_rng(0))).shape == (0,)


def test_the_table_has_the_differences_of_the_same_images(folders, capsys):
    rows = {"one": make_predictor(0, 20), "other": make_predictor(1, 20)}
    gaze_teacher_data.print_scores("two photos", rows, folders.data)
    lines = [line.split("│")[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("│ o")]
    one, other, difference = ([float(cell.split(" ± ")[0]) for cell in line[1:]] for line in lines)
    np.testing.assert_allclose(np.subtract(one, other), difference, atol=2e-3)
    assert [line[0].strip() for line in lines] == ["one", "other", "one"]


def test_the_distance_from_the_teacher_is_0_for_the_teacher(folders, capsys):
    rows = {"other": make_predictor(1, 20), "one": make_predictor(0, 20)}
    gaze_teacher_data.print_distances("two photos", rows, open_gaze(folders.labels).subset([1, 2]))
    lines = [line.split("│")[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("│ o")]
    other, one, difference = ([float(cell.split(" ± ")[0]) for cell in line[1:]] for line in lines)
    assert one[0] > 0.99 and one[1] < 0.01 and other[0] < 0.9 and other[1] > 0.05
    np.testing.assert_allclose(np.subtract(other, one), difference, atol=2e-3)


@pytest.mark.slow
def test_each_ingredient_can_be_left_out(folders, tmp_path):
    def train(without, change=lambda photos: None, **options):
        photos = gaze_student.Photos(open_gaze(folders.labels), folders.data)
        change(photos)
        path = tmp_path / "weights.npz"
        settings = {"steps": 2, "rate": 1e-2, "seed": 0, "path": path, **options}
        gaze_student.train(photos, folders.data, without=without, **settings)
        with np.load(path) as file:
            return np.concatenate([file[name].ravel() for name in file.files]).astype(np.float32)

    def other_teacher(photos):
        photos.targets[..., 0] = photos.targets[:, ::-1, :, 0]

    def other_image(photos):
        photos.pixels[0] = 0

    everything = train([])
    np.testing.assert_array_equal(train([]), everything)
    assert (train([], other_teacher) != everything).any()
    assert (train([], other_image) != everything).any()
    np.testing.assert_array_equal(train(["teacher"], other_teacher), train(["teacher"]))
    np.testing.assert_array_equal(train(["unlabeled"], other_image), train(["unlabeled"]))
    np.testing.assert_array_equal(train([], other_image, share=1), train([], share=1))
    assert (train([], weights="distilled") != everything).any()
    for part in gaze_student.INGREDIENTS:
        assert (train([part]) != everything).any(), part
