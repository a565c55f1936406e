"""Names of classes: the sets that ship, lists from a user's file, and finding a class by what a person calls it."""

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


class UnnamedClasses(ValueError):
    """A class was called by a name, but the classes have none."""


def load(source: str | os.PathLike) -> list[str]:
    """Return class names in index order, from a set that ships (``"imagenet"``, ``"digits"``) or a file.

    A file has one name a line; or is a CSV with a header and a column ``name``, ``label`` or ``class`` (and, if they
    are not in order, a column ``index``); or is JSON, a list of names or an object from index to name (or to
    ``[id, name]``).

    Raises:
        FileNotFoundError: neither a set nor a file.
        ValueError: a file that is none of these, has gaps in its indices, or is not text.
    """
    if source == "imagenet":
        return (_ASSETS / "imagenet_classes.txt").read_text(encoding="utf-8").splitlines()
    if source == "digits":
        return [str(digit) for digit in range(10)]
    path = pathlib.Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"There is no labels file {path}. Expected a file, or one of {', '.join(_SETS)}.")
    try:
        text = path.read_text(encoding="utf-8-sig")
        names = _json(text) if path.suffix == ".json" else _csv(text) if path.suffix == ".csv" else text.split("\n")
        if not all(isinstance(name, str) for name in names):
            raise TypeError("a name is no text")
    except (UnicodeDecodeError, KeyError, TypeError, ValueError, AttributeError, RecursionError, csv.Error) as error:
        raise ValueError(
            f"{path} cannot be read as class names ({error}). Expected one name a line, a CSV with a column 'name', "
            "or JSON."
        ) from error
    names = [name.strip() for name in names]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise ValueError(f"{path} holds no class names.")
    return names


def find(name: str, names: Sequence[str]) -> int:
    """Return the index of the class that is called ``name``: its index as text, its whole name, or one of its synonyms.

    Synonyms are separated by commas; case, underscores and hyphens do not matter.

    Raises:
        ValueError: no class is called that (the closest are listed), or several are; ``UnnamedClasses`` if there are
            no names at all.
    """
    if name.isdecimal():
        index = int(name)
        if names and index >= len(names):
            raise ValueError(f"There are {len(names)} classes, counted from 0. Received: {index}.")
        return index
    if not names:
        raise UnnamedClasses(
            f"The classes of this model have no names, so {name!r} means nothing. Give labels, or an index."
        )
    if name.lstrip("-").isdecimal():
        raise ValueError(f"A class number counts from 0. Received: {name}.")
    wanted = _plain(name)
    whole = [index for index, known in enumerate(names) if _plain(known) == wanted]
    found = whole or [i for i, known in enumerate(names) if wanted in {_plain(part) for part in known.split(",")}]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{name!r} is the name of classes {', '.join(map(str, found))}; give the index.")
    synonyms = [part.strip() for known in names for part in known.split(",")]
    raise ValueError(unknown_name_message(name, set(synonyms), "class"))


def short(names: Sequence[str], index: int) -> str:
    """Return the first synonym of a class, or ``class 7`` where it has no name."""
    return names[index].split(",")[0] if index < len(names) else f"class {index}"


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").replace("-", " ").casefold().split())


def _json(text: str) -> list:
    loaded = json.loads(text)
    if isinstance(loaded, dict):
        loaded = [loaded[str(index)] for index in range(len(loaded))]
    if not isinstance(loaded, list):
        raise TypeError(f"it is a single {type(loaded).__name__}")
    return [one[-1] if isinstance(one, list) and one else one for one in loaded]


def _csv(text: str) -> list[str]:
    rows = list(csv.DictReader(io.StringIO(text), strict=True))
    column = next((name for name in ("name", "label", "class") if rows and name in rows[0]), None)
    if column is None:
        raise ValueError("no column is called name, label or class")
    if rows and "index" in rows[0]:
        rows.sort(key=lambda row: int(row["index"]))
        if [int(row["index"]) for row in rows] != list(range(len(rows))):
            raise ValueError("the column index does not run from 0 without gaps")
    return [row[column] for row in rows]
