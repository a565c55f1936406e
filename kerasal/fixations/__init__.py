"""Fixations and maps as files hold them: pictures, arrays, tables and Matlab files, one key per image.

``list_fixations`` and ``list_maps`` find the images of a folder or file; ``read_fixations`` and ``read_map`` read one.
"""

from kerasal.fixations.fixation_files import list_fixations, read_fixations
from kerasal.fixations.map_files import list_maps, map_shape, read_map

__all__ = ["list_fixations", "list_maps", "map_shape", "read_fixations", "read_map"]


def __dir__() -> list[str]:
    return sorted(__all__)
