"""explain and its pages for signals, volumes and videos: the drawing fits the input, and evidence keeps its sign."""

import dataclasses

import numpy as np
import pytest

import kerasal
from kerasal import attribution, images
from kerasal.attribution.array_pages import Axes

import keras

L = keras.layers
RANDOM = np.random.default_rng(0)


def build(shape, *layers, channels_first=False):
    keras.utils.set_random_seed(0)
    pool = {2: L.GlobalAveragePooling1D, 4: L.GlobalAveragePooling3D}[len(shape)]
    form = "channels_first" if channels_first else "channels_last"
    return keras.Sequential([keras.Input(shape), *layers, pool(data_format=form), L.Dense(3, activation="softmax")])


@pytest.fixture(scope="module")
def signal_model():
    return kerasal.open_model(build((40, 2), L.Conv1D(4, 5, activation="relu")), labels=["a", "b", "c"])


@pytest.fixture(scope="module")
def volume_model():
    return kerasal.open_model(build((9, 10, 11, 1), L.Conv3D(4, 3, activation="relu")))


@pytest.fixture(scope="module")
def video_model():
    return kerasal.open_model(build((5, 12, 14, 3), L.Conv3D(4, 3, activation="relu")))


SIGNAL = RANDOM.normal(size=(40, 2)).astype(np.float32)
VOLUME = RANDOM.normal(size=(9, 10, 11, 1)).astype(np.float32)
VIDEO = RANDOM.normal(size=(5, 12, 14, 3)).astype(np.float32)


def tints(picture):
    more = picture[..., 0].astype(int) - picture[..., 2]
    return int((more > 60).sum()), int((more < -60).sum())


def test_a_signal_is_explained_by_its_own_map_and_drawn_as_a_line(signal_model):
    explanation = kerasal.explain(signal_model, SIGNAL, "gradient_x_input", "b")
    wanted = attribution.gradient_x_input(signal_model.keras_model, SIGNAL[None], 1)[0]
    np.testing.assert_array_equal(explanation.map, wanted)
    assert explanation.map.shape == (40,) and explanation.label == "b" and explanation.photo is None
    np.testing.assert_array_equal(explanation.picture, SIGNAL)
    np.testing.assert_array_equal(explanation.overlay(), images.signal(SIGNAL, wanted, signed=True))
    np.testing.assert_array_equal(explanation.heatmap(), images.signal(wanted, wanted, signed=True))
    named = explanation.label_axes(rate=10, names=["x", "y"])
    drawn = images.signal(SIGNAL, wanted, signed=True, rate=10, names=["x", "y"])
    np.testing.assert_array_equal(named.overlay(), drawn)
    assert named.label_axes(rate=20).axes == Axes(rate=20, names=["x", "y"], channel_axis=1)
    page = named.page()
    inside = page[-drawn.shape[0] - 90 :, : drawn.shape[1]]
    assert page.shape[0] > drawn.shape[0] + 60 and tints(inside) != (0, 0)


def test_a_volume_and_a_video_are_drawn_as_such(volume_model, video_model):
    volume = kerasal.explain(volume_model, VOLUME, "gradient_x_input", 1)
    np.testing.assert_array_equal(volume.overlay(), images.volume(VOLUME, volume.map, signed=True))
    video = kerasal.explain(video_model, VIDEO, "class_saliency", 1)
    assert video.map.shape == (5, 12, 14)
    np.testing.assert_array_equal(video.overlay(), images.video(VIDEO, video.map, signed=False))
    np.testing.assert_array_equal(
        video.label_axes(view="planes").overlay(), images.volume(VIDEO, video.map, signed=False)
    )
    np.testing.assert_array_equal(
        volume.label_axes(view="frames", rate=5).overlay(), images.video(VOLUME, volume.map, signed=True, rate=5)
    )
    for explanation in (volume, video):
        assert explanation.page().shape[0] > explanation.overlay().shape[0]
        assert explanation.heatmap().shape == explanation.overlay().shape
        assert explanation._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", ["signal", "volume", "video"])
