"""Arrays, volumes and images of 16 bits from files: every value as it was saved, or an error that says what to do."""

import builtins
import warnings

import cv2
import numpy as np
import pytest

from kerasal import images
from kerasal.images import volume_files

RANDOM = np.random.default_rng(0)
DEEP = RANDOM.integers(0, 65536, (5, 6, 3), np.uint16)


def test_arrays_are_read_as_they_were_saved(tmp_path):
    values = RANDOM.normal(size=(7, 2)).astype(np.float32)
    np.save(tmp_path / "a.npy", values)
    np.savez(tmp_path / "one.npz", x=values)
    np.savez_compressed(tmp_path / "two.npz", x=values, y=np.arange(3))
    for read in (images.read_array(tmp_path / "a.npy"), images.read_array(tmp_path / "one.npz")):
        np.testing.assert_array_equal(read, values)
        assert read.dtype == np.float32
    np.testing.assert_array_equal(images.read_array(tmp_path / "two.npz", "y"), [0, 1, 2])
    with pytest.raises(ValueError, match=r"must hold a single array, got x, y. Choose one of them: array=.x."):
        images.read_array(tmp_path / "two.npz")
    with pytest.raises(ValueError, match="must hold an array 'z', got x, y"):
        images.read_array(tmp_path / "two.npz", "z")


def test_damaged_arrays_are_refused(tmp_path):
    ragged = np.empty(2, object)
    ragged[:] = [np.zeros(3), np.zeros(4)]
    np.save(tmp_path / "ragged.npy", ragged, allow_pickle=True)
    np.savez(tmp_path / "ragged.npz", x=ragged)
    np.save(tmp_path / "words.npy", np.array(["a"]))
    np.save(tmp_path / "empty.npy", np.zeros((0, 3)))
    (tmp_path / "no.npy").write_bytes(b"no array")
    (tmp_path / "zero.npy").write_bytes(b"")
    np.save(tmp_path / "cut.npy", np.zeros(1000))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "cut.npy").read_bytes()[:500])
    for name, message in (
        ("ragged.npy", "got objects, such as signals of different lengths. Save each"),
        ("ragged.npz", "got objects, such as signals of different lengths. Save each"),
        ("words.npy", "must hold numbers, got <U1"),
        ("empty.npy", r"must hold numbers, got float64 \(0, 3\)"),
        ("no.npy", "it is not written by NumPy"),
        ("zero.npy", "cannot be read as an array"),
        ("cut.npy", "truncated or damaged"),
    ):
        with pytest.raises(ValueError, match=message):
            images.read_array(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="There is no array file"):
        images.read_array(tmp_path / "none.npy")


