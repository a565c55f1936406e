"""Every attribution method on one image, side by side: pictures, a page, and why some methods are left out."""

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
    "Where is the evidence, roughly? A class activation map (gradcam, layercam). Which pixels does the score react to? "
    "smoothgrad or class_saliency. Shares that add up to the score? integrated_gradients. Sharp edges that need not be "
    "evidence? guided_backprop and deconvnet look alike for a network with random weights, so do not prove anything "
    "with them."
)
_LEGEND = (
    "What the model gets. For each method: its map, and where it is strong. Brighter is stronger; where a map has a "
    "sign, red speaks for the class and blue against; white or middle gray is no effect."
)
_READING = """This is what the model gets. Below, for each method: its map, where
it is strong, and what it shows. Maps of gradients are grains; their overlay is smoothed a little, to be seen."""
# For a quick look, a forward pass for each of a thousand channels takes longer than all else together.
QUICK: Mapping[str, Mapping[str, Any]] = {"scorecam": {"channels": 64}, "integrated_gradients": {"return_gap": True}}


@dataclasses.dataclass(frozen=True)
class MethodView:
    """One method's map of an image: ``values``, drawn by itself and over the image, and what it shows."""

    spec: MethodSpec
    values: np.ndarray
    drawn: np.ndarray
    over: np.ndarray
    summary: str

    @property
    def layer(self) -> str | None:
        """The layer that a class activation map is of."""
        return getattr(self.values, "layer", None)


@dataclasses.dataclass(frozen=True)
class MethodComparison:
    """What every method says of one image; ``left_out`` holds (name, reason) of those that cannot."""

    picture: np.ndarray
    views: list[MethodView]
    left_out: list[tuple[str, str]]

    def sheet(self, title: str) -> np.ndarray:
        """Lay out every method: its map beside its overlay, its name above, its one line below. uint8 RGB."""
        first = images.caption(images.grid([self.picture], columns=1, tile=168, title="the image"), "", lines=4)
        panels = [_beside(first, _LEGEND)]
        for view in self.views:
            name = view.spec.name + (f" ({view.layer})" if view.layer else "")
            pair = images.grid([view.drawn, view.over], columns=2, tile=168, title=name)
            panels.append(images.caption(pair, view.summary))
        return images.caption(images.sheet(panels, columns=3, title=title), ADVICE)

    def html(self, title: str) -> str:
        """Return one self-contained HTML page."""
        title = html.escape(title)
        rows = "".join(map(_row, self.views))
        missing = "".join(f"<li>{html.escape(name)}: {html.escape(reason)}</li>" for name, reason in self.left_out)
        return f"""<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 16px/1.45 system-ui, sans-serif; color: #191919; margin: 2rem auto; max-width: 62rem; padding: 0 1rem }}
img {{ width: 224px; image-rendering: auto; display: block }} td {{ padding: .4rem .8rem .4rem 0; vertical-align: top }}
h2 {{ font-size: 1.05rem; margin: 0 }} p {{ margin: .3rem 0 }} .source {{ color: #6e6e6e; font-size: .85rem }}
</style>
<h1>{title}</h1>
<table><tr><td>{_img(self.picture)}</td><td colspan=2><p>{_READING}</p>
<p>{ADVICE}</p></td></tr>
{rows}</table>
{f"<h2>Left out</h2><ul>{missing}</ul>" if missing else ""}
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
    """Run every attribution method on one image.

    Args:
        model: any built Keras model of one image input.
        shown: the picture that the model gets, uint8 RGB, and the inputs (1, …) made of it.
        target: what is explained, as in every method; by default the top class.
        larger: picture and inputs for a method that cuts crops itself; by default ``shown``.
        options: of some methods, by their names.
        bgr: the model's channels are blue, green, red.
        strength: of the colors over the picture.
        progress: show a bar.
    """
    target = fixed_target(model, conform(model, shown[1]), target)
    views, left_out = [], []
    names = list_methods()
    with progress_bar("Explaining", len(names), progress) as advance:
        for name in names:
            spec = method_spec(name)
            picture, inputs = larger if larger is not None and spec.any_size else shown
            chosen = dict(options.get(name, {}))
            try:
                found = method_function(name)(model, inputs, target, **chosen)
            except ValueError as error:
                left_out.append((name, str(error)))
            else:
                views.append(_view(spec, picture, found, bgr, strength))
            advance(1)
    return MethodComparison(shown[0], views, left_out)


def _view(spec: MethodSpec, picture: np.ndarray, found, bgr: bool, strength: float) -> MethodView:
    summary = spec.summary
    if isinstance(found, tuple):
        found, gap = found
        total = abs(float(found[0].sum() - gap[0]))
        missed = f"{abs(float(gap[0])) / total:.1%} of it" if total else "all of it"
        summary = f"{summary} Their sum misses {missed} (more steps, less)."
    values = spec.to_pixels(found[0], picture.shape[:2], {})
    return MethodView(spec, values, *draw_map(spec, picture, values, bgr=bgr, strength=strength), summary)


def _beside(panel: np.ndarray, text: str) -> np.ndarray:
    """Write a text at the right of a panel, as wide as the panel is."""
    blank = np.full((1, panel.shape[1], 3), 255, np.uint8)
    written = images.caption(blank, text, lines=12)[: panel.shape[0]]
    below = np.full((panel.shape[0] - len(written), panel.shape[1], 3), 255, np.uint8)
    return np.concatenate([panel, np.concatenate([written, below])], axis=1)


def _row(view: MethodView) -> str:
    source = view.spec.reference + (f"; layer {view.layer}" if view.layer else "")
    return (
        f"<tr><td>{_img(view.drawn)}</td><td>{_img(view.over)}</td><td><h2>{html.escape(view.spec.name)}</h2>"
        f"<p>{html.escape(view.summary)}</p>"
        f"<p class=source>{html.escape(source)}</p></td></tr>\n"
    )


def _img(pixels: np.ndarray) -> str:
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(images.encode_png(pixels)).decode()}">'