def test_evidence_against_a_class_is_not_drawn_as_evidence_for_it(kind, request):
    model = request.getfixturevalue(f"{kind}_model")
    array = {"signal": SIGNAL, "volume": VOLUME, "video": VIDEO}[kind]
    explanation = kerasal.explain(model, array, "gradient_x_input", 1)
    array = SIGNAL if kind == "signal" else np.zeros_like(array)  # which has no colors of its own
    explanation = dataclasses.replace(explanation, picture=array)
    size = np.random.default_rng(1).random(array.shape[:-1])
    positive, negative = (tints(dataclasses.replace(explanation, map=sign * size).overlay()) for sign in (1, -1))
    assert positive[0] > 50 and positive[1] == 0
    assert negative[1] > 50 and negative[0] == 0
    spec = attribution.method_spec("class_saliency")
    page = attribution.attribution_page(spec, array, size, "b")
    assert tints(page)[1] == 0  # a magnitude is neither for nor against


def test_a_gradient_has_a_map_per_channel(signal_model, volume_model, video_model):
    explanation = kerasal.explain(signal_model, SIGNAL, "input_gradient")
    assert explanation.map.shape == (40, 2)
    np.testing.assert_array_equal(explanation.overlay(), images.signal(SIGNAL, explanation.map, signed=True))
    np.testing.assert_array_equal(explanation.heatmap(), images.signal(explanation.map, explanation.map, signed=True))
    gradient = kerasal.explain(volume_model, VOLUME, "input_gradient")
    np.testing.assert_array_equal(gradient.overlay(), images.volume(VOLUME, gradient.map[..., 0], signed=True))
    colors = kerasal.explain(video_model, VIDEO, "input_gradient")
    largest = np.abs(colors.map).max(axis=-1)
    np.testing.assert_array_equal(colors.overlay(), images.video(VIDEO, largest, signed=False))


def test_channels_first_is_drawn_as_channels_last():
    first = L.Permute((2, 1)), L.Conv1D(4, 5, activation="relu")
    model = kerasal.open_model(build((2, 40), *first))
    explanation = kerasal.explain(model, SIGNAL.T, "input_gradient")
    assert explanation.map.shape == (2, 40)
    np.testing.assert_array_equal(explanation.picture, SIGNAL)
    np.testing.assert_array_equal(explanation.overlay(), images.signal(SIGNAL, explanation.map.T, signed=True))


def test_features_are_drawn_in_their_order():
    keras.utils.set_random_seed(0)
    model = kerasal.open_model(keras.Sequential([keras.Input((6,)), L.Dense(4, activation="relu"), L.Dense(3)]))
    explanation = kerasal.explain(model, np.arange(6, dtype=np.float32), "gradient_x_input", 1)
    assert explanation.map.shape == (6,) and explanation.picture.shape == (6, 1)
    assert explanation.page().shape[2] == 3


