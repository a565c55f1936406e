"""Readers of true boxes: XML of PASCAL VOC and ImageNet, JSON of COCO, CSV -> a DataFrame of boxes.

Columns: ``image`` (the file name without its suffix), ``class``, ``box`` (x_min, y_min, x_max, y_max), 0-based with
exclusive upper bounds, and ``width`` and ``height`` of the image, 0 if the file does not contain them.
"""

import collections
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
_MAX_BYTES = 1 << 30
_SPELLINGS = {
    "image": ("image", "file", "filename", "file_name", "image_id"),
    "class": ("class", "label", "name", "wnid", "category"),
    "x_min": ("x_min", "xmin", "left"),
    "y_min": ("y_min", "ymin", "top"),
    "x_max": ("x_max", "xmax", "right"),
    "y_max": ("y_max", "ymax", "bottom"),
}


def read_boxes(path: str | os.PathLike, *, inclusive: bool | None = None) -> pd.DataFrame:
    """Return the true boxes of a file or folder as a DataFrame with the columns image, class, box, width, height.

    VOC and ImageNet count pixels from 1 and include the last pixel, so 1 is subtracted from x_min and y_min; objects
    marked difficult are kept. COCO's (x, y, width, height) become corners; crowd regions are left out because they are
    not single objects. A CSV has a header with image, class, xmin, ymin, xmax, ymax (or x_min, label, …), 0-based.

    Args:
        path: an ``.xml`` file (PASCAL VOC, ImageNet), a COCO ``.json``, a ``.csv``, or a folder of ``.xml`` files.
        inclusive: whether x_max and y_max of a CSV are the last pixel inside the box. By default they are the first
            pixel outside, as in the files that kerasal writes.

    Raises:
        FileNotFoundError: the file or folder does not exist.
        ValueError: the file has another format, is damaged, has a document type or entities (which are not expanded),
            has a box that is empty or not numeric, or has no boxes.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no box file or folder {path}.")
    if path.is_dir():
        files = sorted(path.rglob("*.xml"))
        if not files:
            raise ValueError(f"{path} must contain .xml files of VOC or ImageNet, got no .xml files.")
        spelled: dict[str, str] = {}
        for file in files:
            take_stem(file.relative_to(path).with_suffix("").as_posix(), spelled, path)
        rows = [row for file in files for row in _read_xml(file)]
    else:
        readers = {".xml": _read_xml, ".json": _read_coco, ".csv": lambda file: _read_csv(file, bool(inclusive))}
        if path.suffix.lower() not in readers:
            raise ValueError(f"path must be an .xml, .json or .csv file or a folder of .xml files, got {str(path)!r}.")
        rows = list(readers[path.suffix.lower()](path))
    if not rows:
        raise ValueError(f"{path} must contain boxes, got none.")
    return pd.DataFrame(rows, columns=COLUMNS)


def _read_text(path: pathlib.Path) -> str:
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"{path} must have at most {_MAX_BYTES} bytes, got {path.stat().st_size}.")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be a UTF-8 text file, got other bytes ({error}).") from error


def _read_xml(path: pathlib.Path) -> Iterator[tuple]:
    text = _read_text(path)
    # Entities can expand a small file to gigabytes or refer to other files; box files do not need them.
    if re.search(r"<!\s*(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        raise ValueError(f"{path} must have no document type or entities, which can be unsafe. Remove them.")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"{path} must be well-formed XML, got {error}.") from error
    if root.tag != "annotation":
        raise ValueError(f"{path} must be a VOC or ImageNet annotation, got the outermost element {root.tag!r}.")
    width, height = (_parse_side(root.findtext(f"size/{side}")) for side in ("width", "height"))
    for entry in root.iterfind("object"):
        name, corners = entry.findtext("name"), entry.find("bndbox")
        if not name or corners is None:
            raise ValueError(f"Each object in {path} must have a name and a bndbox, got an object without them.")
        numbers = [corners.findtext(side) for side in ("xmin", "ymin", "xmax", "ymax")]
        x_min, y_min, x_max, y_max = _parse_numbers(numbers, path)
        # Some boxes of ImageNet begin at 0, although its pixels count from 1.
        box = (max(x_min - 1, 0.0), max(y_min - 1, 0.0), x_max, y_max)
        # Some files of ImageNet contain "%s" instead of the image's name; the name of the XML file is always right.
        yield path.stem, name.strip(), _check_box(box, path, path.stem), width, height


def _read_coco(path: pathlib.Path) -> Iterator[tuple]:
    try:
        content = json.loads(_read_text(path))
        images = _index_by_id(content["images"], "images", path)
        categories = _index_by_id(content["categories"], "categories", path)
        names = {number: category["name"] for number, category in categories.items()}
        annotations = [entry for entry in content["annotations"] if not entry.get("iscrowd", 0)]
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path} must be a COCO file with images, categories and annotations, got {type(error).__name__}: {error}."
        ) from error
    spelled: dict[str, str] = {}
    for entry in annotations:
        try:
            image, name, (x, y, width, height) = images[entry["image_id"]], names[entry["category_id"]], entry["bbox"]
            file_name, size = image["file_name"], (image.get("width"), image.get("height"))
            if not (isinstance(file_name, str) and isinstance(name, str)):
                raise TypeError("file_name and name must be text")
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path}: annotation {entry!r:.120} must have image_id, category_id and bbox, got {error!r}."
            ) from error
        stem = take_stem(file_name, spelled, path)
        x, y, width, height = _parse_numbers((x, y, width, height), path)
        box = _check_box((x, y, x + width, y + height), path, stem)
        yield stem, name, box, _parse_side(size[0]), _parse_side(size[1])


def _index_by_id(entries: list[dict], what: str, path: pathlib.Path) -> dict:
    indexed = {entry["id"]: entry for entry in entries}
    if len(indexed) < len(entries):
        repeated, _ = collections.Counter(entry["id"] for entry in entries).most_common(1)[0]
        raise ValueError(f"{path}: {what} must have unique ids, got {repeated!r} twice. Renumber them.")
    return indexed


def _read_csv(path: pathlib.Path, inclusive: bool) -> Iterator[tuple]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
            table = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False)
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as CSV: {str(error).strip()}.") from error
    table.columns = table.columns.str.strip()
    if repeated := [
        name for name in table.columns if (match := re.fullmatch(r"(.+)\.\d+", name)) and match[1] in table
    ]:
        raise ValueError(f"{path}: column names must be unique, got {repeated[0].rpartition('.')[0]!r} twice.")
    columns = {}
    for wanted, spellings in _SPELLINGS.items():
        column = next((spelling for spelling in spellings if spelling in table.columns), None)
        if column is None:
            raise ValueError(
                f"{path} must have a column {wanted} (or {', '.join(spellings[1:])}), got {', '.join(table.columns)}."
            )
        columns[wanted] = table[column]
    sizes = [
        next((table[name] for name in (side, f"orig_{side}") if name in table.columns), [""] * len(table))
        for side in ("width", "height")
    ]
    spelled: dict[str, str] = {}
    for image, name, *corners, width, height in zip(*columns.values(), *sizes, strict=True):
        if not str(name).strip():
            raise ValueError(f"{path}: each box must have a class, got none for {image}.")
        x_min, y_min, x_max, y_max = _parse_numbers(corners, path)
        box = (x_min, y_min, x_max + inclusive, y_max + inclusive)
        stem = take_stem(image.strip(), spelled, path)
        yield stem, name.strip(), _check_box(box, path, image), _parse_side(width), _parse_side(height)


def _parse_numbers(values: Iterable, path: pathlib.Path) -> list[float]:
    try:
        numbers = [float(value) for value in values]
        if any(isinstance(value, bool) or "_" in str(value) for value in values):  # float("1_0") is 10
            raise TypeError("not a number")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: a box must be four numbers, got {list(values)!r}.") from error
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"{path}: a box must be four finite numbers, got {numbers}.")
    return numbers


def _check_box(box: tuple[float, ...], path: pathlib.Path, image: str) -> tuple[float, ...]:
    if box[2] <= box[0] or box[3] <= box[1]:
        raise ValueError(f"{path}: a box must have x_max > x_min and y_max > y_min, got {box} of {image}.")
    return box


def _parse_side(text) -> int:
    try:
        return max(0, int(float(text)))
    except (TypeError, ValueError, OverflowError):
        return 0


def number_classes(boxes: pd.DataFrame, numbers: dict[str, int]) -> pd.DataFrame:
    """Return a table of boxes in which each class name is replaced by its number.

    Raises:
        ValueError: a class is not in ``numbers``; the message lists the closest names.
    """
    unknown = [name for name in dict.fromkeys(boxes["class"]) if name not in numbers]
    if unknown:
        more = f" In total {len(unknown)} classes of the boxes are unknown." if len(unknown) > 1 else ""
        raise ValueError(unknown_name_message(unknown[0], numbers, "class of the boxes") + more)
    return boxes.assign(**{"class": [numbers[name] for name in boxes["class"]]})
