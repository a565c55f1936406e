"""Read fixations and saliency maps from image files, NumPy arrays, tables of coordinates and Matlab files.

``list_fixations`` and ``list_maps`` return the entries of a folder or file by image name; ``read_fixations`` and
``read_map`` read a single file.
"""

from kerasal.fixations.fixation_files import list_fixations, read_fixations
from kerasal.fixations.map_files import list_maps, map_shape, read_map

__all__ = ["list_fixations", "list_maps", "map_shape", "read_fixations", "read_map"]


def __dir__() -> list[str]:
    return sorted(__all__)
