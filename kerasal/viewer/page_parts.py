"""Parts of the live page that Streamlit has no element for, as HTML: legends and bars; the icon and the style."""

import html

import numpy as np
from PIL import Image

from kerasal.images.drawings import color_scale
from kerasal.models import ImageModel
from kerasal.viewer.menus import are_probabilities, describe_score
from kerasal.viewer.photo_maps import Legend

STYLE = """<style>
.stMainBlockContainer { padding: 2.2rem clamp(1rem, 3vw, 3.5rem) 3rem; max-width: 1800px }
.stMainBlockContainer h1 { font-size: 1.5rem; padding: 0 0 .2rem; overflow-wrap: anywhere }
.stImage img { max-height: 74vh; object-fit: contain; object-position: left top; border-radius: 0 }
.kerasal-legend { display: flex; align-items: center; gap: .6rem; font-size: .85rem; margin-top: -.4rem }
.kerasal-legend i { flex: 1; max-width: 16rem; height: .7rem; border-radius: 3px; border: 1px solid #8888 }
.kerasal-bars { display: grid; grid-template-columns: minmax(0, max-content) 1fr max-content; gap: .3rem .7rem }
.kerasal-bars { align-items: center; font-size: .9rem; max-width: 40rem }
.kerasal-bars span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.kerasal-bars i { height: .55rem; border-radius: 3px; background: #d7473c; min-width: 1px }
.kerasal-bars b { font-weight: 400; font-variant-numeric: tabular-nums; text-align: right }
@media (max-width: 640px) {
  .stMainBlockContainer { padding-top: 1rem }
  .stMainBlockContainer h1 { font-size: 1.15rem }
  .st-key-settings { display: grid; grid-template-columns: 1fr 1fr; gap: .5rem .8rem; align-items: end }
  .st-key-settings > :has(.stFileUploader), .st-key-settings > :has(.stExpander) { grid-column: 1 / -1 }
  .st-key-settings .stFileUploader section { padding: .3rem .5rem; flex-direction: row }
}
</style>"""


def legend_html(legend: Legend) -> str:
    """Return the color bar of a picture between what its two ends mean."""
    colors = color_scale(legend.scale)[np.linspace(0, 255, 17).astype(int)]
    stops = ", ".join(f"rgb({red}, {green}, {blue})" for red, green, blue in colors.tolist())
    low, high = html.escape(legend.low), html.escape(legend.high)
    bar = f'<i style="background: linear-gradient(to right, {stops})"></i>'
    return f'<div class="kerasal-legend"><span>{low}</span>{bar}<span>{high}</span></div>'


def bars_html(model: ImageModel, scores: np.ndarray, top: int = 5) -> str:
    """Return the top classes with their scores, and with bars if the scores are probabilities."""
    rows, probable = [], are_probabilities(scores)
    for index in np.argsort(-scores, kind="stable")[:top].tolist():
        bar = f'<i style="width: {100 * scores[index]:.1f}%"></i>' if probable else "<div></div>"
        rows.append(f"<span>{html.escape(model.label(index))}</span>{bar}<b>{describe_score(scores, index)}</b>")
    return f'<div class="kerasal-bars">{"".join(rows)}</div>'


def icon() -> Image.Image:
    """Return the icon of the page, a spot of heat."""
    rows, columns = np.mgrid[-1:1:64j, -1:1:64j]
    heat = np.exp(-3 * (rows**2 + columns**2))
    return Image.fromarray(color_scale("overlay")[np.round(255 * heat).astype(int)])
