"""Top exemplars: found by brute force too, carried back as the deconvnet does, from files, arrays and streams alike."""

import dataclasses
import os
import threading

import numpy as np
import pytest

from kerasal import attribution, feature_maps, images, objectives, receptive_field, store
from kerasal.models import image_sources
from kerasal.models.image_model import ImageModel
from kerasal.preprocessing import get
from kerasal.receptive_field.exemplars import exemplar_pages, exemplar_search
from kerasal.receptive_field.exemplars.exemplar_pages import draw_reconstruction
from kerasal.receptive_field.exemplars.exemplar_search import Search
from kerasal.receptive_field.geometry.field_geometry import cut_box

import keras
import tensorflow as tf

LAYER, CHANNELS = "norm", [2, 1]
PIXELS = "mean=127,std=40"  # under which both channels answer


@pytest.fixture(scope="module")
def model(shared_model):
    return shared_model("functional")


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(5).integers(0, 256, (30, 8, 8, 3), np.uint8)


@pytest.fixture(scope="module")
def found(model, pixels):
    return receptive_field.top_exemplars(model, LAYER, CHANNELS, pixels, preprocessing=PIXELS)


@pytest.fixture
def folder(pixels, tmp_path):
    """The pixels as files, in the same order, in two folders, with what is no image among them."""
    for number, one in enumerate(pixels):
        images.write(tmp_path / "photos" / ("a" if number < 20 else "b") / f"{number:02d} photo.png", one)
    (tmp_path / "photos" / "notes.txt").write_text("not an image, and not called one")
    (tmp_path / "photos" / ".hidden.png").write_bytes(b"")
    return tmp_path / "photos"


def same(first, second):
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(one.activations, other.activations, rtol=1e-5)
        np.testing.assert_array_equal(one.numbers, other.numbers)
        np.testing.assert_array_equal(one.positions, other.positions)
        np.testing.assert_array_equal(one.crops, other.crops)
        np.testing.assert_allclose(one.reconstructions, other.reconstructions, rtol=1e-4, atol=1e-5)


def test_the_nine_strongest_images_sorted(model, pixels, found):
    maps = feature_maps(model, get(PIXELS).apply(pixels), LAYER)
    for one, channel in zip(found, CHANNELS, strict=True):
        strongest = maps[..., channel].reshape(len(maps), -1).max(axis=1)
        order = np.argsort(-strongest, kind="stable")[:9]
        assert one.channel == channel and len(one) == 9 and one.seen == 30
        np.testing.assert_array_equal(one.numbers, order)
        np.testing.assert_allclose(one.activations, strongest[order], rtol=1e-5)
        assert (np.diff(one.activations) <= 0).all() and one.activations[0] > one.activations[-1] > 0
        assert one.names == [str(number) for number in order]
        for number, (x, y) in zip(one.numbers, one.positions, strict=True):
            assert maps[number, y, x, channel] == maps[number, ..., channel].max()


def test_the_unit_alone_is_carried_back_and_cut_to_its_field(model, pixels, found):
    """As Zeiler & Fergus: the activation enters at one unit, everything else of the layer is zero."""
    field = receptive_field.field(model, LAYER)
    inputs = get(PIXELS).apply(pixels)
    for one in found:
        for rank, number in enumerate(one.numbers):
            place = one.positions[rank]
            unit = objectives.neuron(LAYER, one.channel, tuple(place))
            back = one.activations[rank] * attribution.deconvnet(model, inputs[number], unit)[0]
            box = field.box(place[1], place[0])
            assert tuple(one.boxes[rank]) == box
            np.testing.assert_allclose(one.reconstructions[rank], cut_box(back, box, 0), rtol=1e-4, atol=1e-5)
            outside = back.copy()
            outside[max(box[1], 0) : box[3], max(box[0], 0) : box[2]] = 0
            assert not outside.any() and back.any()
            np.testing.assert_array_equal(one.crops[rank], cut_box(pixels[number], box, 128))
        assert one.boxes.min() < 0  # some fields reach into the padding, where the patch is gray
        assert one.crops.shape == (9, *field.size, 3)