def test_it_is_saved_and_opened_from_files(signal_model, tmp_path):
    np.save(tmp_path / "one.npy", SIGNAL)
    np.save(tmp_path / "batch.npy", np.stack([SIGNAL, SIGNAL]))
    explanation = kerasal.explain(signal_model, tmp_path / "one.npy", "class_saliency")
    np.testing.assert_array_equal(explanation.map, kerasal.explain(signal_model, SIGNAL, "class_saliency").map)
    explanation.save(tmp_path / "page.png")
    np.testing.assert_array_equal(images.read(tmp_path / "page.png"), explanation.page())
    explanation.save(tmp_path / "narrow.png", tile=400)
    assert images.read(tmp_path / "narrow.png").shape[1] < 450
    explanation.save(tmp_path / "map.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "map.npy"), explanation.map)
    with pytest.raises(ValueError, match="photo must be a single photo or input, got 2"):
        kerasal.explain(signal_model, tmp_path / "batch.npy", "class_saliency")


def test_a_sheet_has_a_row_per_signal_and_a_column_per_class(signal_model):
    rows = [
        [kerasal.explain(signal_model, array, "gradient_x_input", index) for index in (0, 1)]
        for array in (SIGNAL, SIGNAL[::-1])
    ]
    sheet = attribution.explanation_sheet(rows, ["forward", "backward"])
    assert 1280 < sheet.shape[1] < 1500
    assert tints(sheet)[0] and tints(sheet)[1]


def test_a_page_says_what_is_shown(volume_model, monkeypatch):
    notes = []
    real = images.sheet
    monkeypatch.setattr(images, "sheet", lambda *panels, **texts: notes.append(texts) or real(*panels, **texts))
    scan = images.Volume(VOLUME, (1.0, 1.0, 2.0), "RAS")
    explanation = kerasal.explain(volume_model, scan, "gradient_x_input", 1)
    assert (explanation.axes.spacing, explanation.axes.directions) == ((1.0, 1.0, 2.0), "RAS")
    np.testing.assert_array_equal(
        explanation.overlay(), images.volume(VOLUME, explanation.map, signed=True, spacing=(1, 1, 2), axes="RAS")
    )
    explanation.page()
    assert "The lines cross at the strongest position of the map. R right, L left" in notes[-1]["note"]
    assert notes[-1]["legend"] == [("signed", "lowers the score", "raises the score")]
    dataclasses.replace(explanation, map=0 * explanation.map).page()
    assert "The map is 0 everywhere" in notes[-1]["note"]
    kerasal.explain(volume_model, VOLUME, "input_gradient", 1).page()
    assert notes[-1]["legend"] == [("signed", "a lower value raises the score", "a higher value raises it")]
    kerasal.explain(volume_model, VOLUME, "class_saliency", 1).page()
    assert notes[-1]["legend"] == [("overlay", "weak", "strong")]
    spec = attribution.method_spec("gradient_x_input")
    many = np.zeros((20, 40))
    attribution.attribution_page(spec, many, many + 1, "b", score=0.5)
    assert "The 32 channels with the strongest map of 40" in notes[-1]["note"]


def test_what_cannot_be_drawn_or_explained_is_refused(signal_model, volume_model):
    nan = np.where(np.arange(80).reshape(40, 2) == 3, np.nan, SIGNAL)
    for array, message in (
        (SIGNAL[:30], r"must have shape \(N, 40, 2\), got \(30, 2\)"),
        (SIGNAL[:, :1], r"got \(40, 1\)"),
        (SIGNAL[None, None], r"got \(1, 1, 40, 2\)"),
        (nan, "must be finite"),
        (np.int16(SIGNAL), "inputs must be floats, or photos in uint8, got int16"),
        ([SIGNAL, SIGNAL[:30]], r"inputs must have one shape to form a batch, got \(40, 2\), \(30, 2\)"),
        (np.zeros((40, 2, 3), np.uint8), "must take an image to explain a photo, but it takes"),
    ):
        with pytest.raises(ValueError, match=message):
            kerasal.explain(signal_model, array, "class_saliency")
    with pytest.raises(ValueError, match=r"must have shape \(N, 9, 10, 11, 1\), got \(3, 4, 5, 1\)"):
        kerasal.explain(volume_model, images.Volume(np.zeros((3, 4, 5, 1), np.float32)), "class_saliency")
    explanation = kerasal.explain(signal_model, SIGNAL, "class_saliency")
    with pytest.raises(ValueError, match="view must be one of planes, frames"):
        explanation.label_axes(view="slices")
    with pytest.raises(ValueError, match="names must hold 2 texts"):
        explanation.label_axes(names=["x"]).page()
    spec = attribution.method_spec("class_saliency")
    with pytest.raises(ValueError, match="A map of class indices must be of an image"):
        attribution.attribution_page(spec, SIGNAL, np.zeros(40, int), "b")
    with pytest.raises(ValueError, match="one, two or three position axes to be drawn, got 4"):
        attribution.draw_map(spec, np.zeros((2, 2, 2, 2, 1)), np.zeros((2, 2, 2, 2)))
