"""Read and write image files, draw maps as pictures, and lay out pictures in labeled grids.

Images are uint8 RGB (H, W, 3). Maps are normalized only here, relative to their own largest values, so that a map of
1e-30 is as visible as a map of 1e+3. All functions return new arrays.
"""

from kerasal import names as _names
from kerasal.images.array_files import read_array
from kerasal.images.drawings import (
    crop_box,
    fit_image,
    heatmap,
    overlay,
    place,
    relief,
    resize,
    size_like,
    to_channels,
)
from kerasal.images.grids import append_legend, caption, grid, sheet
from kerasal.images.image_check import check_image
from kerasal.images.image_files import ReducedDepth, encode_png, frames, read, write
from kerasal.images.image_folders import find_files, name_files, read_ahead, read_images
from kerasal.images.outlines import fit_mask, outline, read_mask
from kerasal.images.signals import signal
from kerasal.images.text_pages import text_html
from kerasal.images.texts import text
from kerasal.images.videos import video
from kerasal.images.volume_files import Volume, read_volume
from kerasal.images.volumes import volume

__all__ = [
    "ReducedDepth",
    "Volume",
    "append_legend",
    "caption",
    "check_image",
    "crop_box",
    "encode_png",
    "find_files",
    "fit_image",
    "fit_mask",
    "frames",
    "grid",
    "heatmap",
    "name_files",
    "outline",
    "overlay",
    "place",
    "read",
    "read_ahead",
    "read_array",
    "read_images",
    "read_mask",
    "read_volume",
    "relief",
    "resize",
    "sheet",
    "signal",
    "size_like",
    "text",
    "text_html",
    "to_channels",
    "video",
    "volume",
    "write",
]


def __getattr__(name: str):
    call_fit_image = _names.renamed_attribute(__name__, name, {"crop_square": "fit_image"})
    return lambda image, size, fit="crop": call_fit_image(image, size, fit)


def __dir__() -> list[str]:
    return sorted(__all__)
