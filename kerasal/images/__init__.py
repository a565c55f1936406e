"""Image files and pictures: ``file -> uint8 RGB (H, W, 3)``, ``map -> picture``, pictures -> labeled grid -> file.

Only here is anything normalized, and always relative to the map's own size, so that a map of 1e-30 is as visible as one
of 1e+3. What is drawn on or written is always a new array.
"""

from kerasal import names as _names
from kerasal.images.drawings import fit_image as fit_image
from kerasal.images.drawings import heatmap as heatmap
from kerasal.images.drawings import overlay as overlay
from kerasal.images.drawings import relief as relief
from kerasal.images.drawings import resize as resize
from kerasal.images.drawings import size_of_area as size_of_area
from kerasal.images.drawings import to_channels as to_channels
from kerasal.images.grids import caption as caption
from kerasal.images.grids import grid as grid
from kerasal.images.grids import sheet as sheet
from kerasal.images.image_check import check_image as check_image
from kerasal.images.image_files import encode_png as encode_png
from kerasal.images.image_files import frames as frames
from kerasal.images.image_files import read as read
from kerasal.images.image_files import write as write
from kerasal.images.image_folders import find_files as find_files
from kerasal.images.image_folders import read_ahead as read_ahead
from kerasal.images.image_folders import read_images as read_images

__all__ = [
    "caption",
    "check_image",
    "encode_png",
    "find_files",
    "fit_image",
    "frames",
    "grid",
    "heatmap",
    "overlay",
    "read",
    "read_ahead",
    "read_images",
    "relief",
    "resize",
    "sheet",
    "size_of_area",
    "to_channels",
    "write",
]

_RENAMED = {"crop_square": "fit_image"}


def __getattr__(name: str):
    return _names.renamed_attribute(__name__, name, _RENAMED)
