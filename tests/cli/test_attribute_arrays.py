"""kerasal attribute on files of model inputs: signals, volumes and videos, one or a batch."""

import json

import numpy as np
import pytest

import kerasal
from kerasal import attribution, images

import keras

L = keras.layers
BATCH = np.random.default_rng(0).normal(size=(3, 30, 2)).astype(np.float32)
SALIENCY = ("attribute", "class_saliency", "net.keras")


@pytest.fixture
def place(tmp_path):
    keras.utils.set_random_seed(0)
    net = [keras.Input((None, 2)), L.Conv1D(4, 5, activation="relu"), L.GlobalAveragePooling1D(), L.Dense(3)]
    keras.Sequential(net).save(tmp_path / "net.keras")
    np.save(tmp_path / "one.npy", BATCH[0])
    np.save(tmp_path / "short.npy", BATCH[1, :20])
    np.save(tmp_path / "batch.npy", BATCH)
    np.savez(tmp_path / "sets.npz", train=BATCH, test=BATCH[:1])
    return tmp_path


def test_a_signal_makes_the_page_of_python(cli, place):
    labels = ("--sampling-rate", 50, "--channel-names", "left, right")
    code, out, err = cli(*SALIENCY, "one.npy", "-c", 1, *labels)
    assert code == 0, err
    assert "one-class_saliency.png  class_saliency of class 1" in out
    explanation = kerasal.explain("net.keras", "one.npy", "class_saliency", 1)
    page = explanation.label_axes(rate=50, names=["left", "right"]).page()
    np.testing.assert_array_equal(images.read("one-class_saliency.png"), page)
    code, _, err = cli(*SALIENCY, "one.npy", "-c", 1, "-o", "map.npy")
    assert code == 0, err
    np.testing.assert_array_equal(np.load("map.npy"), explanation.map)


@pytest.mark.slow
def test_values_per_channel_and_words(cli, place):
    for flag, values in (("fill", "0.5,-1"), ("fill", "mean"), ("fill", "2"), ("baseline", "0.5,-1")):
        method = "occlusion" if flag == "fill" else "deeplift"
        code, _, err = cli("attribute", method, "net.keras", "one.npy", "-c", 1, f"--{flag}", values, "-o", "map.npy")
        assert code == 0, err
        value = {"mean": "mean", "2": 2}.get(values, (0.5, -1))
        expected = kerasal.explain("net.keras", "one.npy", method, 1, **{flag: value})
        np.testing.assert_array_equal(np.load("map.npy"), expected.map)
    call = ("attribute", "occlusion", "net.keras", "one.npy", "--fill")
    code, _, err = cli(*call, "red")
    assert code == 2 and "--fill must be a number, mean, blur, or one per channel with commas" in err
    code, _, err = cli(*call, "1,2,3")
    assert code == 2 and "fill (--fill) must be a number" in err and "got (1.0, 2.0, 3.0)" in err


def test_a_smoothed_method(cli, place):
    smoothing = {"samples": 3, "noise": 0.2}
    call = ("attribute", "rise", "net.keras", "one.npy", "-c", 1, "--samples", 20, "--quiet")
    code, _, err = cli(*call, "--smooth", 3, "--smooth-noise", 0.2, "-o", "map.npy")
    assert code == 0, err
    expected = kerasal.explain("net.keras", "one.npy", "rise", 1, samples=20, smoothing=smoothing)
    np.testing.assert_array_equal(np.load("map.npy"), expected.map)
    model = keras.models.load_model("net.keras")
    by_hand = attribution.smooth("rise", **smoothing)(model, BATCH[:1], 1, samples=20)
    np.testing.assert_array_equal(expected.map, by_hand[0])
    assert (expected.page() != kerasal.explain("net.keras", "one.npy", "rise", 1, samples=20).page()).any()
    code, _, err = cli(*call, "--smooth", 0)
    assert code == 2 and "--smooth" in err


