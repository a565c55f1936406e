"""Read volumes and images of more than 8 bits, with all their bits: NIfTI, stacks in TIFF files, and PNG."""

import dataclasses
import os
import pathlib
from typing import Any

import cv2
import numpy as np

from kerasal.archive_check import first_line
from kerasal.process import free_memory

VOLUME_SUFFIXES = (".nii", ".nii.gz")
"""Endings of files that hold a volume and never a photo."""
_IMAGE_SUFFIXES = (".tif", ".tiff", ".png")
_COPIES = 3  # of the voxels at once while a file is read, in float32


@dataclasses.dataclass(frozen=True, eq=False)
class Volume:
    """A volume with the place of its voxels in space, as ``images.read_volume`` returns it.

    Attributes:
        voxels: float32 (D, H, W, C), the values of the file.
        spacing: distance of neighboring voxels along the three axes in the unit of the file, millimeters in NIfTI; None
            if the file does not tell.
        axes: the directions of the body in which the three axes increase, such as "RAS" (right, anterior, superior);
            None if the file does not tell.
        affine: the matrix (4, 4) from the indices of a voxel to its place in space; None if the file does not tell.
    """

    voxels: np.ndarray = dataclasses.field(repr=False)
    spacing: tuple[float, float, float] | None = None
    axes: str | None = None
    affine: np.ndarray | None = dataclasses.field(default=None, repr=False)


def read_volume(path: str | os.PathLike) -> Volume:
    """Return the values of a NIfTI, TIFF or PNG file as a ``Volume``, float32 (D, H, W, C), with all their bits.

    Values are those of the file and are not scaled, except by the slope and intercept of a NIfTI file. The axes of a
    NIfTI file keep their order, and a fourth becomes the channels. The pages of a TIFF file become D; an image of one
    page has D = 1 and is ``read_volume(path).voxels[0]``. Colors are red, green and blue.

    Raises:
        FileNotFoundError: there is no such file.
        ImportError: NIfTI needs nibabel, which ``kerasal[medical]`` installs.
        ValueError: another kind of file, a damaged file, pages of different sizes, transparency, or a volume larger
            than the free memory.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    if is_volume_file(path):
        return _read_nifti(path)
    if path.suffix.lower() not in _IMAGE_SUFFIXES:
        raise ValueError(f"path must end in {', '.join((*VOLUME_SUFFIXES, *_IMAGE_SUFFIXES))}, got {str(path)!r}.")
    return Volume(_read_pages(path))


def is_volume_file(path: pathlib.Path) -> bool:
    """Return whether a file has the suffix of a volume."""
    return path.name.lower().endswith(VOLUME_SUFFIXES)


def _read_nifti(path: pathlib.Path) -> Volume:
    try:
        import nibabel
    except ImportError as error:
        raise ImportError(
            f"{path} needs nibabel to be read. Install it: python -m pip install 'kerasal[medical]'."
        ) from (error)
    try:
        image: Any = nibabel.load(path)
        shape = image.shape
        _check_memory(path, shape)
        voxels = np.asarray(image.get_fdata(dtype=np.float32, caching="unchanged"))
    except (PermissionError, MemoryError, _TooLarge):
        raise
    except Exception as error:  # nibabel, gzip and zlib raise many classes
        raise ValueError(f"{path} cannot be read as NIfTI: {first_line(error).rstrip('.')}. Get the file again.") from (
            error
        )
    if voxels.ndim not in (3, 4) or not voxels.size:
        raise ValueError(f"{path} must hold a volume of three axes, and of channels if it has four, got {shape}.")
    places = image.header.get("qform_code", 1), image.header.get("sform_code", 1)
    depth, height, width = (float(step) for step in image.header.get_zooms()[:3])
    spacing = (depth, height, width) if min(depth, height, width) > 0 else None
    letters = nibabel.aff2axcodes(image.affine) if any(places) else (None,)
    axes = None if None in letters else "".join(map(str, letters))
    voxels = voxels if voxels.ndim == 4 else voxels[..., None]
    return Volume(np.ascontiguousarray(voxels), spacing, axes, np.asarray(image.affine) if any(places) else None)


def _read_pages(path: pathlib.Path) -> np.ndarray:
    """Return the pages of an image file as float32 (D, H, W, C)."""
    try:
        done, pages = cv2.imreadmulti(str(path), flags=cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        done, pages, reason = False, (), first_line(error)
    else:
        reason = "it is damaged, or of a kind that OpenCV does not know"
    if not done or not pages:
        raise ValueError(f"{path} cannot be read as an image: {reason.rstrip('.')}. Save it again.")
    if len({page.shape for page in pages}) > 1:
        raise ValueError(f"{path} must have pages of one size, got {sorted({page.shape for page in pages})}.")
    _check_memory(path, (len(pages), *pages[0].shape))
    stack = np.stack(pages)
    stack = stack[..., None] if stack.ndim == 3 else stack
    if stack.shape[3] == 4:
        if stack[..., 3].min() < (1 if stack.dtype.kind == "f" else 2 ** (8 * stack.dtype.itemsize) - 1):
            raise ValueError(f"{path} must be without transparency, got an alpha channel. Remove it first.")
        stack = stack[..., :3]
    return np.ascontiguousarray(stack[..., ::-1] if stack.shape[3] == 3 else stack, np.float32)


class _TooLarge(ValueError):
    """A volume that does not fit into memory."""


def _check_memory(path: pathlib.Path, shape: tuple[int, ...]) -> None:
    needed, free = 4.0 * _COPIES * float(np.prod(shape, dtype=np.float64)), free_memory()
    if free is not None and needed > free:
        raise _TooLarge(
            f"{path} must fit into {free / 1e9:.1f} GB of free memory, got a volume {tuple(shape)} that takes about "
            f"{needed / 1e9:.1f} GB to read. Cut or resize it first."
        )