def test_a_box_is_cut_with_what_lies_outside_filled():
    image = np.arange(12, dtype=np.float32).reshape(3, 4, 1)
    assert cut_box(image, (2, 1, 4, 3), -1)[..., 0].tolist() == [[6, 7], [10, 11]]
    assert cut_box(image, (-1, 2, 2, 4), -1)[..., 0].tolist() == [[-1, 8, 9], [-1, -1, -1]]
    assert cut_box(image, (9, 9, 10, 10), -1).tolist() == [[[-1]]]


def linear_below(*, above="relu", size=6):
    inputs = keras.Input((size, size, 1))
    tensor = keras.layers.Conv2D(2, 3, name="one")(inputs)
    tensor = keras.layers.Conv2D(2, 3, use_bias=False, name="two")(tensor)
    tensor = keras.layers.Activation(above)(tensor)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(tensor)))
    random = np.random.default_rng(2)
    model.set_weights([random.normal(size=w.shape).astype(np.float32) for w in model.get_weights()])
    return model


def test_with_linear_activations_the_deconvnet_is_the_gradient():
    """Also where even the strongest unit is negative, since no ReLU stands before it."""
    model = linear_below()
    inputs = np.random.default_rng(3).normal(size=(4, 6, 6, 1)).astype(np.float32)
    model.get_layer("one").set_weights([model.get_layer("one").get_weights()[0], np.float32([9, 9])])
    model.get_layer("two").set_weights([-np.abs(model.get_layer("two").get_weights()[0])])
    for rule in ("deconvnet", "gradient"):
        one = receptive_field.top_exemplars(model, "two", 0, inputs, 4, rule=rule)
        assert one.activations[-1] < 0
        for rank, number in enumerate(one.numbers):
            unit = objectives.neuron("two", 0, tuple(one.positions[rank]))
            gradient = attribution.input_gradient(model, inputs[number], unit)[0]
            expected = one.activations[rank] * cut_box(gradient, tuple(one.boxes[rank]), 0)
            np.testing.assert_allclose(one.reconstructions[rank], expected, rtol=1e-4, atol=1e-3)


def test_without_a_relu_the_gradient_must_be_asked_for():
    model = linear_below(above="tanh")
    inputs = np.random.default_rng(3).normal(size=(9, 6, 6, 1))
    with pytest.raises(ValueError, match="rule='gradient'"):
        receptive_field.top_exemplars(model, "two", 0, inputs)
    assert len(receptive_field.top_exemplars(model, "two", 0, inputs, rule="gradient")) == 9


def test_a_field_larger_than_the_image_shows_the_whole_image():
    inputs = keras.Input((5, 6, 1))
    tensor = keras.layers.Conv2D(1, 7, padding="same", activation="relu", name="wide")(inputs)
    model = keras.Model(inputs, tensor)
    one = receptive_field.top_exemplars(model, "wide", 0, np.ones((1, 5, 6, 1), np.float32), 1)
    x_min, y_min, x_max, y_max = one.boxes[0]
    assert (x_max - x_min, y_max - y_min) == (7, 7)
    assert one.crops.shape == (1, 5, 6, 3) and one.reconstructions.shape == (1, 5, 6, 1)


def test_batches_files_and_streams_give_the_same(model, pixels, found, folder):
    def take(given, **options):
        return receptive_field.top_exemplars(model, LAYER, CHANNELS, given, preprocessing=PIXELS, **options)

    same(found, take(pixels, batch_size=7))
    same(found, take(get(PIXELS).apply(pixels)))
    from_files = take(folder)
    same(found, from_files)
    assert from_files[0].names == [str(folder / "ab"[int(n >= 20)] / f"{n:02d} photo.png") for n in found[0].numbers]
    same(found, take([folder / "a", str(folder / "b")], batch_size=4))
    same(found, take(pixels[i : i + 8] for i in range(0, 30, 8)))
    labeled = tf.data.Dataset.from_tensor_slices((get(PIXELS).apply(pixels), np.arange(30))).batch(11)
    same(found, take(labeled))
    single = receptive_field.top_exemplars(model, LAYER, CHANNELS[1], list(pixels), 2, preprocessing=PIXELS)
    np.testing.assert_array_equal(single.numbers, found[1].numbers[:2])


