"""The content of a report, independent of its layout."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        columns: titles of the columns; the first column has the names of the rows.
        rows: texts, or pairs of a text and a smaller text below it, such as an interval.
        title, note: texts above and below the table; may be empty.
        shares: for a confusion matrix, the number in 0..1 that colors each cell after the first column, by row.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    title: str = ""
    note: str = ""
    shares: Sequence[Sequence[float]] | None = None


@dataclasses.dataclass(frozen=True)
class Chart:
    """A line chart: ``svg`` as ``report_page.draw_svg`` returns it, and what it shows, for the caption."""

    svg: str
    caption: str


@dataclasses.dataclass(frozen=True)
class Example:
    """An image with pictures of it: ``pictures`` are pairs of a caption and uint8 RGB (H, W, 3).

    ``points`` (n, 2) are (x, y) in shares of the first picture's width and height, drawn over it.
    """

    caption: str
    pictures: Sequence[tuple[str, np.ndarray]]
    points: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class ExampleGroup:
    """Examples under a title, such as the worst ones."""

    title: str
    examples: Sequence[Example]


@dataclasses.dataclass(frozen=True)
class Meaning:
    """What a number means, in a sentence, and the source of its definition."""

    term: str
    sentence: str
    source: str = ""


@dataclasses.dataclass(frozen=True)
class Report:
    """The content of a report.

    Attributes:
        title, kind: name of the model; what was trained, such as ``"Classifier"``.
        lead: the result in a few sentences.
        findings: further sentences below the scores.
        scores: tables of scores with baselines.
        curves: charts of the training.
        details: tables such as the scores by class.
        example_note, examples: how the examples were chosen, and the examples.
        data: tables about the data; ``data_examples`` are images of it.
        settings: pairs of a title and rows (name, value).
        commands: pairs of what a command does and the command.
        meanings: what the numbers mean.
        notes: what is missing in the report, and why.
    """

    title: str
    kind: str
    lead: Sequence[str]
    scores: Sequence[Table]
    curves: Sequence[Chart]
    settings: Sequence[tuple[str, Sequence[tuple[str, str]]]]
    commands: Sequence[tuple[str, str]]
    meanings: Sequence[Meaning]
    findings: Sequence[str] = ()
    details: Sequence[Table] = ()
    example_note: str = ""
    examples: Sequence[ExampleGroup] = ()
    data: Sequence[Table] = ()
    data_examples: Sequence[ExampleGroup] = ()
    notes: Sequence[str] = ()
