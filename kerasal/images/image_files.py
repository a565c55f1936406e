"""Read and write image files. Pillow reads them: it knows the size before decoding, EXIF rotation, alpha and CMYK."""

import io
import os
import pathlib
import threading
import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from kerasal.archive_check import first_line
from kerasal.files import replacing
from kerasal.images.image_check import check_image

MAX_PIXELS = 100_000_000

_one_at_a_time = threading.Lock()


def read(path: str | os.PathLike) -> np.ndarray:
    """Read an image file as uint8 RGB (H, W, 3), upright.

    EXIF rotation is applied; transparency is laid on white; gray, palette, CMYK and 16-bit images are converted; of an
    animation the first frame is read. An image of fractions (a float TIFF) has values of 0..1; or, where all are whole
    numbers, of 0..255.

    Raises:
        FileNotFoundError: there is no such file.
        PermissionError: it may not be read.
        ValueError: not an image, damaged, truncated or empty, over 100 megapixels (refused before decoding), of numbers
            outside these ranges, or NaN.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder; expected an image file.")
    if not path.exists():
        raise FileNotFoundError(f"There is no image file {path}.")
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is an empty file (0 bytes); expected an image.")
    try:
        with _open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise _NotRead(
                    f"{path} claims {image.width} × {image.height} pixels; at most {MAX_PIXELS // 10**6} "
                    "megapixels are read. Make it smaller first."
                )
            return np.array(_to_rgb(ImageOps.exif_transpose(image), path))
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path} claims more pixels than can be meant ({error}). Make it smaller first.") from error
    except UnidentifiedImageError as error:
        raise ValueError(
            f"{path} is not an image that can be read (expected JPEG, PNG, WebP, TIFF, GIF or BMP)."
        ) from error
    except (PermissionError, MemoryError, _NotRead):
        raise
    except Exception as error:  # on damaged files Pillow's decoders raise anything, such as RuntimeError for AVIF
        raise ValueError(f"{path} is a damaged or truncated image: {first_line(error).rstrip('.')}.") from error


def frames(path: str | os.PathLike) -> int:
    """Return how many pictures an image file holds, of which ``read`` takes the first.

    More than one: an animation, a TIFF of several pages, or the photograph of a telephone that stores others along.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read as an image.
    """
    try:
        with Image.open(path) as image:
            return getattr(image, "n_frames", 1)
    except (FileNotFoundError, PermissionError, MemoryError):
        raise
    except Exception as error:
        raise ValueError(f"{path} is a damaged or truncated image: {first_line(error).rstrip('.')}.") from error


def encode_png(image: np.ndarray) -> bytes:
    """Return a uint8 (H, W) or (H, W, 3) picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(check_image(image, "A picture", (3, None))).save(buffer, "PNG")
    return buffer.getvalue()


def write(path: str | os.PathLike, image: np.ndarray) -> pathlib.Path:
    """Write a uint8 (H, W) or (H, W, 3) picture as PNG, JPEG or WebP by the path's suffix, beside it and renamed.

    Raises:
        ValueError: another suffix, or an array that is no picture.
        OSError: the folder cannot be written to, or the disk is full; nothing half-written is left.
    """
    path = pathlib.Path(path)
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise ValueError(f"Pictures are written as .png, .jpg or .webp. Received: {str(path)!r}.")
    image = check_image(image, "A picture", (3, None))
    with replacing(path) as temporary:
        Image.fromarray(image).save(temporary, quality=92)
    return path


class _NotRead(ValueError):
    """An image that is not damaged, and is refused all the same."""


def _scale_to_bytes(values: np.ndarray, mode: str, path: pathlib.Path) -> float:
    """Return the factor that brings gray values of a Pillow mode to 0..255; refuse what has no clear range."""
    if not np.isfinite(values).all():
        bad = np.count_nonzero(~np.isfinite(values))
        raise _NotRead(f"{path} must hold finite numbers, got {bad} NaN or infinite pixels. Replace them.")
    low, high = float(values.min()), float(values.max())
    if mode == "F":
        if low >= 0 and high <= 1:
            return 255.0
        if low >= 0 and high <= 255 and (values == np.floor(values)).all():
            return 1.0
        wanted = "fractions of 0..1, or whole numbers of 0..255"
    else:
        if low >= 0 and high <= 65535:
            return 1 / 257 if mode.startswith("I;16") or high > 255 else 1.0
        wanted = "whole numbers of 0..255 or 0..65535"
    raise _NotRead(
        f"{path} must hold {wanted}, got values of {low:g} to {high:g}, of which black and white are not known. "
        "Bring them to 0..1, or save the image with 8 or 16 bits."
    )


def _open(path: pathlib.Path) -> Image.Image:
    """Read a file's head; the size limit is ours, so Pillow's warning of it is not shown.

    The list of warnings to ignore belongs to the whole process, so that only one thread at a time may set it.
    """
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(path)


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
