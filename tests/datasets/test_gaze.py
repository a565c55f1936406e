"""Gaze data sets: what is read, how coordinates, maps and densities relate, and what is said of bad ones."""

import numpy as np
import pytest
from PIL import Image

from kerasal import metrics
from kerasal.datasets import Density, FixationMap, GazeDataset

RANDOM = np.random.default_rng(0)


def images(count=4, shape=(12, 16)):
    return [RANDOM.integers(0, 256, (*shape, 3)).astype(np.uint8) for _ in range(count)]


def points(count=4, shape=(12, 16), each=5):
    return [RANDOM.uniform(0, (shape[1], shape[0]), (each, 2)) for _ in range(count)]


def test_fixations_maps_and_densities_agree():
    data = GazeDataset(images(1), [np.array([[3.7, 2.2], [3.1, 2.9], [15.9, 11.9]])])
    counts = data.fixation_map(0)
    assert (counts[2, 3], counts[11, 15], counts.sum()) == (2, 1, 3)
    assert data.fixation_map(0, binary=True).sum() == 2
    assert data.fixation_map(0, (6, 8))[1, 1] == 2
    np.testing.assert_allclose(data.fixations(0), [[3.7, 2.2], [3.1, 2.9], [15.9, 11.9]], rtol=1e-6)
    blurred = metrics.blur_fixations(np.asarray(counts), 2.0)
    np.testing.assert_allclose(data.density(0, sigma=2.0), blurred / blurred.max(), atol=1e-6)
    default = metrics.blur_fixations(np.asarray(counts), 0.03 * 16)
    np.testing.assert_allclose(data.density(0), default / default.max(), atol=1e-6)
    assert data.density(0, (6, 8)).shape == (6, 8)
    assert data.image(0).dtype == np.uint8


def test_the_two_kinds_of_map_are_not_taken_for_one_another():
    data = GazeDataset(images(1), points(1))
    counts, density = data.fixation_map(0), data.density(0)
    assert isinstance(counts, FixationMap) and counts.kind == "fixations"
    assert isinstance(density, Density) and density.kind == "density"
    saliency = np.asarray(data.density(0, sigma=3.0))
    assert metrics.nss(saliency, counts) > 0
    assert metrics.nss(saliency, counts) == metrics.nss(saliency, np.asarray(counts))
    whole = np.rint(density * 3).view(Density)  # whole numbers, so that only the type tells
    for metric in (metrics.nss, metrics.auc, metrics.auc_judd):
        with pytest.raises(ValueError, match="must be fixations, got a density"):
            metric(saliency, whole)
    assert metrics.cc(saliency, density) > 0.1


def test_maps_of_fixations_and_stored_densities():
    counts = np.zeros((12, 16), np.uint8)
    counts[2, 3] = counts[5, 6] = 255
    stored = (RANDOM.random((12, 16)) * 255).astype(np.uint8)
    data = GazeDataset(images(1), [counts], [stored])
    assert data.fixations(0).tolist() == [[3, 2], [6, 5]]
    np.testing.assert_allclose(data.density(0), stored / 255, atol=1e-6)
    assert data.density(0, sigma=1.0).max() == 1 and data.density(0, sigma=1.0)[2, 3] > 0.9
    np.testing.assert_allclose(data.density(0, (6, 8))[0, 0], (stored / 255)[:2, :2].mean(), atol=1e-5)
    np.testing.assert_allclose(GazeDataset(images(1), None, [stored * 257.0]).density(0).max(), 1, atol=1e-6)
    assert GazeDataset(images(1), None, [stored]).fixations(0) is None


def test_functions_and_files_are_read_when_asked_for(tmp_path):
    asked = []
    Image.fromarray(images(1)[0]).save(tmp_path / "a.png")
    data = GazeDataset([tmp_path / "a.png"], [lambda: asked.append(1) or np.array([[1, 2]])])
    assert data.names == ["a"] and data.sizes == [(12, 16)] and not asked
    assert data.fixations("a").tolist() == [[1, 2]] and asked
    (tmp_path / "a.png").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"Image 'a': .*a\.png must be an image"):
        data.image("a")


