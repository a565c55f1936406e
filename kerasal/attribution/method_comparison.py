"""Attribution methods side by side on an image, as an image or an HTML page."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from kerasal.attribution.comparison_pages import draw_html, draw_sheet
from kerasal.attribution.method import MethodSpec, list_methods, method_function, method_spec
from kerasal.attribution.pages import draw_map, drawing_kind, outline_areas
from kerasal.attribution.questions import MethodView, group_views
from kerasal.hooks.engine import fixed_target, target_scores
from kerasal.hooks.model_inputs import conform
from kerasal.images.grids import fit_tile
from kerasal.labels import format_score
from kerasal.objectives.areas import target_areas
from kerasal.progress import progress_bar

import keras

# A forward pass for each of a thousand channels would take longer than all other methods together.
QUICK: Mapping[str, Mapping[str, Any]] = {
    "ablationcam": {"channels": 64},
    "drise": {"samples": 300, "cells": 7},
    "hsic": {"samples": 500},
    "integrated_gradients": {"return_gap": True},
    "kernel_shap": {"samples": 1000},
    "lime": {"samples": 500},
    "rise": {"samples": 500},
    "scorecam": {"channels": 64},
    "sobol": {"designs": 8},
}

_OUTLINED = 224  # pixels of the longer side of a picture with outlines, at least


@dataclasses.dataclass(frozen=True)
class MethodComparison:
    """The maps of several methods for an image.

    Attributes:
        picture: the image as the model receives it, uint8 RGB; enlarged and with its outline if the target asks about a
            region or box.
        views: the maps, one per method, in the order of the methods' names.
        left_out: (name, reason) for each method that raised a ValueError for the model.
        class_index: index of the class that is explained; None for an objective.
        score: the model's output for the class, a probability if the model returns probabilities; else None.
    """

    picture: np.ndarray
    views: list[MethodView]
    left_out: list[tuple[str, str]]
    class_index: int | None = None
    score: float | None = None

    def sheet(self, title: str, *, facts: Sequence[str] = ()) -> np.ndarray:
        """Return an image with the maps, grouped by question, uint8 RGB; see ``html``."""
        return draw_sheet(title, self._facts(facts), self.picture, group_views(self.views), self.left_out)

    def html(self, title: str, *, facts: Sequence[str] = ()) -> str:
        """Return a self-contained HTML page with the maps, grouped by the question that they answer.

        Args:
            title: the heading.
            facts: lines below the heading, such as the names of the model and the image; the score of the class comes
                first.
        """
        return draw_html(title, self._facts(facts), self.picture, group_views(self.views), self.left_out)

    def _facts(self, facts: Sequence[str]) -> list[str]:
        return ([format_score(self.score, named=True).capitalize()] if self.score is not None else []) + list(facts)


def compare_methods(
    model: keras.Model,
    shown: tuple[np.ndarray, np.ndarray],
    target: Any = None,
    *,
    methods: Literal["chosen", "all"] | Sequence[str] = "chosen",
    larger: tuple[np.ndarray, np.ndarray] | None = None,
    options: Mapping[str, Mapping[str, Any]] = QUICK,
    bgr: bool = False,
    strength: float = 0.6,
    progress: bool = False,
) -> MethodComparison:
    """Return the maps of several attribution methods for an image.

    A method that raises a ValueError, for example because the model has no ReLU, is listed with its reason.

    Args:
        model: any built Keras model with a single image input.
        shown: the image as the model receives it, uint8 RGB (H, W, 3), and the model inputs (1, …) made from it.
        target: score to explain, as for the methods; by default the top class.
        methods: "chosen", one or two of each kind (``MethodSpec.compared``); "all"; or the names of methods.
        larger: a larger image and its inputs for methods that cut crops themselves; by default ``shown``.
        options: options of some methods, ``{method: {option: value}}``.
        bgr: whether the model's channels are blue, green and red, in this order.
        strength: opacity of the colors over the image.
        progress: show a progress bar.

    Returns:
        A ``MethodComparison``.

    Raises:
        ValueError: a name of ``methods`` is unknown; the error lists the closest names.
    """
    if isinstance(methods, str):
        if methods not in ("chosen", "all"):
            raise ValueError(f'methods must be "chosen", "all" or a sequence of names, got {methods!r}.')
        names = [name for name in list_methods() if methods == "all" or method_spec(name).compared]
    else:
        names = [method_spec(name).name for name in methods]
    target = fixed_target(model, conform(model, shown[1]), target)
    areas = target_areas(target, shown[0].shape[:2])
    views, left_out = [], []
    with progress_bar("Explaining", len(names), progress) as advance:
        for name in names:
            spec = method_spec(name)
            picture, inputs = larger if larger is not None and spec.any_size else shown
            method_options = dict(options.get(name, {}))
            try:
                result = method_function(name)(model, inputs, target, **method_options)
            except ValueError as error:
                left_out.append((name, str(error)))
            else:
                view = _make_view(spec, picture, result, method_options, bgr, strength)
                views.append(dataclasses.replace(view, over=_outline(view.over, areas)))
            advance(1)
    index, score = None, None
    if isinstance(target, np.ndarray) and target.dtype.kind in "iu":
        index = int(target.ravel()[0])
        score = float(target_scores(model, conform(model, shown[1]), target, logits=False)[0])
    return MethodComparison(_outline(shown[0], areas), views, left_out, index, score)


def _outline(picture: np.ndarray, areas: Sequence[np.ndarray]) -> np.ndarray:
    """Return a picture with the outlines of areas; a small picture is enlarged, so that the lines stay thin."""
    if not areas:
        return picture
    return outline_areas(fit_tile(picture, max(_OUTLINED, *picture.shape[:2])), areas)


def _make_view(
    spec: MethodSpec, picture: np.ndarray, result, options: dict[str, Any], bgr: bool, strength: float
) -> MethodView:
    summary = spec.summary
    if isinstance(result, tuple):
        result, *extras = result
    if spec.extra_name(options) == "gap":
        gap = extras[0]
        total = abs(float(result[0].sum() - gap[0]))
        error = f"{100 * abs(float(gap[0])) / total:.1f} %" if total else "100 %"
        summary = f"{summary} Its completeness gap is {error} of that change; more steps reduce it."
    values = spec.to_pixels(result[0], picture.shape[:2], options)
    if not np.any(values):
        summary = f"The map is 0 everywhere for this image, so it says nothing. {summary}"
    drawn = draw_map(spec, picture, values, options=options, bgr=bgr, strength=strength)
    return MethodView(spec, values, *drawn, summary, drawing_kind(spec, values, options))
