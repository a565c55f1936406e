"""Names in sentences; and public names that have changed, which still work for a release."""

import importlib
import inspect
import warnings

import numpy as np
import pandas as pd
import pytest

import kerasal
from kerasal import atlas, batch, gaze, images, layers, localization, maximization, receptive_field, training
from kerasal.datasets import ClassImages, GazeDataset
from kerasal.names import (
    abbreviate,
    describe_skipped,
    group_skipped,
    renamed_arguments,
    similar_names,
    unknown_name_message,
)

import keras


@pytest.mark.parametrize("folder", ["atlas", "gaze", "localization", "metrics", "probe", "receptive_field"])
def test_old_names_warn_and_are_the_new(folder):
    module = importlib.import_module(f"kerasal.{folder}")
    renamed = module._RENAMED
    for old, new in renamed.items():
        with pytest.warns(DeprecationWarning, match=rf"^{folder}\.{old} is called {folder}\.{new} now\.$"):
            assert getattr(module, old) is getattr(module, new)
        assert new in module.__all__
        assert old not in module.__all__
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        module.nothing  # noqa: B018


def test_the_old_way_to_fit_an_image_takes_its_old_argument():
    image = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    with pytest.warns(DeprecationWarning, match="images.crop_square is called images.fit_image now"):
        fitted = images.crop_square(image, (5, 5), fit="stretch")
    np.testing.assert_array_equal(fitted, images.fit_image(image, (5, 5), "stretch"))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        images.nothing  # noqa: B018


def test_old_options_warn():
    image = np.full((12, 12, 3), 100, np.uint8)
    image[3:9, 3:9] = (200, 30, 30)
    saliency = np.zeros((12, 12))
    saliency[4:8, 4:8] = 1 + np.arange(16).reshape(4, 4)
    new = localization.graphcut(image, saliency, prior=20.0, color=2.0)
    with pytest.warns(DeprecationWarning, match="option colour of graphcut is called color"):
        np.testing.assert_array_equal(localization.graphcut(image, saliency, prior=20.0, colour=2.0), new)
    with pytest.raises(TypeError, match=r"Unknown option of graphcut .colr.\. Did you mean color"):
        localization.graphcut(image, saliency, colr=2.0)


@renamed_arguments(net="model")
def describe(model: int, *, size: int = 1) -> tuple[int, int]:
    """Describe."""
    return model, size


def make_gaze_data():
    return GazeDataset(
        [np.zeros((6, 6, 3), np.uint8)] * 2, [np.array([[1.0, 2.0]]), np.zeros((0, 2))], names=["a", "b"]
    )


def make_gaze_model():
    return keras.Sequential([keras.Input((6, 6, 3)), keras.layers.Conv2D(1, 1)])


def read_old(instance, old, new):
    """Return an attribute by its old name, which must warn."""
    owner = instance if isinstance(instance, type) else type(instance)
    message = f"{owner.__name__}.{old} is called {owner.__name__}.{new} now."
    with pytest.warns(DeprecationWarning) as warned:
        value = getattr(instance, old)
    assert [str(warning.message) for warning in warned] == [message]
    assert warned[0].filename == __file__
    return value


def call_old(function, *args, **arguments):
    """Return what a function returns for arguments of which one has its old name, which must warn."""
    with pytest.warns(DeprecationWarning, match=r"^The argument \w+ of [\w.]+ is called \w+ now\.$") as warned:
        warnings.filterwarnings("ignore", message=".*___pyct_anno")  # TensorFlow's; pytest would raise it again
        value = function(*args, **arguments)
    assert warned[0].filename == __file__
    return value


def test_old_attributes_of_results_are_the_new():
    fields = {
        training.GazeTraining: {"net": "model"},
        receptive_field.Evolution: {"found": "exemplars"},
        receptive_field.CenterSurround: {"colour": "color"},
        localization.Localization: {"number": "class_index"},
        atlas.AtlasResult: {"made": "completed", "left": "remaining", "tally": "counts"},
    }
    for result, renamed in fields.items():
        instance = result(**{name: object() for name in result.__dataclass_fields__})
        assert not renamed.keys() & result.__dataclass_fields__.keys()
        for old, new in renamed.items():
            assert read_old(instance, old, new) is getattr(instance, new)


def test_old_methods_of_gaze_data_are_the_new():
    data = make_gaze_data()
    assert read_old(GazeDataset, "of", "from_stimuli")([data.stimulus(0)]).names == ["a"]
    assert read_old(data, "joined", "concatenate")(data).names == data.concatenate(data).names
    assert read_old(data, "empty", "unusable_images")() == data.unusable_images() == {"b": "there are no fixations"}


def test_old_arguments_of_gaze_data_are_the_new():
    data = make_gaze_data()
    for method in (data.stimulus, data.image, data.fixations, data.subjects, data.fixation_map, data.density):
        np.testing.assert_equal(call_old(method, which="a"), method(index="a"))
    assert call_old(data.subset, which=["b"]).names == data.subset(index=["b"]).names == ["b"]


def test_old_methods_of_class_images_are_the_new():
    pixels = np.arange(3 * 4, dtype=np.uint8).reshape(3, 2, 2, 1)
    data = ClassImages(["x"], [], np.zeros(3, np.int32), (2, 2, 1), pixels=pixels)
    np.testing.assert_array_equal(read_old(data, "take", "load_images")([2]), data.load_images([2]))
    assert read_old(data, "select", "subset") == data.subset
    assert read_old(data, "fingerprint", "digest") == data.digest


