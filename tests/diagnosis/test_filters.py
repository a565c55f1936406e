"""Filters whose diagnosis is known: one frequency, none at all, copies, and steps that alias."""

import numpy as np
import pytest

from kerasal import images as pictures
from kerasal.diagnosis import draw_filters, filter_diagnosis

import keras


def _wave(frequency, side=16, channels=3):
    """A cosine along the columns, under a window so that it has one frequency only."""
    place = np.arange(side) - side / 2
    wave = np.cos(2 * np.pi * frequency * place) * np.hanning(side)
    return np.broadcast_to((np.hanning(side)[:, None] * wave)[..., None], (side, side, channels))


def _net(kernels, stride=1, size=32, activation=None, padding="valid", **options):
    height, width, channels, count = np.shape(kernels)
    layer = keras.layers.Conv2D(
        count, (height, width), strides=stride, activation=activation, padding=padding, name="first", **options
    )
    model = keras.Sequential([keras.Input((size, size, channels)), layer], name="net")
    layer.set_weights([np.array(kernels, np.float32), np.zeros(count, np.float32)])
    return model


def _images(frequency, count=3, size=32, channels=3):
    phases = np.random.default_rng(0).uniform(0, 2 * np.pi, count)
    wave = np.sin(2 * np.pi * frequency * np.arange(size) + phases[:, None])
    return np.broadcast_to(wave[:, None, :, None], (count, size, size, channels)).astype(np.float32)


@pytest.mark.parametrize(("frequency", "band"), [(0.0, "low"), (0.19, "middle"), (0.5, "high"), (0.3, "high")])
def test_a_wave_has_its_energy_at_its_frequency(frequency, band):
    table = filter_diagnosis(_net(_wave(frequency)[..., None]))
    assert table[band].item() > 0.85
    assert table[["low", "middle", "high"]].sum(axis=1).item() == pytest.approx(1)
    assert table["extreme"].item() == pytest.approx(1 - table["middle"].item())


def test_white_noise_has_the_shares_that_the_docstring_says():
    kernels = np.random.default_rng(0).normal(size=(7, 7, 3, 200))
    for stride, lost in ((1, 0.0), (2, 0.75), (4, 1 - 1 / 16)):
        table = filter_diagnosis(_net(kernels, stride))
        assert table["aliasing"].mean() == pytest.approx(lost, abs=0.03)
    assert table[["low", "middle", "high"]].mean().to_numpy() == pytest.approx([0.05, 0.15, 0.80], abs=0.02)


@pytest.mark.parametrize(("frequency", "stride", "aliases"), [(0.19, 1, 0), (0.19, 2, 0), (0.19, 4, 1), (0.4, 2, 1)])
def test_a_step_aliases_what_is_above_half_its_rate(frequency, stride, aliases):
    table = filter_diagnosis(_net(_wave(frequency)[..., None], stride))
    assert table["aliasing"].item() == pytest.approx(aliases, abs=0.1)


@pytest.mark.parametrize(
    ("stride", "frequency", "aliases"), [(2, 0.375, 1), (2, 0.125, 0), (4, 0.1875, 1), (4, 0.0625, 0)]
)
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_on_images_only_what_is_in_them_aliases(stride, frequency, aliases, padding):
    everything = np.zeros((3, 3, 3, 1))
    everything[1, 1] = 1  # lets every frequency pass
    model = _net(everything, stride, padding=padding)
    table = filter_diagnosis(model, images=_images(frequency))
    assert table["aliasing"].item() == pytest.approx(1 - 1 / stride**2, abs=0.03)
    assert table["aliasing_images"].item() == pytest.approx(aliases, abs=0.03)
    assert table.attrs == {"layer": "first", "kernel": (3, 3), "stride": (stride, stride), "images": 3, "skipped": []}


