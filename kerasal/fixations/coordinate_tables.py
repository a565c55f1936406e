"""Read tables of fixation coordinates from CSV and text files.

The separator is the first of tab, semicolon and comma that the first line contains, otherwise spaces. A table of two
columns may lack a header. Numbers are written with a decimal point: decimal commas, as in 3,5;2,1, are refused because
1,234 may mean a thousand. The columns ``subject`` (or observer, participant), ``order`` and ``duration_ms`` are kept if
they exist.
"""

import csv
import dataclasses
import io
import math
import pathlib
import re
from collections.abc import Callable, Iterator

import numpy as np

from kerasal.fixations.recordings import Recording

IMAGE_COLUMNS = ("image", "name", "filename", "file", "img")
"""Accepted names of the column with the image name of each row."""
SUBJECT_COLUMNS = ("subject", "observer", "participant")
"""Accepted names of the column with the observer of each row, a number or a name."""

_MISSING = ("", "na", "nan")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclasses.dataclass
class Table:
    """A parsed table: lower-case column names, the fields of each row as text, and the 1-based line of each row.

    ``numbers`` are the numbers of the observers by their names in the whole file; see ``number_subjects``.
    """

    file: pathlib.Path
    columns: list[str]
    rows: list[list[str]]
    lines: list[int]
    numbers: dict[str, int] | None = None

    @property
    def image_column(self) -> int | None:
        """The index of the column with the image names, or None."""
        return self._find(IMAGE_COLUMNS)

    def _find(self, names: tuple[str, ...]) -> int | None:
        return next((self.columns.index(name) for name in names if name in self.columns), None)

    def by_image(self) -> dict[str, "Table"]:
        """Return a dictionary from image name, as spelled in the file, to the table of its rows, sorted by name."""
        column = self.image_column or 0
        groups: dict[str, list[int]] = {}
        for number, row in enumerate(self.rows):
            if not row[column]:
                raise ValueError(
                    f"{self.file}: every row must name its image in the column {self.columns[column]}, got nothing in "
                    f"line {self.lines[number]}. Complete or remove that line."
                )
            groups.setdefault(row[column], []).append(number)
        known = self.number_subjects()
        return {
            name: Table(self.file, self.columns, [self.rows[i] for i in rows], [self.lines[i] for i in rows], known)
            for name, rows in sorted(groups.items())
        }

    def number_subjects(self) -> dict[str, int] | None:
        """Return a dictionary from the observers of the table to numbers, or None if it does not tell them apart.

        Integers are numbers already; otherwise the names are numbered from 0 in their alphabetical order.
        """
        column = self._find(SUBJECT_COLUMNS)
        if column is None:
            return None
        names = sorted({row[column] for row in self.rows})
        integers = all(re.fullmatch(r"\d{1,9}", name) for name in names)
        return {name: int(name) if integers else number for number, name in enumerate(names)}

    def recording(self) -> Recording:
        """Return the coordinates with observers, order and durations as far as the table has these columns."""
        points, column, details = self.coordinates(), self._find(SUBJECT_COLUMNS), {}
        if column is not None:
            numbers = self.number_subjects() if self.numbers is None else self.numbers
            details["subject"] = np.array([(numbers or {})[row[column]] for row in self.rows], np.int64)
        if "order" in self.columns:
            details["order"] = self._numbers("order", lambda value: value == round(value)).astype(np.int64)
        if "duration_ms" in self.columns:
            details["duration_ms"] = self._numbers("duration_ms", lambda value: value >= 0, _MISSING)
        return Recording(points, **details)

    def _numbers(self, name: str, is_valid: Callable[[float], bool], missing: tuple[str, ...] = ()) -> np.ndarray:
        """Return a column as float64; texts in ``missing`` become NaN, and other invalid values raise an error."""
        column, values = self.columns.index(name), np.full(len(self.rows), np.nan)
        for number, row in enumerate(self.rows):
            if row[column].lower() in missing:
                continue
            values[number] = _parse_number(row[column])
            if not (math.isfinite(values[number]) and is_valid(values[number])):
                wanted = "integers" if name == "order" else "non-negative numbers, or nothing where one is missing,"
                raise ValueError(
                    f"{self.file} must have {wanted} in the column {name}, got {row[column]!r} in line "
                    f"{self.lines[number]}. Correct it, or remove the column."
                )
        return values

    def coordinates(self) -> np.ndarray:
        """Return the columns x and y as a float64 array of shape (n, 2)."""
        missing = [name for name in ("x", "y") if name not in self.columns]
        if missing:
            raise ValueError(
                f"{self.file} must have the columns x and y (0-based pixels), got {', '.join(self.columns)}."
            )
        indices = self.columns.index("x"), self.columns.index("y")
        values = np.empty((len(self.rows), 2))
        for number, row in enumerate(self.rows):
            for axis, column in enumerate(indices):
                values[number, axis] = _parse_number(row[column])
                if not math.isfinite(values[number, axis]):
                    comma = " Write decimals with a point." if re.fullmatch(r"[+-]?\d*,\d+", row[column]) else ""
                    raise ValueError(
                        f"{self.file} must have numbers in the columns x and y, got {row[column]!r} in line "
                        f"{self.lines[number]}.{comma}"
                    )
        return values


def read_table(file: pathlib.Path) -> Table:
    """Return the table of coordinates in a file, in the format that the module describes."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        first = next((line for line in text.split("\n") if line.strip()), "")
        separator = next((mark for mark in "\t;," if mark in first), None)
        numbered = list(_split(text, separator))
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{file} cannot be read as a table: {str(error).splitlines()[0]}") from error
    if not numbered:
        raise ValueError(f"{file} cannot be read as a table: it is empty.")
    (_, header), *body = numbered
    if len(header) == 2 and all(math.isfinite(_parse_number(field)) for field in header):  # no header
        header, body = ["x", "y"], numbered
    columns = [field.lower() for field in header]
    for name in ("x", "y", "order", "duration_ms", *IMAGE_COLUMNS, *SUBJECT_COLUMNS):
        if columns.count(name) > 1:
            raise ValueError(f"{file} must have a single column {name}, got {', '.join(columns)}.")
    for line, row in body:
        if len(row) != len(columns):
            raise ValueError(
                f"{file} cannot be read as a table: each line must have {len(columns)} fields "
                f"({', '.join(columns)}), got {len(row)} in line {line}."
            )
    return Table(file, columns, [row for _, row in body], [line for line, _ in body])


def _split(text: str, separator: str | None) -> Iterator[tuple[int, list[str]]]:
    """Yield (1-based line number, fields) for each line that is not blank, ignoring a separator at the end of lines."""
    if separator is None:
        for line, fields in enumerate(text.split("\n"), 1):
            if fields.strip():
                yield line, [field.strip("\"'") for field in fields.split()]
        return
    text = re.sub(rf'"[ ]+(?=[{separator}\n]|$)', '"', text)  # a strict reader accepts no space before a separator
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True, strict=True)
    ending = None
    for row in reader:
        fields = [field.strip() for field in row]
        if not any(fields):
            continue
        ending = not fields[-1] if ending is None else ending  # decided by the first line, for all lines
        yield reader.line_num, fields[:-1] if ending and not fields[-1] else fields


def _parse_number(text: str) -> float:
    """Return a decimal number, or NaN for any other text, including 1_0, which ``float`` would accept as ten."""
    return float(text) if _NUMBER.fullmatch(text) else math.nan
