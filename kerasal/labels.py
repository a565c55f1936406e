"""Class names: built-in sets, files with class names, and the search for a class by name."""

import csv
import io
import json
import os
import pathlib
from collections.abc import Sequence

from kerasal.names import unknown_name_message

__all__ = ["UnnamedClasses", "find", "load", "short"]

_ASSETS = pathlib.Path(__file__).parent / "assets"
_SETS = ("imagenet", "digits")
_IMAGE_COLUMNS = ("image", "file", "filename", "path", "photo")


class UnnamedClasses(ValueError):
    """Error for a class that is passed by name, although the classes have no names."""


def load(source: str | os.PathLike) -> list[str]:
    """Return class names in index order.

    Args:
        source: "imagenet", "digits", or the path of a file: a text file with a name per line; a CSV file with a
            column ``name``, ``label`` or ``class`` and, if the rows are not in order, a column ``index``, but no column
            of images; or a JSON file with a list of names, or an object from index to name or to ``[id, name]``.

    Raises:
        FileNotFoundError: ``source`` is neither a built-in set nor a file.
        ValueError: the file has another format or no names, or its indices have gaps.
    """
    if source == "imagenet":
        return (_ASSETS / "imagenet_classes.txt").read_text(encoding="utf-8").splitlines()
    if source == "digits":
        return [str(digit) for digit in range(10)]
    path = pathlib.Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"labels must be an existing file or one of {', '.join(_SETS)}, got {str(path)!r}.")
    try:
        text = path.read_text(encoding="utf-8-sig")
        names = (
            _read_json(text)
            if path.suffix == ".json"
            else _read_csv(text)
            if path.suffix == ".csv"
            else text.split("\n")
        )
        if not all(isinstance(name, str) for name in names):
            raise TypeError("a name is not text")
    except (UnicodeDecodeError, KeyError, TypeError, ValueError, AttributeError, RecursionError, csv.Error) as error:
        raise ValueError(
            f"{path} must be text with one class name per line, CSV with a column 'name', or JSON, but cannot be read: "
            f"{error}."
        ) from error
    names = [name.strip() for name in names]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise ValueError(f"{path} must have class names, got none.")
    return names


def find(name: str, names: Sequence[str]) -> int:
    """Return the index of a class from its name.

    Args:
        name: the whole name of the class, a synonym (a name may have several, separated by commas), or its index as
            text. Case, underscores and hyphens are ignored.
        names: all class names in index order.

    Raises:
        UnnamedClasses: a ValueError: ``names`` is empty, and ``name`` is not an index.
        ValueError: no class has this name (the error lists the closest names), or several classes have it.
    """
    if name.isdecimal():
        index = int(name)
        if names and index >= len(names):
            raise ValueError(f"The index of a class must be in 0..{len(names) - 1}, got {index}.")
        return index
    if not names:
        raise UnnamedClasses(
            f"The class must be an index for a model without class names, got {name!r}. Pass the index, or labels with "
            "the names."
        )
    if name.lstrip("-").isdecimal():
        raise ValueError(f"The index of a class must be at least 0, got {name}.")
    normalized = _normalize(name)
    exact = [index for index, known in enumerate(names) if _normalize(known) == normalized]
    matches = exact or [
        i for i, known in enumerate(names) if normalized in {_normalize(part) for part in known.split(",")}
    ]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise ValueError(f"{name!r} is the name of several classes: {', '.join(map(str, matches))}. Pass the index.")
    synonyms = [part.strip() for known in names for part in known.split(",")]
    raise ValueError(unknown_name_message(name, set(synonyms), "class", count=len(names)))


def short(names: Sequence[str], index: int) -> str:
    """Return the first synonym of a class, or a text such as "class 7" if the class has no name."""
    return names[index].split(",")[0] if index < len(names) else f"class {index}"


def format_score(score: float, *, named: bool = False, probable: bool = True) -> str:
    """Return the output of a class as text: "53 %" from 0 to 1, which is a probability, otherwise "score 8.31".

    With ``named``, percentages are called so: "probability 53 %". A number that is not ``probable``, such as a cosine,
    is a score, whatever its value.
    """
    if not (probable and 0 <= score <= 1):
        return f"score {score:.3g}"
    text = f"{100 * score:.0f} %" if score >= 0.0995 or score == 0 else f"{100 * score:.2g} %"
    return f"probability {text}" if named else text


def _normalize(name: str) -> str:
    return " ".join(name.replace("_", " ").replace("-", " ").casefold().split())


def _read_json(text: str) -> list:
    loaded = json.loads(text)
    if isinstance(loaded, dict):
        loaded = [loaded[str(index)] for index in range(len(loaded))]
    if not isinstance(loaded, list):
        raise TypeError(f"the JSON is a single {type(loaded).__name__}")
    return [item[-1] if isinstance(item, list) and item else item for item in loaded]


def _read_csv(text: str) -> list[str]:
    rows = list(csv.DictReader(io.StringIO(text), strict=True))
    column = next((name for name in ("name", "label", "class") if rows and name in rows[0]), None)
    if column is None:
        raise ValueError("no column is called name, label or class")
    images = next((name for name in _IMAGE_COLUMNS if name in rows[0]), None)
    if images is not None and "index" not in rows[0]:  # their order is not that of the classes
        raise ValueError(f"the column {images!r} shows that each row is an image, not a class")
    if rows and "index" in rows[0]:
        rows.sort(key=lambda row: int(row["index"]))
        if [int(row["index"]) for row in rows] != list(range(len(rows))):
            raise ValueError("the column index does not run from 0 without gaps")
    return [row[column] for row in rows]
