"""The questions that attribution methods answer, and the groups of drawn maps that answer the same one."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from kerasal.attribution.method import MethodSpec
from kerasal.attribution.pages import LEGENDS
from kerasal.images.lettering import Legend


class Question(NamedTuple):
    """A question that methods answer: its text, how to read the maps, and whether they depend on the class."""

    text: str
    reading: str
    by_class: bool = True


QUESTIONS: Mapping[str, Question] = {
    "region": Question(
        "Which region is the evidence in?",
        "Coarse maps of a late layer. They contain only evidence for the class, so dark does not mean evidence against "
        "it.",
    ),
    "attention": Question(
        "Where does the transformer read?",
        "Weights of its attention: which positions a token of a late layer reads. They are the same for every class, "
        "and what is read may raise or lower the score.",
        by_class=False,
    ),
    "pattern": Question(
        "Where does a layer respond most?",
        "The main pattern of the channels of a late layer. It is the same for every class: it tells what stands out to "
        "the model, not what it decides from.",
        by_class=False,
    ),
    "contribution": Question(
        "What raises or lowers the score?",
        "Red parts raise the score of the class and blue parts lower it: without these, it would be higher.",
    ),
    "dependence": Question(
        "How much does the score depend on each region?",
        "Regions are covered at random, and each is measured alone or with others, without a sign: a strong region may "
        "speak for the class or against it.",
    ),
    "sensitivity": Question(
        "Which pixels does the score react to?",
        "The size of the gradient at each pixel, without its sign: a strong pixel may speak for the class or against "
        "it.",
    ),
    "detail": Question(
        "Which detail passes back to the image?",
        "The gradient in the colors of the image; gray is 0. Over the image, its size is drawn without colors or sign.",
    ),
    "": Question("Other methods", "Methods that were registered by other packages."),
}


@dataclasses.dataclass(frozen=True)
class MethodView:
    """The map of a method for the compared image.

    Attributes:
        spec: the method.
        values: the raw map, of the size of the image unless the method defines another size.
        drawn: the map as a color image, uint8 RGB.
        over: the map over the image, uint8 RGB.
        summary: a sentence that describes the map.
        kind: how its values are drawn: "magnitude", "signed" or "relief", a gradient in colors.
    """

    spec: MethodSpec
    values: np.ndarray
    drawn: np.ndarray
    over: np.ndarray
    summary: str
    kind: str = "magnitude"

    @property
    def caption(self) -> str:
        """The summary without the paper, which the reference names."""
        return re.sub(r" \([^()]* (19|20)\d\d\)(?=\.)", "", self.summary)

    @property
    def layer(self) -> str | None:
        """The layer of a class activation map; None for other methods."""
        return getattr(self.values, "layer", None)


class Group(NamedTuple):
    """The maps that answer one question, and the color bars of their drawings."""

    key: str
    question: Question
    views: list[MethodView]
    legend: list[Legend]


def group_views(views: Iterable[MethodView]) -> list[Group]:
    """Return the maps grouped by the question that they answer, in the order of ``QUESTIONS``; no group is empty."""
    by_question: dict[str, list[MethodView]] = {key: [] for key in QUESTIONS}
    for view in views:
        by_question[view.spec.question if view.spec.question in QUESTIONS else ""].append(view)
    groups = []
    for key, members in by_question.items():
        kinds = [kind for kind in LEGENDS if any(view.kind == kind for view in members)]
        if members:
            groups.append(Group(key, QUESTIONS[key], members, [bar for kind in kinds for bar in LEGENDS[kind]]))
    return groups
