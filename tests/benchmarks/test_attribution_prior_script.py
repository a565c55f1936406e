"""The planted cue and the gaze prior: what the scripts train on, and what their tables print."""

import importlib.util
import pathlib
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))


def script(name):
    spec = importlib.util.spec_from_file_location(f"{name}_script", ROOT / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


prior = script("attribution_prior")


def test_the_cue_says_the_class_in_its_share_of_the_images():
    random = np.random.default_rng(0)
    digits, labels = random.integers(0, 256, (400, 28, 28), np.uint8), random.integers(0, 10, 400)
    for share, low, high in ((1.0, 1, 1), (0.5, 0.45, 0.65)):
        sample = prior.Sample.draw(digits, labels, 1, 200, share)
        cues = sample.images[:, :4, :4, 0] * 10 - 1
        assert (np.ptp(cues, axis=(1, 2)) == 0).all()
        assert low <= (np.abs(cues[:, 0, 0] - sample.labels) < 1e-4).mean() <= high
        assert (np.abs(sample.erased[:, 0, 0, 0] * 10 - 1 - sample.labels) < 1e-4).mean() < 0.05
        np.testing.assert_array_equal(sample.images[:, 4:], sample.erased[:, 4:])


def test_the_other_mask_has_the_same_area_and_does_not_touch_the_cue():
    random = np.random.default_rng(0)
    for _ in range(200):
        mask = prior.elsewhere(random)
        assert mask.sum() == prior.CORNER.sum() and (mask * prior.CORNER).sum() == 0


def test_differences_are_paired_with_the_models_without_a_prior():
    def seed(right):
        values = np.repeat([1.0, 0.0], [right, 10 - right])
        return {name: values for name in ("right cue", "no cue", "random cue", "follows", "on the corner")}

    rows = prior.table_rows({"no prior": [seed(5), seed(4)], "corner, weight 1": [seed(8), seed(8)]})
    assert rows["no prior"]["difference"] == "–"
    assert rows["corner, weight 1"]["difference"].startswith("35.0 [")
    assert rows["corner, weight 1"]["difference"].endswith(": +30.0, +40.0")


@pytest.mark.slow
def test_the_corner_is_followed_less_with_the_prior(data_folder, capsys):
    if not (data_folder / "mnist.npz").is_file():
        pytest.skip(f"no MNIST: {data_folder / 'mnist.npz'} is missing")
    prior.main([str(data_folder / "mnist.npz"), "--seeds", "1", "--test", "1000"])
    lines = {
        line.split("|")[1].strip(): line.split("|") for line in capsys.readouterr().out.splitlines() if "|" in line
    }
    with_cue, without = (float(lines["no prior"][column]) for column in (2, 3))
    assert with_cue - without > 5  # the shortcut is taken
    assert float(lines["corner, weight 10"][3]) - without > 5


@pytest.mark.slow
def test_the_gaze_script_on_a_few_images(data_folder, tmp_path, capsys):
    model = data_folder / "models" / "efficientnet_lite0_imagenet.keras"
    if not (model.is_file() and (data_folder / "osie").is_dir()):
        pytest.skip(f"no OSIE or EfficientNet-Lite0 in {data_folder}")
    gaze = script("gaze_prior")
    gaze.main([str(data_folder / "osie"), str(model), "-o", str(tmp_path), "--small"])
    printed = capsys.readouterr().out
    assert all(f"| {name} |" in printed for name in ("no prior", "gaze", "other gaze", "mean density", "center"))
    with np.load(tmp_path / "test.npz") as stored:
        assert stored["features"].shape == (8, 7, 7, 1280) and stored["densities"].shape == (8, 7, 7)
