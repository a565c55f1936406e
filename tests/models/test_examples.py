"""Examples of a model: photos are preprocessed, arrays and volumes are inputs, and each is drawn as what it is."""

import cv2
import numpy as np
import pytest

import kerasal
from kerasal import images
from kerasal.models.examples import read_examples
from kerasal.preprocessing import NoPreprocessing

import keras

L = keras.layers
PHOTO = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)


def image_model(preprocessing=None):
    keras.utils.set_random_seed(0)
    net = [keras.Input((8, 8, 3)), L.Conv2D(2, 3), L.GlobalAveragePooling2D(), L.Dense(2)]
    return kerasal.open_model(keras.Sequential(net), preprocessing=preprocessing)


def volume_model(shape, **options):
    net = [keras.Input(shape), L.Conv3D(2, 3, padding="same", **options), L.Flatten(), L.Dense(2)]
    return kerasal.open_model(keras.Sequential(net))


def test_a_photo_is_preprocessed_and_floats_are_inputs(tmp_path):
    model = image_model("tf")
    (photo,) = read_examples(model, PHOTO)
    np.testing.assert_array_equal(photo.inputs, model.inputs(PHOTO))
    assert photo.box == (0, 0, 8, 8) and photo.photo is not None
    (read,) = read_examples(model, photo.inputs)
    np.testing.assert_array_equal(read.inputs, photo.inputs)
    np.testing.assert_array_equal(read.picture, PHOTO)  # the preprocessing is inverted
    assert read.photo is None
    assert len(read_examples(model, np.stack([PHOTO, PHOTO]))) == len(read_examples(model, [PHOTO, PHOTO])) == 2
    assert len(read_examples(model, np.repeat(photo.inputs, 3, axis=0))) == 3
    np.save(tmp_path / "photo.npy", PHOTO)
    np.save(tmp_path / "inputs.npy", photo.inputs[0])
    np.savez(tmp_path / "both.npz", a=PHOTO, b=photo.inputs)
    for name in ("photo.npy", "inputs.npy"):
        np.testing.assert_array_equal(read_examples(model, tmp_path / name)[0].inputs, photo.inputs)
    assert read_examples(model, tmp_path / "both.npz", array="b")[0].photo is None
    assert read_examples(model, str(tmp_path / "both.npz"), array="a")[0].photo is not None
    np.testing.assert_array_equal(model.inputs(tmp_path / "inputs.npy"), photo.inputs)


def test_pixels_of_0_to_1_are_not_taken_for_inputs_of_another_range():
    with pytest.raises(ValueError, match=r"preprocessed to -1..1 .*look like pixels of 0..1. Convert them"):
        read_examples(image_model("tf"), (PHOTO / 255).astype(np.float32))
    (example,) = read_examples(image_model("unit"), (PHOTO / 255).astype(np.float32))
    np.testing.assert_array_equal(example.picture, PHOTO)
    with pytest.warns(UserWarning, match="Float images are treated as model inputs"):
        read_examples(image_model("tf"), PHOTO.astype(np.float32))


def test_a_model_of_unknown_preprocessing_takes_inputs_and_no_photos():
    model = image_model()
    (example,) = read_examples(model, np.linspace(0, 9, 192, dtype=np.float32).reshape(8, 8, 3))
    assert example.picture.min() == 0 and example.picture.max() == 255
    with pytest.raises(NoPreprocessing):
        read_examples(model, PHOTO)


@pytest.mark.parametrize(
    ("shape", "options", "turn"),
    [
        ((4, 5, 6, 1), {}, lambda voxels: voxels),
        ((4, 5, 6, 2), {}, lambda voxels: voxels),
        ((1, 4, 5, 6), {"data_format": "channels_first"}, lambda voxels: np.moveaxis(voxels, -1, 0)),
    ],
)
def test_a_volume_is_put_into_the_layout_of_the_model(shape, options, turn):
    model = volume_model(shape, **options)
    voxels = np.random.default_rng(0).normal(size=(4, 5, 6, 2 if shape[-1] == 2 else 1)).astype(np.float32)
    (example,) = read_examples(model, images.Volume(voxels, (1.0, 1.0, 3.0), "LPS"))
    np.testing.assert_array_equal(example.inputs[0], turn(voxels))
    np.testing.assert_array_equal(example.picture, voxels)
    assert example.axes == "LPS" and example.spacing == (1.0, 1.0, 3.0)


def test_pages_of_a_tiff_file_are_the_volume_of_a_model_of_volumes_and_the_photo_of_another(tmp_path):
    pages = np.random.default_rng(0).integers(0, 65536, (4, 5, 6), np.uint16)
    cv2.imwritemulti(str(tmp_path / "stack.tif"), list(pages))
    (example,) = read_examples(volume_model((4, 5, 6, 1)), tmp_path / "stack.tif")
    np.testing.assert_array_equal(example.inputs[0, ..., 0], pages)
    with pytest.warns(images.ReducedDepth):
        assert read_examples(image_model("unit"), tmp_path / "stack.tif")[0].photo is not None


def test_a_nifti_file_is_a_volume(tmp_path):
    nibabel = pytest.importorskip("nibabel", reason="nibabel (kerasal[medical]) reads NIfTI")
    values = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([2, 2, 3, 1])), tmp_path / "scan.nii.gz")
    (example,) = read_examples(volume_model((4, 5, 6, 1)), tmp_path / "scan.nii.gz")
    np.testing.assert_array_equal(example.inputs[0, ..., 0], values)
    assert example.axes == "RAS" and example.spacing == (2, 2, 3)
    with pytest.raises(ValueError, match=r"must have shape \(N, 8, 8, 3\)"):
        read_examples(image_model("unit"), tmp_path / "scan.nii.gz")


def test_a_model_of_several_inputs_is_refused():
    one, two = keras.Input((4, 2)), keras.Input((4, 2))
    model = kerasal.open_model(keras.Model([one, two], L.Dense(2)(L.Flatten()(L.Concatenate()([one, two])))))
    with pytest.raises(ValueError, match="must have a single input to be explained here"):
        read_examples(model, np.zeros((4, 2), np.float32))