def test_a_photo_saved_as_an_array_is_a_photo_and_inputs_are_none(tmp_path):
    photo = RANDOM.integers(0, 256, (5, 6, 3), np.uint8)
    np.save(tmp_path / "photo.npy", photo)
    np.save(tmp_path / "gray.npy", photo[..., 0])
    np.save(tmp_path / "signal.npy", np.zeros((9, 2), np.float32))
    np.testing.assert_array_equal(images.read(tmp_path / "photo.npy"), photo)
    np.testing.assert_array_equal(images.read(tmp_path / "gray.npy"), np.repeat(photo[..., :1], 3, axis=2))
    with pytest.raises(ValueError, match=r"must hold a photo, uint8 \(H, W, 3\).* got float32 \(9, 2\)"):
        images.read(tmp_path / "signal.npy")
    (image,) = images.read_images(tmp_path / "photo.npy")
    np.testing.assert_array_equal(image, photo)
    assert images.read_images(tmp_path / "signal.npy").shape == (9, 2)
    assert images.read_images([tmp_path / "signal.npy"] * 3).shape == (3, 9, 2)
    with pytest.raises(ValueError, match=r"inputs must have one shape to form a batch, got \(9, 2\), \(8, 2\)"):
        images.read_images([np.zeros((9, 2)), np.zeros((8, 2))])


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bits_are_kept(tmp_path, suffix):
    cv2.imwrite(str(tmp_path / f"gray.{suffix}"), DEEP[..., 0])
    cv2.imwrite(str(tmp_path / f"color.{suffix}"), DEEP[..., ::-1])  # OpenCV writes BGR
    gray, color = (images.read_volume(tmp_path / f"{name}.{suffix}") for name in ("gray", "color"))
    assert gray.voxels.dtype == np.float32 and gray.axes is gray.spacing is gray.affine is None
    np.testing.assert_array_equal(gray.voxels, DEEP[None, ..., :1])
    np.testing.assert_array_equal(color.voxels, DEEP[None])
    for name in ("gray", "color"):  # a photo has 8 bits, and says so
        with pytest.warns(images.ReducedDepth, match="16 bits per channel, of which 8 are kept"):
            photo = images.read(tmp_path / f"{name}.{suffix}")
        np.testing.assert_allclose(
            photo.astype(float), DEEP[..., [0, 0, 0] if name == "gray" else [0, 1, 2]] / 257, atol=1
        )
    cv2.imwrite(str(tmp_path / f"eight.{suffix}"), (DEEP[..., 0] // 257) * 257)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images.read(tmp_path / f"eight.{suffix}")  # nothing is lost


def test_a_stack_of_pages_is_a_volume(tmp_path):
    pages = RANDOM.integers(0, 65536, (4, 5, 6), np.uint16)
    cv2.imwritemulti(str(tmp_path / "stack.tiff"), list(pages))
    np.testing.assert_array_equal(images.read_volume(tmp_path / "stack.tiff").voxels, pages[..., None])
    cv2.imwritemulti(str(tmp_path / "uneven.tiff"), [pages[0], pages[0, :3]])
    cv2.imwrite(str(tmp_path / "alpha.png"), np.dstack([DEEP, DEEP[..., :1]]))
    (tmp_path / "broken.tif").write_bytes(b"II*\x00 nothing")
    for name, message in (
        ("uneven.tiff", "must have pages of one size"),
        ("alpha.png", "without transparency"),
        ("broken.tif", "cannot be read as an image"),
    ):
        with pytest.raises(ValueError, match=message):
            images.read_volume(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        images.read_volume(tmp_path / "none.tif")
    (tmp_path / "scan.dcm").write_bytes(b"")
    with pytest.raises(ValueError, match=r"path must end in \.nii, \.nii\.gz, \.tif"):
        images.read_volume(tmp_path / "scan.dcm")


def test_nifti_keeps_values_axes_and_spacing(tmp_path):
    nibabel = pytest.importorskip("nibabel", reason="nibabel (kerasal[medical]) reads NIfTI")
    values = RANDOM.integers(-1000, 3000, (4, 5, 6, 2)).astype(np.int16)
    affine = np.array([[0, 0, 2.5, 1], [-1, 0, 0, 2], [0, 1.5, 0, 3], [0, 0, 0, 1.0]])
    nibabel.save(nibabel.Nifti1Image(values, affine), tmp_path / "a.nii.gz")
    read = images.read_volume(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read.voxels, values.astype(np.float32))
    assert read.axes == "PSR" and read.spacing == pytest.approx((1, 1.5, 2.5))
    np.testing.assert_allclose(read.affine, affine)
    nibabel.save(nibabel.Nifti1Image(values[..., 0], None), tmp_path / "unplaced.nii")
    unplaced = images.read_volume(tmp_path / "unplaced.nii")
    assert unplaced.voxels.shape == (4, 5, 6, 1) and unplaced.axes is unplaced.affine is None  # left may be right
    nibabel.save(nibabel.Nifti1Image(values[:, :, 0, 0], affine), tmp_path / "flat.nii")
    with pytest.raises(ValueError, match="must hold a volume of three axes"):
        images.read_volume(tmp_path / "flat.nii")
    whole = (tmp_path / "a.nii.gz").read_bytes()
    (tmp_path / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="cannot be read as NIfTI"):
        images.read_volume(tmp_path / "cut.nii.gz")


def test_a_volume_larger_than_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    nibabel = pytest.importorskip("nibabel", reason="nibabel (kerasal[medical]) reads NIfTI")
    nibabel.save(nibabel.Nifti1Image(np.zeros((40, 40, 40), np.uint8), np.eye(4)), tmp_path / "large.nii")
    monkeypatch.setattr(volume_files, "free_memory", lambda: 700_000)
    with pytest.raises(ValueError, match=r"must fit into 0.0 GB of free memory, got a volume \(40, 40, 40\)"):
        images.read_volume(tmp_path / "large.nii")


def test_without_nibabel_the_error_says_what_to_install(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "nibabel":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    (tmp_path / "a.nii").write_bytes(b"")
    with pytest.raises(ImportError, match=r"python -m pip install 'kerasal\[medical\]'"):
        images.read_volume(tmp_path / "a.nii")
