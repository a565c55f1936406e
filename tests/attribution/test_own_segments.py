"""Segments of each image: several maps in a call, or a function, are equal to a call per image; what is refused."""

import contextlib

import numpy as np
import pytest

from kerasal import attribution

import keras
from keras import layers as L

RNG = np.random.default_rng(5)
IMAGES = RNG.normal(size=(3, 6, 7, 2)).astype(np.float32)
MAPS = np.stack([RNG.integers(0, count, (6, 7)) for count in (3, 5, 4)])
OPTIONS = {
    "ablation": {},
    "hsic": {"samples": 30},
    "kernel_shap": {},
    "lime": {"samples": 30},
    "sobol": {"designs": 4},
}


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(2)
    return keras.Sequential([keras.Input((6, 7, 2)), L.Conv2D(3, 3, activation="relu"), L.Flatten(), L.Dense(3)])


def segment(x):
    """Three regions of the brightness of an image, which differ from image to image."""
    assert x.shape == (6, 7, 2) and x.dtype == np.float32
    return np.digitize(x.sum(-1), [-0.5, 0.7])


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.quick("kernel_shap")
def test_images_with_maps_of_their_own_are_equal_to_a_call_each(name, model):
    method, options = getattr(attribution, name), OPTIONS[name]
    maps = method(model, IMAGES, [0, 1, 2], segments=MAPS, **options)
    for number in range(3):
        alone = method(model, IMAGES[number], number, segments=MAPS[number], **options)
        np.testing.assert_allclose(maps[number], alone[0], rtol=1e-5, atol=1e-7)
        assert len(np.unique(maps[number])) == (3, 5, 4)[number]
    by_function = method(model, IMAGES, segments=segment, **options)
    by_maps = method(model, IMAGES, segments=[segment(x) for x in IMAGES], **options)
    np.testing.assert_array_equal(by_function, by_maps)


@pytest.mark.slow
def test_further_results_of_each_image_and_the_progress_bar(model, monkeypatch):
    seen = []

    @contextlib.contextmanager
    def bar(description, steps):
        seen.append(steps)
        yield seen.append

    monkeypatch.setattr("kerasal.attribution.graph_bar.progress_bar", bar)
    options = {"samples": 40, "return_error": True, "segments": MAPS}
    maps, errors = attribution.lime(model, IMAGES, 0, progress=True, **options)
    assert maps.shape == (3, 6, 7) and errors.shape == (3,)
    assert seen[0] == sum(seen[1:]) == 120  # a step per sample and image
    alone, error = attribution.lime(model, IMAGES[2], 0, **{**options, "segments": MAPS[2]})
    np.testing.assert_allclose(maps[2], alone[0], rtol=1e-5)
    assert errors[2] == pytest.approx(error[0], rel=1e-4)


def test_a_function_gets_copies_with_channels_last():
    inputs, seen = keras.Input((2, 6, 7)), []
    pooled = L.GlobalAveragePooling2D(data_format="channels_first")(inputs)
    model = keras.Model(inputs, L.Dense(3)(pooled))
    images = np.moveaxis(IMAGES, -1, 1).copy()

    def paint(x):
        seen.append(x.copy())
        x[:] = 0
        return segment(seen[-1])

    before = images.copy()
    maps = attribution.ablation(model, images, 1, segments=paint)
    np.testing.assert_array_equal(seen, IMAGES)
    np.testing.assert_array_equal(images, before)
    np.testing.assert_allclose(maps, attribution.ablation(model, before, 1, segments=list(map(segment, IMAGES))))


def test_features_in_groups_of_their_own():
    weights = np.array([1.0, 2, 4, 8], np.float32)
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.ops.sum(inputs * weights, axis=1, keepdims=True))
    maps = attribution.kernel_shap(model, np.ones((2, 4)), 0, segments=[[0, 0, 1, 1], [0, 1, 1, 0]])
    np.testing.assert_allclose(maps, [[3, 3, 12, 12], [9, 6, 6, 9]], rtol=1e-5)