def test_a_signal_that_the_model_flattens(cli, place):
    keras.Sequential([keras.Input((60, 1)), L.Flatten(), L.Dense(3)]).save(place / "flat.keras")
    np.save(place / "flat.npy", np.arange(60, dtype=np.float32)[:, None] / 60)
    images.write(place / "photo.png", np.zeros((8, 8, 3), np.uint8))
    call = ("attribute", "occlusion", "flat.keras")
    assert cli(*call, "flat.npy", "-o", "map.npy")[0] == 0
    assert np.load("map.npy").shape == (16,)  # windows of a signal
    assert cli(*call, "flat.npy", "-o", "map.png")[0] == 0
    assert images.read("map.png").shape[1] > 800  # a curve, not an image of 60 × 1 pixels
    code, _, err = cli(*call, "photo.png", "-p", "unit")
    assert code == 2 and "must take an image to explain a photo" in err


@pytest.mark.slow
def test_a_batch_makes_a_sheet_or_a_folder(cli, place):
    code, out, err = cli(*SALIENCY, "batch.npy", "-c", 0, "-c", 1, "-o", "sheet.png")
    assert code == 0, err
    assert "3 inputs, 6 maps" in out and "batch.npy 2" in out
    rows = [[kerasal.explain("net.keras", x, "class_saliency", index) for index in (0, 1)] for x in BATCH]
    sheet = attribution.explanation_sheet(rows, [f"batch.npy {number}" for number in range(3)])
    np.testing.assert_array_equal(images.read("sheet.png"), sheet)
    code, _, err = cli(*SALIENCY, "batch.npy", "-c", 0, "-o", "maps")
    assert code == 0, err
    names = {path.name for path in (place / "maps").iterdir()}
    assert names == {f"batch-{number}-class-0-class_saliency.png" for number in range(3)}
    code, _, err = cli(*SALIENCY, "batch.npy", "-o", "map.npy")
    assert code == 2 and "must be a picture or a folder for 3 maps" in err
    np.save("many.npy", np.repeat(BATCH, 20, axis=0))
    code, _, err = cli(*SALIENCY, "many.npy")
    assert code == 2 and "must be a folder for 60 maps" in err


def test_an_array_of_several_is_named(cli, place):
    code, _, err = cli(*SALIENCY, "sets.npz", "-c", 0)
    assert code == 2 and "must hold a single array, got train, test. Choose one of them: array='train' (--array)" in err
    code, out, err = cli(*SALIENCY, "sets.npz", "-c", 0, "--array", "test", "--json")
    assert code == 0, err
    assert [image["maps"][0]["explained"] for image in json.loads(out)["images"]] == ["class 0"]


def test_signals_of_different_lengths_are_separate_files(cli, place):
    code, out, err = cli(*SALIENCY, "one.npy", "short.npy", "-c", 0)
    assert code == 0, err
    assert "2 inputs, 2 maps" in out
    ragged = np.empty(2, object)
    ragged[:] = [BATCH[0], BATCH[1, :20]]
    np.save("ragged.npy", ragged, allow_pickle=True)
    code, _, err = cli(*SALIENCY, "ragged.npy")
    assert code == 2 and "got objects, such as signals of different lengths" in err


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((30, 2), np.nan), "must be finite"),
        (np.zeros((30, 3)), "must have shape (N, any, 2), got (30, 3)"),
        (np.zeros((30, 2), np.int32), "inputs must be floats, or photos in uint8"),
        (np.zeros((30, 20, 3), np.uint8), "must take an image to explain a photo"),
    ],
)
def test_wrong_inputs_are_skipped_or_refused(cli, place, array, message):
    np.save("wrong.npy", array)
    code, _, err = cli(*SALIENCY, "wrong.npy", "-c", 0, "-o", "a.png")
    assert code == 2 and message in " ".join(err.split())
    assert not (place / "a.png").exists()
    code, out, err = cli(*SALIENCY, "wrong.npy", "one.npy", "-c", 0, "-o", "a.png")
    assert code == 1 and "Skipped" in err and "a.png  class_saliency of class 0" in out


