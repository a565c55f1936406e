"""All attribution methods on an image, side by side as an image or an HTML page."""

import base64
import dataclasses
import html
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasal import images
from kerasal.attribution.method import MethodSpec, list_methods, method_function, method_spec
from kerasal.attribution.pages import draw_map
from kerasal.hooks.engine import fixed_target
from kerasal.hooks.model_inputs import conform
from kerasal.progress import progress_bar

import keras

ADVICE = (
    "Which method answers which question? Where is the evidence, roughly? A class activation map (gradcam, layercam). "
    "Which pixels does the score react to? smoothgrad or class_saliency. How much does each pixel contribute to the "
    "score? integrated_gradients. The sharp edges of guided_backprop and deconvnet look much the same for a network "
    "with random weights, so they are no proof of what the class depends on."
)
_LEGEND = (
    "The image as the model receives it. For each method: its map, and the map over the image. Brighter is stronger. "
    "In signed maps, red raises the score of the class and blue lowers it; white or middle gray is no effect."
)
_READING = """This is the image as the model receives it. Below, for each method: its map, the map over the image,
and what it shows. Brighter is stronger. In signed maps, red raises the score of the class and blue lowers it; white or
middle gray is no effect. Maps of gradients are grainy; over the image they are slightly smoothed to be visible."""
# A forward pass for each of a thousand channels would take longer than all other methods together.
QUICK: Mapping[str, Mapping[str, Any]] = {"scorecam": {"channels": 64}, "integrated_gradients": {"return_gap": True}}


@dataclasses.dataclass(frozen=True)
class MethodView:
    """The map of a method for the compared image.

    Attributes:
        spec: the method.
        values: the raw map, of the size of the image unless the method defines another size.
        drawn: the map as a color image, uint8 RGB.
        over: the map over the image, uint8 RGB.
        summary: a sentence that describes the map.
    """

    spec: MethodSpec
    values: np.ndarray
    drawn: np.ndarray
    over: np.ndarray
    summary: str

    @property
    def layer(self) -> str | None:
        """The layer of a class activation map; None for other methods."""
        return getattr(self.values, "layer", None)


@dataclasses.dataclass(frozen=True)
class MethodComparison:
    """The maps of all methods for an image.

    Attributes:
        picture: the image as the model receives it, uint8 RGB.
        views: the maps, one per method, in the order of the methods' names.
        left_out: (name, reason) for each method that raised a ValueError for the model.
    """

    picture: np.ndarray
    views: list[MethodView]
    left_out: list[tuple[str, str]]

    def sheet(self, title: str) -> np.ndarray:
        """Return an image with each method's map, overlay, name and description, uint8 RGB."""
        first = images.caption(images.grid([self.picture], columns=1, tile=168, title="the image"), "", lines=4)
        panels = [_append_text(first, _LEGEND)]
        for view in self.views:
            name = view.spec.name + (f" ({view.layer})" if view.layer else "")
            pair = images.grid([view.drawn, view.over], columns=2, tile=168, title=name)
            panels.append(images.caption(pair, view.summary))
        return images.caption(images.sheet(panels, columns=3, title=title), ADVICE)

    def html(self, title: str) -> str:
        """Return a self-contained HTML page with each method's map, overlay, description and source."""
        title = html.escape(title)
        rows = "".join(map(_html_row, self.views))
        missing = "".join(f"<li>{html.escape(name)}: {html.escape(reason)}</li>" for name, reason in self.left_out)
        return f"""<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 16px/1.45 system-ui, sans-serif; color: #191919; margin: 2rem auto; max-width: 62rem; padding: 0 1rem }}
img {{ width: 224px; image-rendering: auto; display: block }} td {{ padding: .4rem .8rem .4rem 0; vertical-align: top }}
h2 {{ font-size: 1.05rem; margin: 0 }} p {{ margin: .3rem 0 }} .source {{ color: #6e6e6e; font-size: .85rem }}
</style>
<h1>{title}</h1>
<table><tr><td>{_img_tag(self.picture)}</td><td colspan=2><p>{_READING}</p>
<p>{ADVICE}</p></td></tr>
{rows}</table>
{f"<h2>Not available for this model</h2><ul>{missing}</ul>" if missing else ""}
</html>
"""


def compare_methods(
    model: keras.Model,
    shown: tuple[np.ndarray, np.ndarray],
    target: Any = None,
    *,
    larger: tuple[np.ndarray, np.ndarray] | None = None,
    options: Mapping[str, Mapping[str, Any]] = QUICK,
    bgr: bool = False,
    strength: float = 0.6,
    progress: bool = False,
) -> MethodComparison:
    """Return the maps of all attribution methods for an image.

    A method that raises a ValueError, for example because the model has no ReLU, is listed with its reason.

    Args:
        model: any built Keras model with a single image input.
        shown: the image as the model receives it, uint8 RGB (H, W, 3), and the model inputs (1, …) made from it.
        target: score to explain, as for the methods; by default the top class.
        larger: a larger image and its inputs for methods that cut crops themselves; by default ``shown``.
        options: options of some methods, ``{method: {option: value}}``.
        bgr: whether the model's channels are blue, green and red, in this order.
        strength: opacity of the colors over the image.
        progress: show a progress bar.

    Returns:
        A ``MethodComparison``.
    """
    target = fixed_target(model, conform(model, shown[1]), target)
    views, left_out = [], []
    names = list_methods()
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
                views.append(_make_view(spec, picture, result, method_options, bgr, strength))
            advance(1)
    return MethodComparison(shown[0], views, left_out)


def _make_view(
    spec: MethodSpec, picture: np.ndarray, result, options: dict[str, Any], bgr: bool, strength: float
) -> MethodView:
    summary = spec.summary
    if isinstance(result, tuple):
        result, gap = result
        total = abs(float(result[0].sum() - gap[0]))
        error = f"{abs(float(gap[0])) / total:.1%}" if total else "100 %"
        summary = f"{summary} The sum of the map misses this change by {error}; more steps reduce that."
    values = spec.to_pixels(result[0], picture.shape[:2], options)
    drawn = draw_map(spec, picture, values, options=options, bgr=bgr, strength=strength)
    return MethodView(spec, values, *drawn, summary)


def _append_text(panel: np.ndarray, text: str) -> np.ndarray:
    """Return a panel with a text of the same width at its right."""
    blank = np.full((1, panel.shape[1], 3), 255, np.uint8)
    text_image = images.caption(blank, text, lines=12)[: panel.shape[0]]
    below = np.full((panel.shape[0] - len(text_image), panel.shape[1], 3), 255, np.uint8)
    return np.concatenate([panel, np.concatenate([text_image, below])], axis=1)


def _html_row(view: MethodView) -> str:
    source = view.spec.reference + (f"; layer {view.layer}" if view.layer else "")
    return (
        f"<tr><td>{_img_tag(view.drawn)}</td><td>{_img_tag(view.over)}</td><td><h2>{html.escape(view.spec.name)}</h2>"
        f"<p>{html.escape(view.summary)}</p>"
        f"<p class=source>{html.escape(source)}</p></td></tr>\n"
    )


def _img_tag(pixels: np.ndarray) -> str:
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(images.encode_png(pixels)).decode()}">'
