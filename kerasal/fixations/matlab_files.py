"""Read fixations from Matlab files: SALICON's, OSIE's, and plain variables, all in 1-based pixels."""

import dataclasses
import inspect
import math
import pathlib
from collections.abc import Callable

import numpy as np

from kerasal.archive_check import check_expansion
from kerasal.array_check import ALWAYS
from kerasal.fixations.map_files import report_unreadable
from kerasal.fixations.matlab_check import check_matlab
from kerasal.fixations.recordings import Recording
from kerasal.images.image_folders import key_by_stem

_MAP_NAMES = ("fixlocs", "i", "fixation_map", "fixationmap", "map", "fixationpts")
STIMULI = ((800, 600), (1024, 768))
"""(width, height) of the images shown in the data sets with OSIE's layout: OSIE itself and the crowd data."""
_POINT_NAMES = ("fixations", "points", "xy", "coordinates")


def read_matlab_recording(file: pathlib.Path) -> Recording:
    """Return the fixations on an image, as coordinates (n, 2), with their observers if known, or as a map (H, W).

    The file has SALICON's structs ``gaze``, a map such as ``fixLocs`` or ``I``, or coordinates such as ``fixations``.
    """
    variables = _load_variables(file)
    lowered = {name.lower(): value for name, value in variables.items()}
    if "gaze" in lowered:
        return _read_salicon(lowered["gaze"], file)
    for name in _MAP_NAMES:
        if name in lowered and np.ndim(lowered[name]) == 2:
            return Recording(as_counts(np.asarray(lowered[name])))
    for name in _POINT_NAMES:
        value = np.asarray(lowered.get(name))
        value = value[None] if value.shape == (2,) else value  # SciPy squeezes a single pair
        if value.ndim == 2 and value.shape[1] == 2 and value.dtype.kind in "iuf":
            return Recording(value.astype(np.float64) - 1)
    raise ValueError(
        f"{file} must have a variable gaze (SALICON), {', '.join(_MAP_NAMES)} (a map) or {', '.join(_POINT_NAMES)} "
        f"(n x 2), got {', '.join(variables) or 'none'}."
    )


def list_recordings_and_size(
    file: pathlib.Path, split: str | None = None
) -> tuple[dict[str, Callable[[], Recording]], tuple[int, int] | None]:
    """Return a dictionary from image name to a function that reads its ``Recording``, and the (H, W) of the images.

    The size is None for a file of a single image. In a file of several images, such as OSIE's ``fixations.mat``, the
    coordinates are rounded and clipped to the image, as in OSIE's code. The crowd data has the same layout and larger
    images.
    """
    variables = _load_variables(file)
    images = variables.get("fixations")
    if not (isinstance(images, list) or (isinstance(images, np.ndarray) and images.dtype == object)):
        return {file.stem: lambda: read_matlab_recording(file)}, None
    readers = []
    size = _stimulus_size(images)
    for image in images:
        if not (isinstance(image, dict) and {"img", "subjects"} <= set(image)):
            content = ", ".join(image) if isinstance(image, dict) else type(image).__name__
            raise ValueError(
                f"{file} must have structs with img and subjects (OSIE) in the variable fixations, got {content}."
            )
        readers.append((str(image["img"]), lambda image=image: _read_osie(image, file, size)))
    return key_by_stem(readers, file, split), (size[1], size[0])


def _load_variables(file: pathlib.Path) -> dict:
    import scipy.io

    try:
        with report_unreadable(file, "a Matlab file", NotImplementedError):
            check_matlab(file)
            # SciPy 1.18 warns unless it is told which class sparse matrices shall have; both are converted below.
            options = {"spmatrix": False} if "spmatrix" in inspect.signature(scipy.io.loadmat).parameters else {}
            variables = scipy.io.loadmat(file, simplify_cells=True, **options)
    except NotImplementedError as error:
        raise ValueError(f"{file} must be a Matlab 5 file, got version 7.3. Save it again with save('-v7').") from error
    return {name: _as_dense(value, file) for name, value in variables.items() if not name.startswith("__")}


