"""True boxes from files: PASCAL VOC's and ImageNet's XML, COCO's JSON, CSV. ``path -> DataFrame, a row a box``.

Columns: ``image`` (the file's name without its suffix), ``class``, ``box`` (x_min, y_min, x_max, y_max) 0-based with
exclusive upper bounds, and ``width`` and ``height`` of the image, 0 where the file does not say.
"""

import json
import math
import os
import pathlib
import re
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator

import pandas as pd

from kerasal.images.image_folders import take_stem
from kerasal.names import unknown_name_message

COLUMNS = ("image", "class", "box", "width", "height")
_MOST_BYTES = 1 << 30
_SPELLINGS = {
    "image": ("image", "file", "filename", "file_name", "image_id"),
    "class": ("class", "label", "name", "wnid", "category"),
    "x_min": ("x_min", "xmin", "left"),
    "y_min": ("y_min", "ymin", "top"),
    "x_max": ("x_max", "xmax", "right"),
    "y_max": ("y_max", "ymax", "bottom"),
}


def read_boxes(path: str | os.PathLike, *, inclusive: bool | None = None) -> pd.DataFrame:
    """Read true boxes: an ``.xml`` (PASCAL VOC, ImageNet), COCO's ``.json``, a ``.csv``, or a folder of ``.xml`` files.

    VOC and ImageNet count pixels from 1 and include the last one, so x_min and y_min lose 1; objects marked difficult
    are kept. COCO's (x, y, width, height) become corners; crowd regions are left out, since they are no single object.
    A CSV has a header with image, class, xmin, ymin, xmax, ymax (or spelled x_min, label, file, …), 0-based.

    Args:
        path: the file or folder.
        inclusive: whether x_max and y_max of a CSV are the last pixel inside, rather than the first outside; without it
            the first outside, which is what kerasal itself writes.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: a file of another kind, damaged, with a document type or entities (refused unread), with a box that
            is empty or no number, or without any box.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no box file or folder {path}.")
    if path.is_dir():
        files = sorted(path.rglob("*.xml"))
        if not files:
            raise ValueError(f"{path} holds no .xml files. Expected VOC's or ImageNet's, one per image.")
        spelled: dict[str, str] = {}
        for file in files:
            take_stem(file.relative_to(path).with_suffix("").as_posix(), spelled, path)
        rows = [row for file in files for row in _read_xml(file)]
    else:
        readers = {".xml": _read_xml, ".json": _read_coco, ".csv": lambda file: _read_csv(file, bool(inclusive))}
        if path.suffix.lower() not in readers:
            raise ValueError(f"Boxes are read from .xml, .json or .csv, or a folder of .xml. Received: {str(path)!r}.")
        rows = list(readers[path.suffix.lower()](path))
    if not rows:
        raise ValueError(f"{path} holds no boxes.")
    return pd.DataFrame(rows, columns=COLUMNS)


def _read_text(path: pathlib.Path) -> str:
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"{path} has {path.stat().st_size} bytes; a box file has at most {_MOST_BYTES}.")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text ({error}).") from error


def _read_xml(path: pathlib.Path) -> Iterator[tuple]:
    text = _read_text(path)
    # Entities can swell a small file to gigabytes or name other files; no box file has any.
    if re.search(r"<!\s*(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        raise ValueError(f"{path} has a document type or entities, which box files do not need; it is not read.")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"{path} is damaged XML ({error}).") from error
    if root.tag != "annotation":
        raise ValueError(f"{path} is no VOC or ImageNet annotation: its outermost element is {root.tag!r}.")
    width, height = (_count(root.findtext(f"size/{side}")) for side in ("width", "height"))
    for entry in root.iterfind("object"):
        name, corners = entry.findtext("name"), entry.find("bndbox")
        if not name or corners is None:
            raise ValueError(f"{path} has an object without a name or a bndbox.")
        numbers = [corners.findtext(side) for side in ("xmin", "ymin", "xmax", "ymax")]
        x_min, y_min, x_max, y_max = _numbers(numbers, path)
        # ImageNet has some that begin at 0 although it counts from 1.
        box = (max(x_min - 1, 0.0), max(y_min - 1, 0.0), x_max, y_max)
        # ImageNet's files name the image as %s here and there; the file's own name always fits.
        yield path.stem, name.strip(), _check_box(box, path, path.stem), width, height


def _read_coco(path: pathlib.Path) -> Iterator[tuple]:
    try:
        content = json.loads(_read_text(path))
        images = _by_id(content["images"], "images", path)
        names = {number: one["name"] for number, one in _by_id(content["categories"], "categories", path).items()}
        annotations = [one for one in content["annotations"] if not one.get("iscrowd", 0)]
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path} is no COCO file ({type(error).__name__}: {error}). Expected images, categories and annotations."
        ) from error
    spelled: dict[str, str] = {}
    for one in annotations:
        try:
            image, name, (x, y, width, height) = images[one["image_id"]], names[one["category_id"]], one["bbox"]
            file_name, size = image["file_name"], (image.get("width"), image.get("height"))
            if not (isinstance(file_name, str) and isinstance(name, str)):
                raise TypeError("file_name and name must be text")
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: annotation {one!r:.120} is incomplete ({error!r}).") from error
        stem = take_stem(file_name, spelled, path)
        x, y, width, height = _numbers((x, y, width, height), path)
        yield stem, name, _check_box((x, y, x + width, y + height), path, stem), _count(size[0]), _count(size[1])


def _by_id(entries: list[dict], what: str, path: pathlib.Path) -> dict:
    found = {one["id"]: one for one in entries}
    if len(found) < len(entries):
        raise ValueError(f"{path}: each of the {what} must have an id of its own, got one twice. Number them anew.")
    return found


def _read_csv(path: pathlib.Path, inclusive: bool) -> Iterator[tuple]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
            table = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False)
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as CSV ({str(error).strip()}).") from error
    table.columns = table.columns.str.strip()
    if repeated := [
        name for name in table.columns if (match := re.fullmatch(r"(.+)\.\d+", name)) and match[1] in table
    ]:
        raise ValueError(f"{path}: expected each column once, received {repeated[0].rpartition('.')[0]} again.")
    columns = {}
    for wanted, spellings in _SPELLINGS.items():
        found = next((spelling for spelling in spellings if spelling in table.columns), None)
        if found is None:
            raise ValueError(f"{path} has no column {wanted} (or {', '.join(spellings[1:])}): {list(table.columns)}.")
        columns[wanted] = table[found]
    sizes = [
        next((table[name] for name in (side, f"orig_{side}") if name in table.columns), [""] * len(table))
        for side in ("width", "height")
    ]
    spelled: dict[str, str] = {}
    for image, name, *corners, width, height in zip(*columns.values(), *sizes, strict=True):
        if not str(name).strip():
            raise ValueError(f"{path}: expected a class for each box, received none for {image}.")
        x_min, y_min, x_max, y_max = _numbers(corners, path)
        box = (x_min, y_min, x_max + inclusive, y_max + inclusive)
        stem = take_stem(image.strip(), spelled, path)
        yield stem, name.strip(), _check_box(box, path, image), _count(width), _count(height)


def _numbers(values: Iterable, path: pathlib.Path) -> list[float]:
    try:
        numbers = [float(value) for value in values]
        if any(isinstance(value, bool) or "_" in str(value) for value in values):  # float takes 1_0 for ten
            raise TypeError("not a number")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: the box {list(values)!r} is not four numbers.") from error
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"{path}: the box {numbers} is not finite.")
    return numbers


def _check_box(box: tuple[float, ...], path: pathlib.Path, image: str) -> tuple[float, ...]:
    if box[2] <= box[0] or box[3] <= box[1]:
        raise ValueError(f"{path}: the box {box} of {image} is empty; expected x_max > x_min and y_max > y_min.")
    return box


def _count(text) -> int:
    try:
        return max(0, int(float(text)))
    except (TypeError, ValueError, OverflowError):
        return 0


def number_classes(boxes: pd.DataFrame, numbers: dict[str, int]) -> pd.DataFrame:
    """Return the table with each class replaced by its number.

    Raises:
        ValueError: a class that ``numbers`` does not have; the closest are listed.
    """
    unknown = [name for name in dict.fromkeys(boxes["class"]) if name not in numbers]
    if unknown:
        more = f" {len(unknown)} of the boxes' classes are unknown." if len(unknown) > 1 else ""
        raise ValueError(unknown_name_message(unknown[0], numbers, "class of the boxes") + more)
    return boxes.assign(**{"class": [numbers[name] for name in boxes["class"]]})