def test_a_folder_of_arrays_is_taken_and_maps_beside_photos_are_not(cli, place, make_model):
    (place / "signals").mkdir()
    np.save(place / "signals" / "a.npy", BATCH[0])
    np.save(place / "signals" / "b.npy", BATCH[1])
    code, out, err = cli(*SALIENCY, "signals", "-c", 0, "-o", "a.png")
    assert code == 0, err
    assert "2 inputs, 2 maps" in out
    images.write(place / "signals" / "photo.png", np.zeros((9, 9, 3), np.uint8))
    assert list(images.name_files(["signals"], arrays=True)) == ["photo"]


def test_a_volume_says_that_its_values_are_taken_as_they_are(cli, place):
    nibabel = pytest.importorskip("nibabel", reason="nibabel (kerasal[medical]) reads NIfTI")
    net = [keras.Input((6, 7, 8, 1)), L.Conv3D(2, 3, activation="relu"), L.Flatten(), L.Dense(2)]
    keras.Sequential(net).save("net.keras")
    values = np.random.default_rng(0).integers(0, 900, (6, 7, 8)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), "scan.nii.gz")
    code, out, err = cli(*SALIENCY, "scan.nii.gz", "-c", 1)
    assert code == 0, err
    assert "scan-class_saliency.png" in out
    assert f"its values, {values.min()} to {values.max()}, are passed to the model as they are" in err
    page = kerasal.explain("net.keras", "scan.nii.gz", "class_saliency", 1).page()
    np.testing.assert_array_equal(images.read("scan-class_saliency.png"), page)


@pytest.mark.parametrize("command", ["localize", "compare"])
def test_commands_for_photos_say_that_they_need_one(cli, place, command):
    code, _, err = cli(command, "net.keras", "one.npy")
    assert code == 2
    assert "must hold a photo, uint8 (H, W, 3), because an image is needed here" in " ".join(err.split())


@pytest.mark.slow
def test_the_window_of_a_volume_has_a_side_per_axis(cli, place):
    net = [keras.Input((4, 6, 8, 1)), L.Conv3D(2, 3, activation="relu"), L.GlobalAveragePooling3D(), L.Dense(3)]
    model = keras.Sequential(net)
    model.save(place / "volume.keras")
    volume = np.random.default_rng(1).normal(size=(4, 6, 8, 1)).astype(np.float32)
    np.save(place / "volume.npy", volume)
    occlusion = ("attribute", "occlusion", "volume.keras", "volume.npy", "-c", 1, "--quiet")
    code, _, err = cli(*occlusion, "--window", "1,3,4", "--stride", "2,3,4", "-o", "map.npy")
    assert code == 0, err
    expected = attribution.occlusion(model, volume[None], 1, window=(1, 3, 4), stride=(2, 3, 4))[0]
    assert expected.shape == (3, 2, 2)
    np.testing.assert_allclose(np.load("map.npy"), expected, rtol=1e-5)
    code, _, err = cli(*occlusion, "--window", 2, "-o", "map.npy")
    assert code == 0, err
    assert np.load("map.npy").shape == (3, 5, 7)
    for window, message in (
        ("1,8", "window (--window) must be an integer or one for each of the 3 position axes, got (1, 8)"),
        ("1,x,8", "--window must be an integer, or one per axis with commas, such as 1,8,8, got '1,x,8'"),
        ("", "--window must be an integer, or one per axis"),
        ("0", "window (--window) must be a positive integer, or None, got 0"),
        ("1,0,2", "must be a positive integer, got 0"),
        ("9", "window (--window) must be at most 4 for inputs of 4 × 6 × 8 positions"),
    ):
        code, _, err = cli(*occlusion, "--window", window)
        assert code == 2 and message in " ".join(err.replace("│", " ").split()), (window, err)
    code, out, _ = cli("attribute", "occlusion", "--help")
    assert code == 0
    assert " ".join(out.replace("│", " ").split()).count("One per axis is written as 8,16.") == 2
