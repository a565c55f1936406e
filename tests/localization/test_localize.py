"""From a model to boxes: the object it was built to see, in every batch and size, and what goes wrong."""

import numpy as np
import pytest

from kerasal import attribution, images, localization

import keras


@pytest.fixture(scope="module")
def photo():
    """A red square and a smaller blue one on gray, twice as large as the model's input, and wider."""
    pixels = np.full((64, 96, 3), 110.0)
    pixels[10:40, 12:48] = (230, 30, 30)
    pixels[44:60, 66:90] = (30, 30, 230)
    noise = np.random.default_rng(0).normal(0, 6, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


RED, BLUE = (12, 10, 48, 40), (66, 44, 90, 60)
CORNERS = ((0, 0), (0, 5), (5, 0), (5, 5), (2, 2))


@pytest.mark.parametrize("recipe", ["tuned", "simonyan"])
def test_each_class_gets_its_own_box(color_classifier, photo, recipe):
    found = localization.localize(color_classifier, photo, recipe=recipe, classes=[2, 0], preprocessing="unit")
    assert list(found.columns) == ["class", "score", "box", "mask"]
    assert found["class"].tolist() == [2, 0]
    for box, true in zip(found["box"], (BLUE, RED), strict=True):
        assert localization.iou(box, true) > 0.7
    for mask, box in zip(found["mask"], found["box"], strict=True):
        assert mask.shape == photo.shape[:2]
        assert localization.iou(localization.bounding_box(mask), box) > 0.9


def test_classes_come_in_the_order_of_their_scores(color_classifier, photo):
    with pytest.warns(UserWarning, match="class 1 is 0 everywhere"):  # nothing is green
        found = localization.localize(color_classifier, photo, top=3, preprocessing="unit")
    outputs = color_classifier(np.float32(photo[None, ::2, ::3]) / 255, training=False).numpy()[0]
    assert found["class"].tolist() == np.argsort(-outputs).tolist()
    assert found["score"].is_monotonic_decreasing
    assert found["box"].tolist()[-1] == (0, 0, 96, 64)


def test_the_ten_crops_of_the_paper_vote_on_the_classes(color_classifier, photo):
    """The four corners and the center of the image at 37 × 37, 8/7 of 32 × 32, and their mirror images."""
    found = localization.localize(color_classifier, photo, recipe="simonyan", top=2, preprocessing="unit")
    large = images.resize(photo, (37, 37))
    views = [large[y : y + 32, x : x + 32][:, ::turn] for y, x in CORNERS for turn in (1, -1)]
    outputs = color_classifier(np.float32(views) / 255, training=False).numpy().mean(axis=0)
    assert found["class"].tolist() == np.argsort(-outputs)[:2].tolist()
    np.testing.assert_allclose(found["score"], np.sort(outputs)[::-1][:2], rtol=1e-5)
    whole = localization.localize(color_classifier, photo, method="class_saliency", top=1, preprocessing="unit")
    assert abs(whole["score"][0] - found["score"][0]) > 1e-4, "the crops see something else than the whole image"


def test_any_method_and_its_options(color_classifier, photo):
    how = {"classes": [0], "preprocessing": "unit", "prior": 10.0, "blur": 0.05}
    one = localization.localize(color_classifier, photo, method="smoothgrad", method_options={"samples": 3}, **how)
    own = localization.localize(color_classifier, photo, method=lambda *a: attribution.smoothgrad(*a, samples=3), **how)
    assert one["box"].tolist() == own["box"].tolist()
    window = localization.localize(
        color_classifier,
        photo,
        method="occlusion",
        method_options={"window": 8, "stride": 4},
        classes=[0],
        preprocessing="unit",
    )
    assert localization.iou(window["box"][0], RED) > 0.4


@pytest.mark.parametrize(
    ("method", "options"), [("occlusion", {"window": 8, "stride": 4}), ("integrated_gradients", {"steps": 5})]
)
def test_evidence_against_a_class_is_no_evidence_for_it(color_classifier, photo, method, options):
    scores = keras.layers.Dense(3, use_bias=False)
    model = keras.Model(color_classifier.input, scores(color_classifier.layers[-2].output))
    scores.set_weights(
        [np.float32([[1, 0, 0], [0, 1, 0], [-9, 0, 1]])]
    )  # blue speaks against red, more than red for it
    setting = {"classes": [0], "preprocessing": "unit", "method": method, "method_options": options}
    (found,) = localization.find_objects(model, photo, **setting)
    red, blue = found.map[8:18, 6:14], found.map[24:28, 24:28]
    assert red.mean() > 0 and not blue.any()
    assert localization.iou(found.box, RED) > localization.iou(found.box, BLUE)


def test_everything_on_the_way_is_there(color_classifier, photo):
    (found,) = localization.find_objects(color_classifier, photo, classes=[0], preprocessing="unit")
    assert found.picture.shape == (32, 32, 3)
    assert found.map.shape == found.cut.mask.shape == (32, 32)
    assert found.cut.foreground.sum() < found.cut.background.sum()
    assert found.mask.shape == (64, 96)


def test_pictures_show_the_seeds_the_mask_and_the_box(color_classifier, photo):
    (found,) = localization.find_objects(color_classifier, photo, classes=[0], preprocessing="unit")
    seeds = localization.draw_seeds(found.picture, found.cut)
    assert (seeds[found.cut.foreground][:, 2] > 180).all()
    assert (seeds[found.cut.background][:, 1:] > 180).all()
    masked = localization.draw_mask(photo, found.mask)
    assert (masked[found.mask] == photo[found.mask]).all()
    assert masked[~found.mask].min() > 200
    drawn = (localization.draw_box(photo, found.box) != photo).any(axis=2)
    assert localization.bounding_box(drawn) == found.box
    page = localization.draw_localizations(photo, [found, found], ["red", "red"], "a note")
    assert page.shape[1] > 5 * 190


def test_wrong_use_is_refused(color_classifier, photo):
    with pytest.raises(ValueError, match="Unknown recipe"):
        localization.localize(color_classifier, photo, recipe="tuned2")
    with pytest.raises(ValueError, match="Unknown attribution method"):
        localization.localize(color_classifier, photo, method="gradcan")
    with pytest.raises(TypeError, match="Did you mean components"):
        localization.localize(color_classifier, photo, component=3)
    with pytest.raises(ValueError, match=r"must be in 0\.\.2"):
        localization.localize(color_classifier, photo, classes=[3])
    with pytest.raises(ValueError, match="uint8"):
        localization.localize(color_classifier, photo / 255.0)
    with pytest.raises(ValueError, match="top must be a positive integer, got"):
        localization.localize(color_classifier, photo, top=0)


@pytest.mark.parametrize(
    ("layer", "shape", "what"),
    [
        (keras.layers.Conv1D(3, 3), (20, 2), "signals or volumes"),
        (keras.layers.Conv3D(3, 3), (6, 6, 6, 1), "signals or volumes"),
        (keras.layers.Dense(3), (9,), "features"),
    ],
)
def test_a_model_that_takes_no_images_is_refused_with_the_reason(layer, shape, what):
    model = keras.Sequential([keras.Input(shape), layer, keras.layers.Flatten(), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match=rf"the graph cut separates the colors of their pixels, but .* takes {what}"):
        localization.localize(model, np.zeros((6, 6, 3), np.uint8))
