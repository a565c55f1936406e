"""Read and write image files. Pillow reads them: it knows the size before decoding, EXIF rotation, alpha and CMYK."""

import os
import pathlib
import threading
import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from kerasal.checks import refuse_mask
from kerasal.files import replacing

MAX_PIXELS = 100_000_000

_one_at_a_time = threading.Lock()


def read(path: str | os.PathLike) -> np.ndarray:
    """Read an image file as uint8 RGB (H, W, 3), upright.

    EXIF rotation is applied; transparency is laid on white; grey, palette, CMYK and 16-bit images are converted; of an
    animation the first frame is read.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not an image, damaged, truncated or empty, or over 100 megapixels (refused before decoding).
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
                raise ValueError(
                    f"{path} claims {image.width} × {image.height} pixels; at most {MAX_PIXELS // 10**6} "
                    "megapixels are read. Make it smaller first."
                )
            return np.array(_to_rgb(ImageOps.exif_transpose(image)))
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path} claims more pixels than can be meant ({error}). Make it smaller first.") from error
    except UnidentifiedImageError as error:
        raise ValueError(
            f"{path} is not an image that can be read (expected JPEG, PNG, WebP, TIFF, GIF or BMP)."
        ) from error
    except (OSError, SyntaxError, EOFError, IndexError) as error:  # what Pillow's decoders raise on damaged files
        if isinstance(error, PermissionError):
            raise
        raise ValueError(f"{path} is a damaged or truncated image: {error}.") from error


def frames(path: str | os.PathLike) -> int:
    """Return how many pictures an image file holds, of which ``read`` takes the first.

    More than one: an animation, a TIFF of several pages, or the photograph of a telephone that stores others along.
    """
    with Image.open(path) as image:
        return getattr(image, "n_frames", 1)


def write(path: str | os.PathLike, image: np.ndarray) -> pathlib.Path:
    """Write a uint8 (H, W) or (H, W, 3) picture as PNG, JPEG or WebP by the path's suffix, beside it and renamed.

    Raises:
        ValueError: another suffix, or an array that is no picture.
        OSError: the folder cannot be written to, or the disk is full; nothing half-written is left.
    """
    path = pathlib.Path(path)
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise ValueError(f"Pictures are written as .png, .jpg or .webp. Received: {str(path)!r}.")
    refuse_mask(image, "the image")
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise ValueError(
            f"A picture is uint8 (H, W) or (H, W, 3); received {image.dtype} {image.shape}. "
            "Draw a map with heatmap() first."
        )
    with replacing(path) as temporary:
        Image.fromarray(image).save(temporary, quality=92)
    return path


def _open(path: pathlib.Path) -> Image.Image:
    """Read a file's head; the size limit is ours, so Pillow's warning of it is not shown.

    The list of warnings to ignore belongs to the whole process, so that only one thread at a time may set it.
    """
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(path)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):  # 16- and 32-bit grey: Pillow's own conversion clips instead of scaling
        values = np.asarray(image, dtype=np.float64)
        if image.mode.startswith("I;16") or (image.mode == "I" and values.max() > 255):
            values = values / 257.0
        elif image.mode == "F" and values.max() <= 1.0:
            values = values * 255.0
        image = Image.fromarray(np.clip(np.round(values), 0, 255).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image)
    return image.convert("RGB")
