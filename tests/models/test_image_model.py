"""ImageModel: one answer to what image a model takes, for every way of building it."""

import numpy as np
import pytest

import kerasal
from kerasal import images
from kerasal.models import ImageModel, NoPreprocessing, mean_input, open_model, open_source

import keras
import tensorflow as tf


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.body = keras.Sequential([keras.layers.Conv2D(2, 3), keras.layers.Flatten(), keras.layers.Dense(5)])

    def call(self, inputs):
        return self.body(inputs)


def functional(shape=(24, 32, 3)):
    x = inputs = keras.Input(shape)
    x = keras.layers.Conv2D(2, 3)(x)
    return keras.Model(inputs, keras.layers.Dense(5)(keras.layers.GlobalAveragePooling2D()(x)), name="functional")


def sequential_without_input():
    model = keras.Sequential([keras.layers.Conv2D(2, 3), keras.layers.Flatten(), keras.layers.Dense(5)])
    model(np.zeros((1, 24, 32, 3), np.float32))
    return model


def subclassed():
    model = Subclassed()
    model(np.zeros((1, 24, 32, 3), np.float32))
    return model


def channels_first():
    inputs = keras.Input((3, 24, 32))
    x = keras.layers.DepthwiseConv2D(3, data_format="channels_first")(inputs)
    x = keras.layers.GlobalAveragePooling2D(data_format="channels_first")(x)
    return keras.Model(inputs, keras.layers.Dense(5)(x))


BUILDERS = [functional, sequential_without_input, subclassed, channels_first]
PHOTO = np.random.default_rng(0).integers(0, 256, (50, 40, 3), dtype=np.uint8)


@pytest.fixture(params=BUILDERS, ids=lambda build: build.__name__)
def opened(request):
    keras.utils.set_random_seed(0)
    return ImageModel(request.param(), "unit")


def test_every_way_of_building_gets_one_answer(opened):
    assert opened.shape == (24, 32, 3) and opened.input_shape() == (24, 32, 3)
    assert opened.input_size(PHOTO) == (24, 32) and opened.channels == 3


def test_an_image_is_fitted_preprocessed_and_brought_back(opened):
    """The inputs are the fitted pixels by the convention, in the model's own layout; the picture is those pixels."""
    pixels = images.fit_image(PHOTO, (24, 32))
    picture, inputs = opened.show(PHOTO)
    wanted = np.float32(pixels)[None] / np.float32(255)
    np.testing.assert_array_equal(np.moveaxis(inputs, 1, -1) if opened.channels_first else inputs, wanted)
    np.testing.assert_array_equal(picture, pixels)
    np.testing.assert_array_equal(opened.picture(inputs)[0], pixels)
    np.testing.assert_array_equal(opened.picture(inputs[0]), pixels)
    np.testing.assert_array_equal(opened.inputs(PHOTO), inputs)
    ((numbers, batch),) = open_source(np.stack([PHOTO, PHOTO]), opened).batches(4)
    assert numbers == [0, 1]
    np.testing.assert_array_equal(batch, np.concatenate([inputs, inputs]))


def test_scores_are_the_models_own(opened):
    found = opened.scores([PHOTO, 255 - PHOTO], top=3)
    assert found.columns.tolist() == ["image", "rank", "class_index", "label", "score"]
    outputs = np.asarray(opened.keras_model(opened.inputs([PHOTO, 255 - PHOTO]), training=False))
    for image, rows in found.groupby("image"):
        order = np.argsort(-outputs[image])[:3]
        assert rows["class_index"].tolist() == order.tolist() and rows["rank"].tolist() == [1, 2, 3]
        np.testing.assert_array_equal(rows["score"], np.float64(outputs[image][order]))
        assert rows["label"].tolist() == [f"class {number}" for number in order]