def test_old_names_of_gaze_models_are_the_new():
    opened = kerasal.open_model(make_gaze_model(), preprocessing="unit")
    predictor = read_old(gaze.Predictor, "of", "from_image_model")(opened)
    assert isinstance(predictor, gaze.Predictor)
    assert read_old(predictor, "net", "model") is predictor.model is opened.keras_model
    recipe = training.RECIPES["coursework"]
    assert read_old(recipe, "shown", "images_per_epoch")(3) == recipe.images_per_epoch(3) == 6


def test_old_arguments_of_training_and_batches_are_the_new(tmp_path):
    model, images = make_gaze_model(), np.zeros((2, 6, 6, 3), np.uint8)
    data = images, np.ones((2, 6, 6), np.float32) / 36
    settings = {"output": tmp_path / "run", "epochs": 1, "batch_size": 2, "progress": False}
    assert call_old(training.train_gaze, net=model, data=data, validation=data, **settings).model is model
    with call_old(layers.center_bias_switched_off, net=model) as switched:
        assert switched == []


def test_old_arguments_of_a_batch_are_the_new(tmp_path):
    images.write(tmp_path / "photos" / "a.png", np.zeros((6, 6, 3), np.uint8))
    settings = {"images": tmp_path / "photos", "out": tmp_path / "maps", "format": "npz", "threads": None}
    with (
        pytest.warns(DeprecationWarning, match=r"argument out of batch\.run is called output_dir now"),
        pytest.warns(DeprecationWarning, match=r"argument net_options of batch\.run is called model_options now"),
        pytest.raises(ValueError, match="model_options must be KEY=VALUE"),
    ):
        batch.run("class_saliency", "mnist_cnn", net_options=("x",), **settings)


def test_old_arguments_of_figures_are_the_new():
    image, mask = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), np.uint8), np.ones((8, 8), bool)
    maximized = maximization.Maximization(image, image, pd.DataFrame(), [], [])
    table = pd.DataFrame({"constant": [1.0], "area": [3]})
    propagation = receptive_field.Propagation(image / 255, (1.0,), 1.0, 0.1, table)
    cut = localization.Segmentation(mask, mask, mask, mask)
    located = [localization.Localization(0, 1.0, image[0], mask.astype(float), cut, mask, (1, 1, 6, 6))]
    arguments = {"photograph": image[0], "names": ["a"], "note": ""}
    for draw, new, result, others in (
        (maximization.draw_maximized, "maximization", maximized, {"names": ["a"]}),
        (receptive_field.draw_propagation, "propagation", propagation, {}),
        (localization.draw_localizations, "localizations", located, arguments),
    ):
        np.testing.assert_array_equal(call_old(draw, found=result, **others), draw(**{new: result}, **others))


def test_an_argument_has_one_of_its_names():
    assert call_old(describe, net=3, size=2) == describe(3, size=2) == (3, 2)
    assert list(inspect.signature(describe).parameters) == ["model", "size"]
    assert (describe.__name__, describe.__doc__) == ("describe", "Describe.")
    with pytest.raises(TypeError, match=r"takes model or its old name net, got both\. Use model\."):
        describe(net=3, model=3)
    with pytest.raises(TypeError, match="multiple values"), pytest.warns(DeprecationWarning, match="called model now"):
        describe(3, net=3)


def test_few_names_are_listed_and_many_counted():
    assert abbreviate("abc") == "a, b, c"
    assert abbreviate(range(10)) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"
    assert abbreviate("abc", 2) == "a, b and 1 more"
    assert abbreviate([]) == ""


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, ""),
        (1, "1 file could not be read: 0.png (damaged)."),
        (2, "2 files could not be read: 0.png (damaged); 1.png (damaged)."),
    ],
)
def test_skipped_files_are_counted_and_named(count, expected):
    assert describe_skipped([(f"{number}.png", "damaged") for number in range(count)]) == expected


def test_of_many_skipped_files_the_first_are_named():
    said = describe_skipped([(f"{number}.png", "") for number in range(7)])
    assert said == "7 files could not be read: 0.png; 1.png; 2.png; 3.png; 4.png; and 2 more."


def test_the_closest_names_are_offered():
    known = ["encoder/conv1", "head"]
    assert unknown_name_message("convl", known, "layer").startswith("Unknown layer 'convl'. Did you mean encoder/conv1")
    assert unknown_name_message("x", ["head"], "layer", " of it") == "Unknown layer 'x' of it. There is head."


@pytest.mark.parametrize(
    ("name", "similar"),
    [
        (
            "cat",
            ["tabby cat", "tiger cat", "Egyptian cat", "cat bear"],
        ),  # neither car nor polecat, of which it is a part
        ("fish", ["goldfish"]),
        ("egyptian_cat", ["Egyptian cat"]),
        ("car", ["car", "carton"]),
        ("taby cat", ["tabby cat"]),
        ("goldfihs", ["goldfish"]),
        ("kitten", []),
        ("cta", []),
        ("", []),
    ],
)
def test_suggestions_differ_by_few_letters_or_contain_the_word(name, similar):
    known = ["car", "carton", "cat bear", "Egyptian cat", "goldfish", "mitten", "polecat", "tabby cat", "tiger cat"]
    assert similar_names(name, known) == similar


def test_all_of_few_names_are_listed_where_none_is_similar():
    assert unknown_name_message("cut", ["car", "cat"], "class") == "Unknown class 'cut'. There is car, cat."


def test_names_with_the_same_reason_are_one_entry():
    skipped = [("one", "No ReLU."), ("two", "No attention."), ("three", "No ReLU.")]
    assert group_skipped(skipped) == [("one, three", "No ReLU."), ("two", "No attention.")]