def test_a_stream_keeps_only_what_may_be_needed(model):
    random = np.random.default_rng(0)
    source = image_sources.open_source((random.normal(size=(16, 8, 8, 3)) for _ in range(20)), ImageModel(model))
    largest = 0
    search = Search(model, "conv2", [0, 1], 3, source, 16)
    original = source.keep

    def keep(numbers, batch):
        nonlocal largest
        original(numbers, batch)
        largest = max(largest, len(source.kept))

    source.keep = keep
    ranking = search.run()
    assert search.seen == 320 and 3 <= largest <= 6
    assert set(source.kept) == set(ranking.numbers.ravel().tolist())


def test_unreadable_files_are_skipped_counted_and_named(model, found, folder):
    (folder / "a" / "05 broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    (folder / "zero.png").write_bytes(b"")
    with pytest.warns(
        UserWarning,
        match=r"2 files could not be read: .*05 broken.jpg .*zero.png \(must be an image, got an empty file",
    ):
        some = receptive_field.top_exemplars(model, LAYER, CHANNELS, folder, preprocessing=PIXELS, batch_size=4)
    assert some[0].seen == 30 and len(some[0].skipped) == 2
    assert [os.path.basename(name) for name in some[0].names] == [f"{n:02d} photo.png" for n in found[0].numbers]
    (folder / "only").mkdir()
    (folder / "only" / "x.png").write_bytes(b"x")
    with pytest.raises(
        ValueError, match=r"images must contain a readable image, but there is none. 1 file could not be read: .*x.png"
    ):
        receptive_field.top_exemplars(model, "conv2", 0, folder / "only", preprocessing=PIXELS)


def test_fewer_images_than_k(model, pixels):
    with pytest.warns(UserWarning, match="only 4 images for k=9"):
        few = receptive_field.top_exemplars(model, "conv2", 0, pixels[:4], preprocessing=PIXELS)
    assert len(few) == 4 and sorted(few.numbers) == [0, 1, 2, 3]
    assert few.crops.shape[0] == few.reconstructions.shape[0] == 4


def test_a_stopped_search_goes_on(model, found, folder, tmp_path, monkeypatch):
    journal = tmp_path / "journal"
    read, reads, stop = image_sources.read, [], threading.Event()

    def stopping(path):
        reads.append(path.name)
        if path.name.startswith("17") and not stop.is_set():
            raise KeyboardInterrupt
        return read(path)

    monkeypatch.setattr(image_sources, "read", stopping)
    settings = {"preprocessing": PIXELS, "batch_size": 4, "journal": journal}
    with pytest.raises(
        KeyboardInterrupt, match=r"Stopped after 16 images; saved in .*journal. Run the same search again"
    ):
        receptive_field.top_exemplars(model, LAYER, CHANNELS, folder, **settings)
    assert journal.is_file()
    stop.set()
    reads.clear()
    same(found, receptive_field.top_exemplars(model, LAYER, CHANNELS, folder, **settings))
    again = {f"{number:02d} photo.png" for one in found for number in one.numbers}
    assert set(reads) == {f"{number:02d} photo.png" for number in range(16, 30)} | again
    assert not journal.exists()


def test_another_search_does_not_take_up_a_journal(model, found, folder, tmp_path, monkeypatch):
    journal, read = tmp_path / "journal", image_sources.read

    def stopping(path):
        if path.name.startswith("17"):
            raise KeyboardInterrupt
        return read(path)

    monkeypatch.setattr(image_sources, "read", stopping)
    with pytest.raises(KeyboardInterrupt):
        receptive_field.top_exemplars(
            model, "conv2", [1, 2], folder, preprocessing=PIXELS, batch_size=4, journal=journal
        )
    monkeypatch.undo()
    same(found, receptive_field.top_exemplars(model, LAYER, CHANNELS, folder, preprocessing=PIXELS, journal=journal))
    with pytest.raises(ValueError, match="journal must be None"):
        receptive_field.top_exemplars(model, "conv2", 0, np.zeros((2, 8, 8, 3)), journal=journal)


@pytest.mark.parametrize("change", ["activation", "pooling", "strides"])
@pytest.mark.quick("strides")
def test_another_architecture_does_not_take_up_a_journal(folder, tmp_path, monkeypatch, change):
    """Of the same weights; compared with a search from the beginning."""

    def small(activation="relu", pooling=keras.layers.MaxPooling2D, strides=2):
        keras.utils.set_random_seed(3)
        layers = [keras.layers.Conv2D(3, 3, strides=strides, padding="same", activation=activation, name="conv")]
        layers += [pooling(2, name="pool"), keras.layers.Conv2D(3, 2, padding="same", activation="relu", name="last")]
        return keras.Sequential([keras.Input((8, 8, 3)), *layers])

    def search(model, **options):
        settings = {"preprocessing": PIXELS, "batch_size": 4, "rule": "gradient"}
        return receptive_field.top_exemplars(model, "last", [0, 1], folder, 3, **settings, **options)

    changed = small(
        **{change: {"activation": "softplus", "pooling": keras.layers.AveragePooling2D, "strides": 1}[change]}
    )
    fresh, read = search(changed), image_sources.read

    def stopping(path):
        if path.name.startswith("27"):
            raise KeyboardInterrupt
        return read(path)

    monkeypatch.setattr(image_sources, "read", stopping)
    with pytest.raises(KeyboardInterrupt):
        search(small(), journal=tmp_path / "journal")
    monkeypatch.undo()
    same(fresh, search(changed, journal=tmp_path / "journal"))


def test_a_journal_that_cannot_be_written_ends_no_search(model, found, folder, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="cannot write"):
        receptive_field.top_exemplars(model, LAYER, 1, folder, preprocessing=PIXELS, journal=tmp_path / "file" / "j")
    monkeypatch.setattr(exemplar_search, "_WRITE_INTERVAL", 0)
    written = []
    original = store.atomic_write
    monkeypatch.setattr(
        store, "atomic_write", lambda path: full() if written else written.append(path) or original(path)
    )
    with pytest.warns(UserWarning, match="journal cannot be written: .*No space left"):
        some = receptive_field.top_exemplars(
            model, LAYER, CHANNELS, folder, preprocessing=PIXELS, batch_size=4, journal=tmp_path / "journal"
        )
    same(found, some)


def test_bad_input(model, pixels, tmp_path):
    def take(layer="conv2", channel=0, given=pixels, **options):
        return receptive_field.top_exemplars(model, layer, channel, given, **{"preprocessing": PIXELS} | options)

    with pytest.raises(ValueError, match=r"channel must be an integer in 0..4, got 5. Layer 'conv2' has 5 channels"):
        take(channel=[0, 5])
    for channel, error in ((-1, ValueError), ([], TypeError), (0.5, TypeError), ("0", TypeError)):
        with pytest.raises(error, match=r"[Cc]hannel"):
            take(channel=channel)
    with pytest.raises(ValueError, match="no spatial map"):
        take(layer="predictions")
    with pytest.raises(ValueError, match="Unknown layer"):
        take(layer="conv9")
    with pytest.raises(ValueError, match="k must be a positive integer, got"):
        take(k=0)
    with pytest.raises(ValueError, match="rule must be one of"):
        take(rule="deconv")
    with pytest.raises(ValueError, match="preprocessing must be known for"):
        take(preprocessing=None)
    with pytest.raises(ValueError, match="preprocessing must be known for"):
        take(given=images.write(tmp_path / "sub" / "one.png", pixels[0]), preprocessing=None)
    with pytest.raises(ValueError, match=r"inputs must be uint8 images .*, got int64"):
        take(given=pixels.astype(np.int64))
    with pytest.raises(ValueError, match="at least one image"):
        take(given=pixels[:0])
    with pytest.raises(ValueError, match="repeats forever"):
        take(given=tf.data.Dataset.from_tensors(pixels).repeat())
    with pytest.raises(TypeError, match="got int"):
        take(given=3)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        take(given=tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no image files"):
        take(given=tmp_path / "empty")
    with pytest.warns(UserWarning, match="pass them as uint8"):
        take(given=pixels.astype(np.float32))


def test_activations_that_overflow_name_their_image():
    inputs = keras.Input((4, 4, 1))
    model = keras.Model(inputs, keras.layers.Lambda(lambda x: tf.exp(x), name="exp")(inputs))
    values = np.zeros((20, 4, 4, 1), np.float32)
    values[13] = 1000
    with pytest.raises(ValueError, match="NaN or infinite for image 13"):
        receptive_field.top_exemplars(model, "exp", 0, values, rule="gradient")


def test_gray_models_and_models_of_any_size(tmp_path):
    inputs = keras.Input((None, None, 1))
    outputs = keras.layers.Conv2D(1, 3, activation="relu", use_bias=False, name="conv")(inputs)
    model = keras.Model(inputs, outputs)
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[1, 1] = 1
    model.set_weights([kernel])
    picture = np.zeros((20, 20, 3), np.uint8)
    picture[4, 11] = (0, 200, 0)
    path = images.write(tmp_path / "dot.png", picture)
    one = receptive_field.top_exemplars(model, "conv", 0, path, 1, preprocessing="unit", size=(20, 20))
    gray = round(200 * 0.587)
    assert one.activations[0] == pytest.approx(gray / 255)
    assert one.positions.tolist() == [[10, 3]] and one.boxes.tolist() == [[10, 3, 13, 6]]
    assert one.crops[0, ..., 0].tolist() == [[0, 0, 0], [0, gray, 0], [0, 0, 0]]
    assert one.reconstructions[0, 1, 1, 0] == pytest.approx(gray / 255)
    ready = receptive_field.top_exemplars(model, "conv", 0, np.ones((2, 7, 9, 1), np.float32), 2)
    assert ready.boxes.tolist() == [[0, 0, 3, 3]] * 2  # of a tie the first unit and the first image
    assert ready.numbers.tolist() == [0, 1]
    with pytest.raises(ValueError, match="must all have the shape"):
        receptive_field.top_exemplars(model, "conv", 0, iter([np.ones((2, 7, 9, 1)), np.ones((2, 8, 9, 1))]), 2)


def test_a_silent_channel_is_called_so(model, pixels):
    silent = receptive_field.top_exemplars(model, "conv2", 0, pixels, 2, preprocessing="tf")
    assert silent.activations.tolist() == [0, 0] and silent.numbers.tolist() == [0, 1]
    assert not silent.reconstructions.any()
    page = receptive_field.draw_exemplars(silent, tile=40)
    assert page.std() > 10
    # The patches are there by chance, so they are not drawn: another silent channel has the same page but for its name.
    other = dataclasses.replace(silent, crops=255 - silent.crops)
    np.testing.assert_array_equal(receptive_field.draw_exemplars(other, tile=40), page)
    loud = (dataclasses.replace(one, activations=silent.activations + 1) for one in (silent, other))
    assert np.ptp([receptive_field.draw_exemplars(one, tile=40) for one in loud], axis=0).any()


def test_silent_channels_are_listed_and_take_no_place(found, monkeypatch):
    page = receptive_field.draw_exemplars(found, tile=40)
    quiet = dataclasses.replace(found[0], channel=77, activations=0 * found[0].activations)
    notes = []
    draw = exemplar_pages.images.sheet
    monkeypatch.setattr(
        exemplar_pages.images,
        "sheet",
        lambda panels, **options: notes.append(options["note"]) or draw(panels, **options),
    )
    with_quiet = receptive_field.draw_exemplars([*found, quiet], tile=40)
    assert "no image activates: 77." in notes[0]
    assert with_quiet.shape[1] == page.shape[1] and len(with_quiet) - len(page) < 40  # at most a line of text


def test_the_page_shows_pairs(found):
    page = receptive_field.draw_exemplars(found, title="two channels", tile=160)
    alone = receptive_field.draw_exemplars(found[0], tile=160)
    assert page.shape[1] > 1.8 * alone.shape[1] and page.dtype == np.uint8
    assert len(np.unique(alone.reshape(-1, 3), axis=0)) > 300


def test_reconstructions_are_drawn_in_the_colors_of_the_image():
    from kerasal.receptive_field.exemplars.exemplar_pages import draw_reconstruction

    back = np.zeros((2, 2, 3), np.float32)
    back[0, 0] = (1, 0, 0)  # blue, for a model that takes BGR
    assert draw_reconstruction(back, get("caffe"))[0, 0].tolist() == [128, 128, 255]
    assert draw_reconstruction(back, None)[0, 0].tolist() == [255, 128, 128]
    assert draw_reconstruction(0 * back, None).tolist() == [[[128] * 3] * 2] * 2


def test_a_net_that_overflows_is_drawn_as_no_response():
    """One NaN epoch must not spoil the strip of all the others."""
    reconstruction = np.ones((4, 4, 1), np.float32)
    reconstruction[0] = np.nan
    picture = draw_reconstruction(reconstruction, None)
    assert (picture[0] == 128).all()
    assert (picture[1:] > 200).all()
