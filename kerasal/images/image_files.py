"""Read and write image files with Pillow, and read photos that were saved as arrays."""

import io
import os
import pathlib
import threading
import warnings
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from kerasal.archive_check import first_line
from kerasal.checks import check_int
from kerasal.files import atomic_write
from kerasal.images.array_files import ARRAY_SUFFIXES, read_array
from kerasal.images.image_check import check_image, to_channels

MAX_PIXELS = 100_000_000

_warnings_lock = threading.Lock()


class ReducedDepth(UserWarning):
    """Warning that a file of 16 bits per channel was read as a photo of 8; ``images.read_volume`` keeps them."""


def read(path: str | os.PathLike) -> np.ndarray:
    """Return an image file as uint8 RGB (H, W, 3), upright.

    EXIF rotation is applied, transparency is replaced with white, and gray, palette and CMYK images are converted. Of
    16 bits per channel 8 are kept, with the warning ``ReducedDepth`` (see ``read_volume``). For animations the first
    frame is read. Floating-point images (TIFF) must have values in 0..1, or integers in 0..255. An ``.npy`` or ``.npz``
    file must hold a uint8 image, (H, W, 3) or gray.

    Raises:
        FileNotFoundError: there is no such file.
        PermissionError: the file is not readable.
        ValueError: not an image, or one that is damaged, truncated, empty, larger than 100 megapixels (checked before
            decoding), outside these value ranges, or not finite.
    """
    path = pathlib.Path(path)
    if path.suffix.lower() in ARRAY_SUFFIXES:
        return _read_saved_photo(path)
    if path.is_dir():
        raise ValueError(f"path must be an image file, got the folder {path}. Pass the path of a file in it.")
    if not path.exists():
        raise FileNotFoundError(f"There is no image file {path}.")
    if path.stat().st_size == 0:
        raise ValueError(f"{path} must be an image, got an empty file (0 bytes). Get the file again.")
    try:
        with _open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise _UnsupportedImage(
                    f"{path} must have at most {MAX_PIXELS // 10**6} megapixels, got {image.width} × {image.height} "
                    "pixels. Make it smaller first."
                )
            _warn_of_depth(image, path)
            return np.array(_to_rgb(ImageOps.exif_transpose(image), path))
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path} has too many pixels ({error}). Make it smaller first.") from error
    except UnidentifiedImageError as error:
        raise ValueError(
            f"{path} must be an image (JPEG, PNG, WebP, TIFF, GIF or BMP), got another kind of file."
        ) from error
    except (PermissionError, MemoryError, _UnsupportedImage):
        raise
    except Exception as error:  # Pillow's decoders raise many types for damaged files, such as RuntimeError for AVIF
        raise ValueError(f"{path} is a damaged or truncated image: {first_line(error).rstrip('.')}.") from error


def frames(path: str | os.PathLike) -> int:
    """Return the number of images in a file, of which ``read`` returns the first.

    Animations, TIFF files with several pages and some phone photos contain more than one.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file cannot be read as an image.
    """
    try:
        with Image.open(path) as image:
            return getattr(image, "n_frames", 1)
    except (FileNotFoundError, PermissionError, MemoryError):
        raise
    except Exception as error:
        raise ValueError(f"{path} is a damaged or truncated image: {first_line(error).rstrip('.')}.") from error


def encode_png(image: np.ndarray) -> bytes:
    """Return the bytes of a PNG file of a uint8 image (H, W) or (H, W, 3)."""
    buffer = io.BytesIO()
    Image.fromarray(check_image(image, "A picture", (3, None))).save(buffer, "PNG")
    return buffer.getvalue()


