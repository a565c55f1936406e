"""Images in the graph are the images of the library: resized, cropped, decoded and prepared alike."""

import io

import numpy as np
import pytest
from PIL import Image

from kerasal import images, preprocessing
from kerasal.serving import graph_resize, request_inputs
from kerasal.serving.request_inputs import to_inputs

import tensorflow as tf


@pytest.fixture(scope="module")
def photograph():
    return images.read(images.__file__.replace("images/__init__.py", "assets/cat.jpg"))


@pytest.fixture(scope="module")
def in_graph():
    """``fit_image`` in a graph that does not know the images' size beforehand."""
    specs = [tf.TensorSpec((None, None, None, 3), tf.uint8), tf.TensorSpec((2,), tf.int32)]

    def make(fit):
        return tf.function(lambda x, size: graph_resize.fit_image(x, (size[0], size[1]), fit), input_signature=specs)

    return {fit: make(fit) for fit in ("crop", "stretch")}


SIZES = {
    "smaller": ((240, 320), (60, 80)),
    "smaller, not by a whole factor": ((241, 319), (97, 64)),
    "larger": ((20, 30), (57, 64)),
    "the same": ((50, 40), (50, 40)),
    "wider but smaller": ((200, 30), (40, 50)),
    "taller but larger": ((60, 20), (50, 90)),
    "much wider": ((100, 90), (40, 300)),
    "one pixel": ((1, 1), (7, 5)),
    "to one pixel": ((30, 40), (1, 1)),
}


@pytest.mark.parametrize("fit", ["crop", "stretch"])
@pytest.mark.parametrize("name", SIZES)
def test_resizing_is_that_of_the_library(name, fit, photograph, in_graph):
    have, want = SIZES[name]
    small = images.resize(photograph, have)
    other = small[::-1].copy()
    found = in_graph[fit](np.stack([small, other]), want).numpy()
    expected = np.stack([images.fit_image(one, want, fit) for one in (small, other)])
    assert found.shape == expected.shape
    difference = np.abs(found.astype(int) - expected)
    assert difference.max() <= 1
    assert difference.mean() < 0.2  # fixed-point rounding


@pytest.mark.parametrize("convention", [*preprocessing.CONVENTIONS, "mean=104/117/124,std=57,bgr"])
def test_preprocessing_is_the_same_to_the_last_bit(convention):
    chosen = preprocessing.get(convention)
    every = np.stack(np.meshgrid(np.arange(256), np.arange(3), indexing="ij"), -1).sum(-1).astype(np.uint8)
    pixels = np.stack([every, every[::-1], 255 - every], axis=-1)[None]
    found = tf.function(lambda x: to_inputs(x, chosen))(pixels).numpy()
    np.testing.assert_array_equal(found, chosen.apply(pixels))


def _encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def test_decoding_is_that_of_the_library(photograph, tmp_path):
    color = Image.fromarray(photograph)
    cover = np.arange(photograph[..., 0].size, dtype=np.uint8).reshape(photograph.shape[:2])
    alpha = Image.fromarray(np.dstack([photograph, cover]))
    files = {
        "jpeg": (_encoded(color, "JPEG", quality=92), 0),
        "progressive": (_encoded(color, "JPEG", progressive=True), 0),
        "gray jpeg": (_encoded(color.convert("L"), "JPEG"), 0),
        "png": (_encoded(color, "PNG"), 0),
        "palette": (_encoded(color.quantize(16), "PNG"), 0),
        "gray png": (_encoded(color.convert("L"), "PNG"), 0),
        "black and white": (_encoded(color.convert("1"), "PNG"), 0),
        "transparent": (_encoded(alpha, "PNG"), 1),
        "transparent gray": (_encoded(alpha.convert("LA"), "PNG"), 1),
    }
    decode = tf.function(request_inputs.decode_image, input_signature=[tf.TensorSpec((), tf.string)])
    for name, (contents, apart) in files.items():
        (tmp_path / "image").write_bytes(contents)
        found, expected = decode(contents).numpy(), images.read(tmp_path / "image")
        assert np.abs(found.astype(int) - expected).max() <= apart, name
