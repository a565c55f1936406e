"""Read tables of coordinates as people save them: ``CSV or text file -> columns of text, or x and y as numbers``.

Separators are a tab, a semicolon, a comma or spaces, whichever the first line has, in this order. A header is optional
where there are two columns. A number has a decimal point: in 3,5;2,1 the commas are refused, because 1,234 may be
meant as a thousand.
"""

import csv
import dataclasses
import io
import math
import pathlib
import re
from collections.abc import Iterator

import numpy as np

IMAGE_COLUMNS = ("image", "name", "filename", "file", "img")
"""The names of the column that says which image a row belongs to."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclasses.dataclass
class Table:
    """The ``rows`` of a file as text, under the lower-case ``columns``; ``lines`` are their numbers, from 1."""

    file: pathlib.Path
    columns: list[str]
    rows: list[list[str]]
    lines: list[int]

    @property
    def image_column(self) -> int | None:
        """The position of the column that names images, if there is one."""
        return next((self.columns.index(name) for name in IMAGE_COLUMNS if name in self.columns), None)

    def by_image(self) -> dict[str, "Table"]:
        """Return image name, as the file spells it -> its rows, in the order of the names."""
        column = self.image_column or 0
        groups: dict[str, list[int]] = {}
        for number, row in enumerate(self.rows):
            if not row[column]:
                raise ValueError(
                    f"{self.file}: every row must name its image in the column {self.columns[column]}, got nothing in "
                    f"line {self.lines[number]}. Complete or remove that line."
                )
            groups.setdefault(row[column], []).append(number)
        return {
            name: Table(self.file, self.columns, [self.rows[i] for i in which], [self.lines[i] for i in which])
            for name, which in sorted(groups.items())
        }

    def coordinates(self) -> np.ndarray:
        """Return the columns x and y, float64 (n, 2)."""
        missing = [name for name in ("x", "y") if name not in self.columns]
        if missing:
            raise ValueError(
                f"{self.file}: expected the columns x and y (0-based pixels), received {', '.join(self.columns)}."
            )
        which = self.columns.index("x"), self.columns.index("y")
        values = np.empty((len(self.rows), 2))
        for number, row in enumerate(self.rows):
            for axis, column in enumerate(which):
                values[number, axis] = _number(row[column])
                if not math.isfinite(values[number, axis]):
                    comma = " Write decimals with a point." if re.fullmatch(r"[+-]?\d*,\d+", row[column]) else ""
                    raise ValueError(
                        f"{self.file}: expected numbers in the columns x and y, received {row[column]!r} in line "
                        f"{self.lines[number]}.{comma}"
                    )
        return values


def read_table(file: pathlib.Path) -> Table:
    """Read a table; see above."""
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
    if len(header) == 2 and all(math.isfinite(_number(field)) for field in header):  # no header
        header, body = ["x", "y"], numbered
    columns = [field.lower() for field in header]
    for needed in ("x", "y", *IMAGE_COLUMNS):
        if columns.count(needed) > 1:
            raise ValueError(f"{file}: expected the column {needed} once, received {', '.join(columns)}.")
    for line, row in body:
        if len(row) != len(columns):
            raise ValueError(
                f"{file} cannot be read as a table: expected {len(columns)} fields ({', '.join(columns)}), received "
                f"{len(row)} in line {line}."
            )
    return Table(file, columns, [row for _, row in body], [line for line, _ in body])


def _split(text: str, separator: str | None) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number from 1, fields) of the lines that are not blank; a separator at a line's end adds no field."""
    if separator is None:
        for line, fields in enumerate(text.split("\n"), 1):
            if fields.strip():
                yield line, [field.strip("\"'") for field in fields.split()]
        return
    text = re.sub(rf'"[ ]+(?=[{separator}\n]|$)', '"', text)  # "x" , "y": strict readers want the comma at once
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True, strict=True)
    ending = None
    for row in reader:
        fields = [field.strip() for field in row]
        if not any(fields):
            continue
        ending = not fields[-1] if ending is None else ending  # every line ends so, or none
        yield reader.line_num, fields[:-1] if ending and not fields[-1] else fields


def _number(text: str) -> float:
    """Return a decimal number, or NaN for any other text; ``float`` would take 1_0 for ten."""
    return float(text) if _NUMBER.fullmatch(text) else math.nan