def test_a_free_size_is_the_images_own_at_most_512_or_what_was_asked():
    model = functional((None, None, 3))
    assert ImageModel(model, "unit").shape == (None, None, 3)
    assert ImageModel(model, "unit").inputs(PHOTO).shape == (1, 50, 40, 3)
    assert ImageModel(model, "unit").input_size(np.zeros((1024, 300, 3), np.uint8)) == (512, 150)
    assert ImageModel(model, "unit").inputs([PHOTO, PHOTO]).shape == (2, 224, 224, 3)
    assert ImageModel(model, "unit", size=(20, 30)).inputs(PHOTO).shape == (1, 20, 30, 3)
    assert ImageModel(subclassed(), "unit", size=(24, 32)).input_size() == (24, 32)
    with pytest.raises(ValueError, match=r"size must be that of 'functional', 24 x 32, got \(20, 30\)"):
        ImageModel(functional(), "unit", size=(20, 30)).input_size()


def test_gray_images_and_images_without_a_channel_axis():
    for shape in ((24, 32, 1), (24, 32)):
        inputs = keras.Input(shape)
        x = keras.layers.Flatten()(inputs)
        opened = ImageModel(keras.Model(inputs, keras.layers.Dense(2)(x)), "none")
        assert opened.inputs(PHOTO).shape == (1, *shape) and opened.channels == 1
        picture, made = opened.show(PHOTO)
        assert picture.shape == (24, 32, 3)
        np.testing.assert_array_equal(opened.picture(made)[0], picture)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ImageModel(functional()).show(PHOTO), NoPreprocessing, "preprocessing must be known for 'functional'"),
        (
            lambda: ImageModel(functional((9, 9, 4)), "unit").show(PHOTO),
            ValueError,
            "1 or 3 input channels",
        ),
        (
            lambda: ImageModel(functional(), "unit", fit="squeeze"),
            ValueError,
            "fit must be one of crop, stretch, got 'squeeze'",
        ),
        (lambda: ImageModel(functional(), "unit").inputs([]), ValueError, "got none"),
        (lambda: ImageModel(functional(), "unit").inputs(np.zeros((24, 32, 3), int)), ValueError, "got int64"),
        (lambda: ImageModel(functional(), "uint"), ValueError, "unit"),
        (lambda: ImageModel(Subclassed(), "unit").shape, ValueError, "has no weights yet"),
        (
            lambda: ImageModel(keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])).shape,
            ValueError,
            "one image",
        ),
        (
            lambda: open_model(functional(), labels=["a", "b"]),
            ValueError,
            "one name per class of 'functional' \\(5\\), got 2",
        ),
        (lambda: open_model(functional(), weights="imagenet"), ValueError, "only with the name of a zoo model"),
        (lambda: open_model("no/such.keras"), FileNotFoundError, "no model file"),
    ],
)
def test_what_cannot_be_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_float_images_are_inputs_and_pixels_among_them_are_told():
    opened = ImageModel(functional(), "unit")
    inputs = np.random.default_rng(1).random((2, 24, 32, 3), np.float32)
    np.testing.assert_array_equal(opened.inputs(inputs), inputs)
    with pytest.warns(UserWarning, match="pass them as uint8"):
        opened.inputs(255 * inputs)


def test_opening_a_file_a_zoo_name_and_a_model(tmp_path):
    model = functional()
    model.save(tmp_path / "net.keras")
    for source in (tmp_path / "net.keras", model):
        opened = open_model(source, preprocessing="tf", labels=list("abcde"))
        assert opened.preprocessing.name == "tf" and opened.label(1) == "b" and not opened.notes
        np.testing.assert_allclose(
            opened.outputs(opened.inputs(PHOTO)), np.asarray(model(opened.inputs(PHOTO))), rtol=1e-6
        )
    digits = open_model("mnist_cnn")
    assert digits.task == "classification" and digits.labels[3] == "3" and not digits.untrained
    assert digits.keras_model.count_params() == kerasal.model_spec("mnist_cnn").parameters
    random = open_model("mnist_cnn", options={"classes": 4})
    assert random.untrained and "random weights" in random.notes[0]
    assert open_model(digits) is digits


def test_one_output_with_two_labels_is_the_score_of_the_second():
    inputs = keras.Input((24, 32, 3))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid")(x))
    opened = open_model(model, preprocessing="unit", labels=["cat", "dog"])
    assert opened.labels == ["dog"] and "second label, 'dog'" in opened.notes[0]
    assert opened.scores(PHOTO)["label"].tolist() == ["dog"]
    with pytest.raises(ValueError, match=r"one name per class .* got 3"):
        open_model(model, preprocessing="unit", labels=["cat", "dog", "cow"])


