"""explain: the map of the method itself, its class and score, and pictures that do not turn evidence around."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

import kerasal
from kerasal import attribution, images, labels, objectives


@pytest.fixture(scope="module")
def model():
    return kerasal.open_model("mnist_cnn")


@pytest.fixture(scope="module")
def digit():
    photo = np.zeros((28, 28), np.uint8)
    photo[4:24, 12:16] = 255
    return photo


@pytest.mark.parametrize("method", ["gradcam", "class_saliency", "gradient_x_input", "crop_averaged_saliency"])
def test_it_is_the_methods_own_map_of_the_top_class(model, digit, method):
    explanation = kerasal.explain(model, digit, method)
    inputs = np.float32(digit)[None, :, :, None] / np.float32(255)
    outputs = np.asarray(model.keras_model(inputs, training=False))[0]
    assert (explanation.class_index, explanation.label) == (outputs.argmax(), str(outputs.argmax()))
    assert explanation.score == pytest.approx(outputs.max(), rel=1e-6)
    if method != "crop_averaged_saliency":  # which sees a larger picture
        np.testing.assert_array_equal(explanation.map, getattr(attribution, method)(model.keras_model, inputs)[0])
        np.testing.assert_array_equal(explanation.picture[..., 0], digit)
    assert explanation.overlay(on="input").shape == explanation.heatmap().shape == explanation.picture.shape
    assert explanation.overlay().shape == (28, 28, 3)  # the photo
    assert (explanation.layer is not None) == (method == "gradcam")


def test_a_class_by_name_an_option_and_an_objective(model, digit):
    by_name = kerasal.explain(model, digit, "occlusion", target="3", window=7, stride=4)
    assert by_name.class_index == 3 and by_name.options == {"window": 7, "stride": 4}
    inputs = model.inputs(digit)
    wanted = attribution.occlusion(model.keras_model, inputs, 3, window=7, stride=4)[0]
    np.testing.assert_array_equal(by_name.map, wanted)
    layer = model.keras_model.layers[0].name
    of_channel = kerasal.explain(model, digit, "input_gradient", objectives.channel(layer, 1))
    assert of_channel.class_index is None and layer in of_channel.label
    mean = kerasal.feature_maps(model.keras_model, inputs, layer)[0, ..., 1].mean()
    assert of_channel.score == pytest.approx(mean, rel=1e-5)


def test_evidence_against_a_class_is_not_drawn_as_evidence_for_it(model, digit):
    explanation = kerasal.explain(model, digit, "gradient_x_input")
    none = dataclasses.replace(explanation, map=0 * explanation.map).overlay().astype(int)
    for sign, more, less in ((1, 0, 2), (-1, 2, 0)):  # red for evidence for the class, blue for evidence against it
        drawn = dataclasses.replace(explanation, map=sign * np.abs(explanation.map)).overlay().astype(int)
        strong = np.abs(drawn - none).sum(axis=2) > 60
        assert strong.any() and (drawn[strong][:, more] > drawn[strong][:, less]).all()


def test_it_is_saved_as_a_page_and_as_its_map(model, digit, tmp_path):
    explanation = kerasal.explain(model, digit)
    assert explanation.save(tmp_path / "page.png") == tmp_path / "page.png"
    np.testing.assert_array_equal(images.read(tmp_path / "page.png"), explanation.page())
    explanation.save(tmp_path / "map.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "map.npy"), explanation.map)
    shown = np.asarray(Image.open(io.BytesIO(explanation._repr_png_())))
    np.testing.assert_array_equal(shown, explanation.page())
    assert "array" not in repr(explanation)


def test_it_opens_what_it_is_given(digit, tmp_path):
    images.write(tmp_path / "digit.png", digit)
    explanation = kerasal.explain("mnist_cnn", tmp_path / "digit.png")
    assert explanation.class_index == 1 and explanation.method == "gradcam"


@pytest.mark.parametrize(
    ("photo", "options", "message"),
    [
        (np.zeros((20, 28), np.float32), {}, r"must have shape \(N, 28, 28, 1\), got \(20, 28\)"),
        (np.zeros((28, 28), np.int32), {}, "inputs must be floats, or photos in uint8, got int32"),
        (np.zeros((2, 28, 28, 1), np.uint8), {}, "photo must be a single photo or input, got 2"),
        (np.zeros((28, 28), np.uint8), {"method": "gradcamm"}, "gradcam"),
        (np.zeros((28, 28), np.uint8), {"target": "eleven"}, "class"),
    ],
)
def test_what_cannot_be_explained_is_refused(model, photo, options, message):
    with pytest.raises(ValueError, match=message):
        kerasal.explain(model, photo, **options)


@pytest.mark.parametrize(
    ("method", "options", "signed"),
    [
        ("gradient_x_input", {}, True),
        ("gradient_x_input", {"channel_reduction": "max_abs"}, False),
        ("class_saliency", {}, False),
        ("class_saliency", {"channel_reduction": "sum"}, True),
        ("smoothgrad", {"samples": 2, "channel_reduction": "sum"}, True),
        ("smoothgrad", {"samples": 2, "channel_reduction": "sum", "squared": True}, False),
        ("occlusion", {"window": 9, "stride": 9}, True),
        ("occlusion", {"window": 9, "stride": 9, "measure": "layer", "layer": "conv2"}, False),
    ],
)
def test_magnitudes_and_activations_are_not_drawn_as_evidence_for_the_class(model, digit, method, options, signed):
    explanation = kerasal.explain(model, digit, method, **options)
    assert attribution.method_spec(method).is_signed(options) == signed
    assert signed or explanation.map.min() >= 0
    heat = images.heatmap(explanation.map, signed=signed)
    if method != "occlusion":  # whose map is enlarged
        np.testing.assert_array_equal(explanation.heatmap(), heat)
    red = np.array([215, 75, 65])  # of the signed colors
    assert (np.abs(explanation.page().astype(int) - red).sum(axis=2) < 3).any() == signed


@pytest.mark.slow
def test_a_comparison_places_the_windows_of_its_options(model, digit):
    options = {"occlusion": {"window": 7, "stride": 7}}
    inputs = model.inputs(digit)
    shown = np.repeat(digit.reshape(28, 28, 1), 3, axis=2)
    views = attribution.compare_methods(model.keras_model, (shown, inputs), options=options).views
    view = next(view for view in views if view.spec.name == "occlusion")
    spec = attribution.method_spec("occlusion")
    values = attribution.occlusion(model.keras_model, inputs, window=7, stride=7)[0]
    np.testing.assert_array_equal(view.values, spec.to_pixels(values, (28, 28), options["occlusion"]))


def test_the_map_is_drawn_on_the_photo_where_it_belongs(make_model):
    wide = np.random.default_rng(0).integers(0, 256, (60, 100, 3), dtype=np.uint8)
    model = kerasal.open_model(make_model("functional"), preprocessing="unit")
    explanation = kerasal.explain(model, wide, "class_saliency", 1)
    assert explanation.box == (20, 0, 80, 60)
    np.testing.assert_array_equal(explanation.photo, wide)
    drawn = explanation.overlay(strength=0.9)
    spec, crop = explanation.spec, wide[:, 20:80]
    np.testing.assert_array_equal(drawn[:, 20:80], attribution.draw_map(spec, crop, explanation.map, strength=0.9)[1])
    assert drawn.shape == wide.shape and drawn[:, :18].mean() > 160  # faded: the model does not see it
    stretched = kerasal.open_model(make_model("functional"), preprocessing="unit", fit="stretch")
    whole = kerasal.explain(stretched, wide, "class_saliency", 1)
    assert whole.box == (0, 0, 100, 60)
    np.testing.assert_array_equal(whole.overlay(), attribution.draw_map(spec, wide, whole.map)[1])


def test_drawings_have_options(model, digit, tmp_path):
    explanation = kerasal.explain(model, digit)
    assert (explanation.page(colormap="viridis", tile=64) != explanation.page(tile=64)).any()
    explanation.save(tmp_path / "page.png", tile=64, dpi=200, strength=0.2)
    with Image.open(tmp_path / "page.png") as picture:
        assert round(picture.info["dpi"][0]) == 200
    for drawing, message in (({"on": "paper"}, "on must be one of photo, input"), ({"colormap": "bwr"}, "sequential")):
        with pytest.raises(ValueError, match=message):
            explanation.page(**drawing)
    signed = kerasal.explain(model, digit, "gradient_x_input")
    with pytest.raises(ValueError, match="colormap must be diverging for a map with negative values, got 'viridis'"):
        signed.overlay(colormap="viridis")


def test_a_sheet_has_a_row_per_photo_and_a_column_per_class(model, digit):
    rows = [[kerasal.explain(model, photo, "occlusion", index) for index in (1, 7)] for photo in (digit, digit.T)]
    sheet = attribution.explanation_sheet(rows, ["one", "dash"], tile=56)
    assert sheet.shape[1] > 3 * 56 and sheet.shape[0] > 2 * 56
    assert (
        attribution.explanation_sheet(rows, tile=56, strength=0.1) != attribution.explanation_sheet(rows, tile=56)
    ).any()
    with pytest.raises(ValueError, match=r"same number of explanations for each photo, got \[2, 1\]"):
        attribution.explanation_sheet([rows[0], rows[1][:1]])
    with pytest.raises(ValueError, match="names must hold 2 texts"):
        attribution.explanation_sheet(rows, ["one"])


def test_an_objective_is_labeled_with_its_description_and_the_names_of_classes(model, digit):
    named = dataclasses.replace(model, labels=["zero", "one", "two"])
    difference = objectives.class_score(1) - objectives.class_score(0)
    explanation = kerasal.explain(named, digit, "gradient_x_input", difference)
    assert explanation.label == "(one + (zero * -1))"
    assert explanation.areas == ()
    of_output = kerasal.explain(named, digit, "gradient_x_input", objectives.output(0, 1))
    assert of_output.label == "0: class 1"  # the names may be those of another output

    def margin(output):
        return output[:, 1] - output[:, 0]

    assert kerasal.explain(named, digit, "gradient_x_input", margin).label == "margin"


def test_only_the_score_of_a_class_is_called_a_probability(model, digit):
    by_class = kerasal.explain(model, digit, "gradient_x_input", 1, logits=False)
    by_objective = kerasal.explain(model, digit, "gradient_x_input", objectives.class_score(1), logits=False)
    assert by_objective.score == pytest.approx(by_class.score, rel=1e-6)
    same = dataclasses.replace(by_objective, class_index=1, label=by_class.label)
    np.testing.assert_array_equal(same.page(), by_class.page())
    assert not np.array_equal(dataclasses.replace(same, class_index=None).page(), by_class.page())
    assert labels.format_score(0.59, named=True) == "probability 59 %"
    for named in (False, True):
        assert labels.format_score(0.59, named=named, probable=False) == "score 0.59"