def write(path: str | os.PathLike, image: np.ndarray, *, dpi: int | None = None) -> pathlib.Path:
    """Write a uint8 image (H, W) or (H, W, 3) as PNG, JPEG or WebP, chosen by the suffix, and return the path.

    ``dpi`` is stored in PNG and JPEG files as their resolution in dots per inch, for printing.

    Raises:
        ValueError: another suffix, an array that is not an image, or ``dpi`` with WebP, which does not store it.
        OSError: the folder cannot be written to, or the disk is full; an existing file is then unchanged.
    """
    path = pathlib.Path(path)
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise ValueError(f"path must end in .png, .jpg, .jpeg or .webp, got {str(path)!r}.")
    image = check_image(image, "A picture", (3, None))
    if dpi is not None and path.suffix.lower() == ".webp":
        raise ValueError(
            f"dpi must be None for WebP, which does not store a resolution, got {dpi!r}. Use .png or .jpg."
        )
    resolution: dict[str, Any] = {} if dpi is None else {"dpi": (check_int("dpi", dpi), dpi)}
    with atomic_write(path) as temporary:
        Image.fromarray(image).save(temporary, quality=92, **resolution)
    return path


def _read_saved_photo(path: pathlib.Path) -> np.ndarray:
    array = read_array(path)
    gray = array.ndim == 2 or array.shape[2:] == (1,)
    if array.dtype != np.uint8 or not (gray or (array.ndim == 3 and array.shape[2] == 3)):
        raise ValueError(
            f"{path} must hold a photo, uint8 (H, W, 3), because an image is needed here, got {array.dtype} "
            f"{array.shape}. Only attribution takes other inputs of models: kerasal.explain(model, {str(path)!r})."
        )
    return to_channels(array if array.ndim == 3 else array[..., None], 3)


class _UnsupportedImage(ValueError):
    """An image that is intact but not supported."""


def _scale_to_bytes(values: np.ndarray, mode: str, path: pathlib.Path) -> float:
    """Return the factor that scales gray values of a Pillow mode to 0..255; raise an error if the range is unclear."""
    if not np.isfinite(values).all():
        bad = np.count_nonzero(~np.isfinite(values))
        raise _UnsupportedImage(f"{path} must hold finite numbers, got {bad} NaN or infinite pixels. Replace them.")
    low, high = float(values.min()), float(values.max())
    if mode == "F":
        if low >= 0 and high <= 1:
            return 255.0
        if low >= 0 and high <= 255 and (values == np.floor(values)).all():
            return 1.0
        wanted = "fractions of 0..1, or integers of 0..255"
    else:
        if low >= 0 and high <= 65535:
            return 1 / 257 if mode.startswith("I;16") or high > 255 else 1.0
        wanted = "integers of 0..255 or 0..65535"
    raise _UnsupportedImage(
        f"{path} must hold {wanted}, got values of {low:g} to {high:g}, for which black and white are unknown. "
        "Scale them to 0..1, or save the image with 8 or 16 bits."
    )


def _open(path: pathlib.Path) -> Image.Image:
    """Open a file without Pillow's warning about large images, because ``read`` has a limit of its own.

    The warning filters belong to the whole process, so only one thread at a time may change them.
    """
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(path)


def _warn_of_depth(image: Image.Image, path: pathlib.Path) -> None:
    """Warn if an image has 16 bits per channel; gray values that are 8 bits times 257 lose nothing."""
    deep = ";16" in image.mode or any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))
    if deep and (len(image.getbands()) > 1 or (np.asarray(image) % 257).any()):
        text = f"{path} has 16 bits per channel, of which 8 are kept. kerasal.images.read_volume reads all of them."
        warnings.warn(text, ReducedDepth, stacklevel=3)


def _to_rgb(image: Image.Image, path: pathlib.Path) -> Image.Image:
    if image.mode.startswith(("I", "F")):  # 16- and 32-bit gray: Pillow's own conversion clips instead of scaling
        values = np.asarray(image, dtype=np.float64)
        values *= _scale_to_bytes(values, image.mode, path)
        image = Image.fromarray(np.round(values).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image)
    return image.convert("RGB")