def test_an_array_with_alpha_is_not_taken_for_many_images():
    with pytest.raises(ValueError, match="got 4 channels"):
        ImageModel(functional(), "unit").inputs(np.zeros((24, 32, 4), np.uint8))


def test_the_mean_of_images(tmp_path):
    for number in range(3):
        images.write(tmp_path / f"{number}.png", np.full((24, 32, 3), 60 * number, np.uint8))
    (tmp_path / "broken.png").write_bytes(b"no image")
    mean, count, skipped = mean_input([tmp_path], ImageModel(functional(), "unit"))
    np.testing.assert_allclose(mean, np.full((24, 32, 3), 60 / 255, np.float32))
    assert count == 3 and "broken.png" in skipped[0]


def test_a_stream_settles_a_free_size_once():
    opened = ImageModel(functional((None, None, 3)), "unit")
    source = open_source(tf.data.Dataset.from_tensor_slices(np.zeros((3, 2, 20, 20, 3), np.float32)), opened)
    assert [numbers for numbers, _ in source.batches(8)] == [[0, 1], [2, 3], [4, 5]]
    assert source.shape == (20, 20, 3) and opened.input_shape() == (224, 224, 3)
    with pytest.raises(ValueError, match="Model inputs must all have the shape"):
        list(open_source([np.zeros((1, 20, 20, 3), np.float32), np.zeros((1, 9, 9, 3), np.float32)], opened).batches(1))


def _classifier(*first):
    inputs = tensor = keras.Input((16, 16, 3))
    for layer in first:
        tensor = layer(tensor)
    tensor = keras.layers.Conv2D(4, 3, name="conv")(tensor)
    return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(tensor)))


@pytest.mark.parametrize("nested", [False, True])
def test_a_model_that_begins_with_rescaling_takes_pixels(nested):
    flip, rescale = keras.layers.RandomFlip(), keras.layers.Rescaling(1 / 127.5, offset=-1, name="scale")
    first = (keras.Sequential([flip]), keras.Sequential([rescale])) if nested else (flip, rescale)
    model = open_model(_classifier(*first))
    assert model.preprocessing.name == "none" and "'scale' rescales pixels of 0..255" in model.notes[0]
    pixels = np.full((16, 16, 3), 200, np.uint8)
    np.testing.assert_array_equal(model.inputs(pixels), np.full((1, 16, 16, 3), 200, np.float32))
    assert open_model(_classifier(*first), preprocessing="unit").preprocessing.name == "unit"


@pytest.mark.parametrize("first", [(), (keras.layers.Rescaling(2.0),), (keras.layers.Activation("tanh"),)])
def test_other_models_need_their_preprocessing(first):
    assert open_model(_classifier(*first)).preprocessing is None


def test_rescaling_of_some_pixels_only_tells_nothing():
    """Another input, or a branch beside it, receives the pixels as they are."""
    image, other = keras.Input((16, 16, 3)), keras.Input((16, 16, 3))
    for model_inputs, unscaled in ((image, image), ([image, other], other)):
        joined = keras.layers.Concatenate()([keras.layers.Rescaling(1 / 255)(image), unscaled])
        model = keras.Model(model_inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(joined)))
        assert open_model(model).preprocessing is None


def test_a_misspelled_file_is_a_missing_file(tmp_path):
    _classifier().save(tmp_path / "mine.keras")
    with pytest.raises(FileNotFoundError, match=r"no model file .*mine\.kers\. Did you mean .*mine\.keras\?"):
        open_model(tmp_path / "mine.kers")
    with pytest.raises(ValueError, match="Unknown model 'vgg61'"):
        open_model("vgg61")


def test_an_untrained_classifier_that_rescales_is_reported():
    inputs = keras.Input((32, 32, 3))
    tensor = keras.layers.Conv2D(4, 3)(keras.layers.Rescaling(1 / 255)(inputs))
    outputs = keras.layers.Dense(1000, activation="softmax")(keras.layers.GlobalAveragePooling2D()(tensor))
    model = open_model(keras.Model(inputs, outputs))
    assert model.preprocessing.name == "none"
    assert any("recognizes none of four bundled photos" in note for note in model.notes)