@pytest.mark.slow
def test_xrai_with_a_function(model):
    maps = attribution.xrai(model, IMAGES, 0, segments=segment, steps=3)
    alone = [attribution.xrai(model, x, 0, segments=segment(x), steps=3)[0] for x in IMAGES]
    np.testing.assert_allclose(maps, alone, rtol=1e-5, atol=1e-7)
    with pytest.raises(ValueError, match=r"segments must be integers in the size of the input .* got object"):
        attribution.xrai(model, IMAGES, 0, segments=lambda x: None, steps=3)
    with pytest.raises(ValueError, match="segments must be maps in compiled and exported methods, got a function"):
        attribution.xrai.compiled(model, segments=segment)(IMAGES)


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        (MAPS[:2], r"segments must be one map, 6 × 7, or one for each of the 3 images, got 2 maps"),
        ([*MAPS[:2], MAPS[2, :5]], r"segments\[2\] must have the positions of the input, 6 × 7, got shape \(5, 7\)"),
        ([*MAPS[:2], MAPS[2] * 0], r"segments\[2\] must hold at least two regions, got 1"),
        (MAPS.astype(float), r"segments\[0\] must be integers, .* got float64"),
        (lambda x: x, r"segments\(inputs\[0\]\) must be integers, .* got float32"),
        (lambda x: None, r"segments\(inputs\[0\]\) must be integers, .* got object"),
        (np.ma.masked_less(MAPS[0], 1), r"segments must have no masked values"),
        (np.arange(42).reshape(6, 7), r"samples must be more than the 42 regions, got 30"),
        ([*MAPS[:2], np.arange(42).reshape(6, 7)], r"samples must be more than the 42 regions, got 30"),
    ],
)
def test_what_is_refused(segments, message, model):
    with pytest.raises(ValueError, match=message):
        attribution.lime(model, IMAGES, 0, segments=segments, samples=30)


def test_a_budget_that_does_not_fit_is_refused_before_the_first_image(model, monkeypatch):
    from kerasal.attribution import method

    monkeypatch.setattr(method, "run_batches", None)  # not reached
    many = [*MAPS[:2], np.arange(42).reshape(6, 7)]
    with pytest.raises(ValueError, match="samples must be at least 84 for 42 regions"):
        attribution.kernel_shap(model, IMAGES, 0, segments=many, samples=60)
    with pytest.raises(ValueError, match="exact must be False for more than 20 regions, got 42"):
        attribution.kernel_shap(model, IMAGES, 0, segments=many, exact=True)


@pytest.mark.slow
def test_maps_for_each_need_a_call_on_inputs(model):
    for segments, received in ((segment, "a function"), (MAPS, "3 maps")):
        with pytest.raises(ValueError, match=f"one map, 6 × 7, in compiled and exported methods.* got {received}"):
            attribution.ablation.compiled(model, segments=segments)(IMAGES)
    layer = model.layers[0].name
    with pytest.raises(ValueError, match=r"one map, 4 × 5, in compiled .* and at a layer, got a function"):
        attribution.ablation(model, IMAGES, 0, layer=layer, segments=segment)
    left, right = keras.Input((6, 7, 2)), keras.Input((6, 7, 2))
    both = keras.Model([left, right], model(left) + model(right))
    with pytest.raises(ValueError, match="segments must be maps for a model of 2 inputs with positions, got a func"):
        attribution.ablation(both, [IMAGES, IMAGES], 0, segments=segment)
    maps = attribution.ablation(both, [IMAGES, IMAGES], 0, segments=MAPS)
    np.testing.assert_allclose(maps[0], maps[1], rtol=1e-5)


def test_a_score_that_needs_the_whole_batch(model):
    from tf_keras_vis.utils.scores import CategoricalScore

    with pytest.raises(ValueError, match="Options must be the same for all images with a tf-keras-vis score"):
        attribution.ablation(model, IMAGES, CategoricalScore([0, 1, 2]), segments=MAPS)