def _as_dense(value, file: pathlib.Path):
    """Convert a sparse matrix to an array; return any other value unchanged."""
    import scipy.sparse

    if not scipy.sparse.issparse(value):
        return value
    check_expansion(file, 8 * math.prod(value.shape), file.stat().st_size, " in a sparse matrix", ALWAYS)
    with report_unreadable(file, "a Matlab file"):
        value.check_format(full_check=True)
    return value.toarray()


def _read_salicon(gaze, file: pathlib.Path) -> Recording:
    observers = [gaze] if isinstance(gaze, dict) else list(gaze)
    if not all(isinstance(observer, dict) and "fixations" in observer for observer in observers):
        raise ValueError(f"{file} must have structs with a field fixations in the variable gaze.")
    points = [_as_pairs(observer["fixations"], file, "fixations") for observer in observers]
    return _unite(points, -1.0)


def _unite(points: list[np.ndarray], shift: float, **details: np.ndarray) -> Recording:
    """Return the points (n, 2) of several observers, shifted, with the observers numbered from 0 and their order."""
    counts = [len(each) for each in points]
    order = np.concatenate([np.zeros(0, np.int64), *map(np.arange, counts)])
    united = np.concatenate([np.zeros((0, 2)), *points]) + shift
    return Recording(united, np.repeat(np.arange(len(points)), counts), order, **details)


def _as_pairs(value, file: pathlib.Path, field: str) -> np.ndarray:
    """Return (x, y) pairs as a float64 array (n, 2); SciPy squeezes a single pair to (2,)."""
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or not (array.size == 0 or array.shape == (2,) or array.shape[1:] == (2,)):
        raise ValueError(f"{file}: {field} must be numbers of shape (n, 2), got {array.dtype} {array.shape}.")
    return array.astype(np.float64).reshape(-1, 2)


def _stimulus_size(images) -> tuple[int, int]:
    """Return the smallest (width, height) in ``STIMULI`` with all fixations inside, with a tolerance of 5 %."""
    largest = np.zeros(2)
    for image in images:
        subjects = image.get("subjects", []) if isinstance(image, dict) else []
        for subject in [subjects] if isinstance(subjects, dict) else subjects:
            for axis, field in enumerate(("fix_x", "fix_y")):
                values = np.atleast_1d(subject.get(field, 0)) if isinstance(subject, dict) else np.zeros(1)
                values = values if values.dtype.kind in "iuf" else np.zeros(1)  # _read_osie raises the error
                largest[axis] = max(largest[axis], values.max(initial=0))
    return next((size for size in STIMULI if (largest <= 1.05 * np.array(size)).all()), STIMULI[0])


def _read_osie(image: dict, file: pathlib.Path, size: tuple[int, int]) -> Recording:
    subjects = image["subjects"]
    points, durations = [], []
    for subject in [subjects] if isinstance(subjects, dict) else subjects:
        if not (isinstance(subject, dict) and {"fix_x", "fix_y"} <= set(subject)):
            raise ValueError(f"{file} must have the fields fix_x and fix_y for every subject of {image['img']}.")
        x, y = np.atleast_1d(subject["fix_x"]), np.atleast_1d(subject["fix_y"])
        if x.shape != y.shape or x.ndim != 1:
            raise ValueError(
                f"{file} must have fix_x and fix_y of equal length, got {x.shape} and {y.shape} for {image['img']}."
            )
        points.append(_as_pairs(np.stack([x, y], axis=1), file, f"fix_x and fix_y of {image['img']}"))
        lasting = np.atleast_1d(subject.get("fix_duration", ()))
        durations.append(lasting if lasting.shape == x.shape and lasting.dtype.kind in "iuf" else None)
    known = bool(durations) and all(each is not None for each in durations)
    details = {"duration_ms": np.concatenate(durations).astype(np.float64)} if known else {}
    recording = _unite(points, 0.5, **details)
    return dataclasses.replace(recording, points=np.clip(np.floor(recording.points) - 1, 0, np.array(size) - 1))


def as_counts(array: np.ndarray) -> np.ndarray:
    """Return a map of fixation counts; if all non-zero pixels are equal, such as 255, each counts as one fixation."""
    marked = array[array != 0]
    return (array != 0).astype(np.float64) if marked.size and (marked == marked[0]).all() else array