def test_dead_filters_by_their_weights_and_by_what_they_answer():
    kernels = np.zeros((3, 3, 3, 4))
    kernels[..., :2] = np.random.default_rng(0).normal(size=(3, 3, 3, 2))
    kernels[1, 1, :, 3] = -1  # answers bright images with less than nothing
    model = _net(kernels, activation="relu")
    weights = filter_diagnosis(model)
    assert weights["dead"].tolist() == [False, False, True, False]
    assert np.isnan(weights.loc[2, ["low", "aliasing"]].astype(float)).all()
    images = np.random.default_rng(1).uniform(0, 1, (4, 32, 32, 3)).astype(np.float32)
    seen = filter_diagnosis(model, images=images)
    assert seen["dead"].tolist() == [False, False, True, True]
    assert seen["peak"].tolist()[2:] == [0, 0]
    responses = model(images).numpy()
    np.testing.assert_allclose(seen["peak"], responses.max(axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(seen["active"], (responses > 0).mean(axis=(0, 1, 2)), atol=1e-6)
    assert np.isnan(seen.loc[2, "aliasing_images"])


def test_copies_are_the_nearest_filters():
    kernels = np.random.default_rng(0).normal(size=(5, 5, 3, 4))
    kernels[..., 3] = -2 * kernels[..., 1]
    table = filter_diagnosis(_net(kernels))
    assert table["nearest"].tolist()[1::2] == pytest.approx([1, 1])
    assert (table["nearest"][::2] < 0.9).all()
    assert np.isnan(filter_diagnosis(_net(kernels[..., :1]))["nearest"].item())


def test_dilated_and_depthwise_filters_are_read_as_they_act():
    kernels = _wave(0.25, side=8)[..., None]
    apart = np.zeros((15, 15, 3, 1))
    apart[::2, ::2] = kernels
    dilated = filter_diagnosis(_net(kernels, dilation_rate=2, size=40))
    np.testing.assert_allclose(
        dilated[["low", "high"]], filter_diagnosis(_net(apart, size=40))[["low", "high"]], atol=0.02
    )
    layer = keras.layers.DepthwiseConv2D(16, name="deep", use_bias=False, strides=2)
    model = keras.Sequential([keras.Input((32, 32, 2)), layer])
    layer.set_weights([np.stack([_wave(0.0)[..., 0], _wave(0.5)[..., 0]], axis=2)[..., None].astype(np.float32)])
    table = filter_diagnosis(model, images=_images(0.1, channels=2))
    assert table["low"][0] > 0.9
    assert table["high"][1] > 0.9
    assert table["peak"][0] > 10 * table["peak"][1]


def test_layers_are_found_and_refused_by_name(shared_model):
    model = shared_model("nested")
    assert filter_diagnosis(model).attrs["layer"] == "encoder/innermost/conv1"
    assert len(filter_diagnosis(model, "conv2")) == 5
    with pytest.raises(
        ValueError, match=r"must be a two-dimensional convolution .*'predictions'.*Its convolutions are .*/conv1"
    ):
        filter_diagnosis(model, "predictions")
    with pytest.raises(ValueError, match="Did you mean"):
        filter_diagnosis(model, "convl")
    with pytest.raises(ValueError, match="must have a two-dimensional convolution"):
        filter_diagnosis(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]))
    with pytest.raises(ValueError, match="0 < low < high"):
        filter_diagnosis(model, low=0.3)
    with pytest.raises(ValueError, match="dead_below"):
        filter_diagnosis(model, dead_below=1)


def test_files_are_read_and_unreadable_ones_told(tmp_path):
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 50, 3), np.uint8)
        pictures.write(tmp_path / f"{number}.png", pixels)
    (tmp_path / "torn.png").write_bytes(b"torn")
    model = _net(np.random.default_rng(0).normal(size=(3, 3, 3, 2)), 2)
    table = filter_diagnosis(model, images=tmp_path, preprocessing="unit")
    assert table.attrs["images"] == 3
    assert [name.endswith("torn.png") for name in table.attrs["skipped"]] == [True]


def test_the_picture_shows_the_colors_of_the_weights():
    kernels = np.zeros((4, 4, 3, 3))
    kernels[:2, :, 0, 0] = 1  # red above
    kernels[..., 1] = -0.1
    table = filter_diagnosis(_net(kernels))
    plain, marked = draw_filters(_net(kernels)), draw_filters(_net(kernels), table=table)
    assert plain.shape == marked.shape
    assert (plain != marked).any()  # the third is dead, and said to be
    alone = draw_filters(_net(kernels), channels=[0], title="")
    red = (alone == (255, 128, 128)).all(axis=2)
    assert red.any()
    assert red.nonzero()[0].mean() < (alone == 128).all(axis=2).nonzero()[0].mean()
    swapped = draw_filters(_net(kernels), channels=[0], bgr=True, title="")
    assert (swapped == (128, 128, 255)).all(axis=2).any()
    weak = draw_filters(_net(kernels), channels=[1], scale="layer", title="")
    assert not (weak == 0).all(axis=2).any()
    with pytest.raises(ValueError, match="has 3 filters"):
        draw_filters(_net(kernels), channels=[3])
    with pytest.raises(ValueError, match="with 2"):
        draw_filters(_net(np.ones((3, 3, 2, 2))))


def test_a_broken_filter_is_named_and_the_others_are_judged():
    layer = keras.layers.Conv2D(4, 3)
    model = keras.Sequential([keras.Input((8, 8, 1)), layer])
    kernels = np.random.default_rng(0).normal(size=(3, 3, 1, 4)).astype(np.float32)
    kernels[..., 3] = kernels[..., 0]
    kernels[..., 1] = np.nan
    layer.kernel.assign(kernels)
    with pytest.warns(UserWarning, match=r"Filters of .* have NaN or infinite weights: \[1\]"):
        table = filter_diagnosis(model)
    assert table["nearest"].iloc[[0, 3]].round(6).tolist() == [1, 1] and np.isnan(table["nearest"].iloc[1])
    assert not table["dead"].any()