def test_the_size_of_a_turned_photograph(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(images(1)[0]).save(tmp_path / "a.jpg", exif=exif)
    data = GazeDataset([tmp_path / "a.jpg"], [np.array([[11, 15]])])
    assert data.sizes == [(16, 12)] == [data.image(0).shape[:2]]
    assert data.fixation_map(0)[15, 11] == 1


def test_subsets_and_splits():
    data = GazeDataset(images(10), points(10), names=[f"n{i}" for i in range(10)])
    assert data.subset(["n3", "n1"]).names == ["n3", "n1"]
    assert data.subset(np.array([4, 2])).names == ["n4", "n2"]
    train, validation = data.split(0.7, seed=1)
    assert (len(train), len(validation)) == (7, 3)
    assert sorted(train.names + validation.names) == data.names
    assert train.names == data.split(0.7, seed=1)[0].names != data.split(0.7, seed=2)[0].names
    with pytest.raises(ValueError, match="must leave images in both parts"):
        data.split(0.99)
    with pytest.raises(ValueError, match=r"Unknown .*'n33'.*There is n0, n1"):
        data.subset(["n33"])


def test_images_with_nothing_to_train_on_are_named():
    some = points(5)
    some[1], some[3] = np.zeros((0, 2)), np.zeros((12, 16))
    data = GazeDataset(images(5), some)
    assert list(data.unusable_images()) == ["00001", "00003"]
    assert data.without_empty().names == ["00000", "00002", "00004"]
    with pytest.raises(
        ValueError, match=r"Image '00001' must have fixations, got none\. Leave it out with without_empty"
    ):
        data.density(1)
    zero = GazeDataset(images(2), None, [np.zeros((12, 16)), np.ones((12, 16))])
    assert zero.unusable_images() == {"00000": "density must have positive values, got 0 everywhere"}
    with pytest.raises(ValueError, match="Image '00000': density must have positive values, got 0 everywhere"):
        zero.density(0)
    assert "unusable      1" in zero.describe()


@pytest.mark.parametrize(
    ("gaze", "message"),
    [
        (
            {"fixations": [np.array([[3.0, 20.0]])]},
            r"Image 'a': coordinates must have 0 <= x < 16 .*got 1 outside, such as \(3, 20\)",
        ),
        ({"fixations": [np.array([[3.0, np.nan]])]}, "Image 'a': coordinates must be finite"),
        (
            {"fixations": [np.full((12, 16), 0.3) + np.eye(12, 16)]},
            r"Image 'a': a map must have integer numbers.*density",
        ),
        ({"fixations": [np.zeros((3, 4, 5))]}, "Image 'a': fixations must be a map"),
        ({"densities": [np.full((12, 16), -1.0)]}, "Image 'a': density must be non-negative"),
        ({"densities": [np.full((12, 16), np.inf)]}, "Image 'a': density must have finite values"),
        (
            {"densities": [np.ones((12, 12))]},
            "density of image 'a' must have the aspect ratio of its size 12 x 16 .*got 12 x 12",
        ),
    ],
)
def test_bad_gaze_names_its_image(gaze, message):
    data = GazeDataset(images(1), **gaze, names=["a"])
    with pytest.raises(ValueError, match=message):
        data.density(0)


def test_fixations_outside_can_be_dropped():
    data = GazeDataset(images(1), [np.array([[3, 20], [4, 5], [16.5, 3]])], outside="drop")
    assert data.fixations(0).tolist()[0] == [4, 5]
    assert data.fixation_map(0).sum() == 2 and data.fixation_map(0)[3, 15] == 1  # half a pixel outside is the edge


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": []}, "images must not be empty"),
        ({"images": images(2), "fixations": points(3)}, "fixations must have a value for each of the 2 images, got 3"),
        ({"images": images(2)}, "must have fixations or a density, got neither for 00000, 00001"),
        ({"images": images(2), "fixations": points(2), "names": ["a", "a"]}, "names must be unique, got 'a'"),
        ({"images": [np.zeros((4, 4, 3))], "fixations": points(1)}, "must be uint8"),
        (
            {"images": images(1), "fixations": points(1), "outside": "no"},
            "outside must be one of error, drop, got 'no'",
        ),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        GazeDataset(**arguments)


def test_the_description_tells_a_center_bias_from_none():
    def described(spread):
        random = np.random.default_rng(3)
        at = [np.clip(random.normal(0.5, spread, (200, 2)), 0, 0.99) * (64, 48) for _ in range(5)]
        return GazeDataset(images(5, (48, 64)), at).describe()

    lines = {line[:12].strip(): line[14:] for line in described(0.1).splitlines()}
    assert lines["images"].startswith("5, height x width 48 x 64 (5)")
    assert lines["fixations"].startswith("1,000, 200 to 200 per image")
    distance, even = (float(described(spread).split("mean distance ")[1][:5]) for spread in (0.1, 5.0))
    assert distance == pytest.approx(0.1 * np.sqrt(np.pi / 2), rel=0.1)  # the mean of a Rayleigh distribution
    assert even > 0.3
    likeness = [float(described(spread).split("r = ")[1].split(";")[0]) for spread in (0.15, 5.0)]
    assert likeness[0] > 0.7 > likeness[1]


def test_sets_are_joined_and_equal_names_told_apart():
    first, second = GazeDataset(images(2), points(2)), GazeDataset(images(3), points(3), names=["00000", "a", "b"])
    both = first.concatenate(second)
    assert both.names == ["00000", "00001", "2/00000", "a", "b"]
    np.testing.assert_array_equal(both.image("2/00000"), second.image("00000"))
    np.testing.assert_array_equal(both.fixations("b"), second.fixations("b"))
    assert first.concatenate().names == first.names


def test_a_file_that_ends_within_its_head_is_named(tmp_path):
    Image.fromarray(images(1)[0]).save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:100])
    data = GazeDataset([tmp_path / "whole.jpg", tmp_path / "cut.jpg"], points(2))
    with pytest.raises(ValueError, match=r"Image 'cut'.*cut\.jpg"):
        _ = data.sizes
