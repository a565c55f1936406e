"""Fixations and maps as files hold them: pictures, arrays, tables and Matlab files, one key per image.

``list_fixations`` and ``list_maps`` find the images of a folder or file; ``read_fixations`` and ``read_map`` read one.
"""

from kerasal.fixations.fixation_files import list_fixations as list_fixations
from kerasal.fixations.fixation_files import read_fixations as read_fixations
from kerasal.fixations.map_files import list_maps as list_maps
from kerasal.fixations.map_files import map_shape as map_shape
from kerasal.fixations.map_files import read_map as read_map

__all__ = ["list_fixations", "list_maps", "map_shape", "read_fixations", "read_map"]
