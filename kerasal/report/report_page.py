"""The HTML page of a report, with style sheet and pictures inside, so that it is a single file without links."""

import base64
import io
import re

import jinja2
import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from kerasal._version import __version__
from kerasal.images import resize
from kerasal.page_templates import make_environment
from kerasal.report.report_content import Report

_SIDE = 360
"""Longest side of an embedded picture, in pixels."""
_SMALLEST = 160
"""Pictures that are smaller than this are enlarged to it without interpolation, so that their pixels can be seen."""
_COLORS = {"#000000": "currentColor", "#ffffff": "var(--paper)", "#cccccc": "var(--line)", "#b0b0b0": "var(--line)"}


def render_report(report: Report) -> str:
    """Return the HTML text of a report. All texts are escaped; nothing is loaded from elsewhere."""
    # The report shares the colors, the type and the print rules of the atlas.
    loaders = {"atlas": jinja2.PackageLoader("kerasal.atlas"), "report": jinja2.PackageLoader("kerasal.report")}
    environment = make_environment(jinja2.PrefixLoader(loaders), {"data_uri": embed_picture, "svg": Markup})
    return environment.get_template("report/report.html").render(report=report, version=__version__)


def embed_picture(picture: np.ndarray) -> str:
    """Return a picture, uint8 RGB (H, W, 3), as a data URI: a JPEG, or a PNG if it is small."""
    longest = max(picture.shape[:2])
    if longest > _SIDE:
        height, width = (max(1, round(side * _SIDE / longest)) for side in picture.shape[:2])
        picture = resize(picture, (height, width))
    if longest < _SMALLEST:
        factor = -(-_SMALLEST // longest)
        picture = np.repeat(np.repeat(picture, factor, axis=0), factor, axis=1)
    file, kind = io.BytesIO(), "png" if longest < _SMALLEST else "jpeg"
    options = {"optimize": True} if kind == "png" else {"quality": 86, "subsampling": 0}
    Image.fromarray(picture).save(file, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def draw_svg(figure: Figure, name: str) -> str:
    """Return a figure as an SVG element in the colors of the page, light or dark; ``name`` is unique on the page."""
    file = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):  # the same ids in every call
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"#[0-9a-f]{6}\b", lambda color: _COLORS.get(color[0], color[0]), text)
    text = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{name}-", text)
    return re.sub(r'<svg ([^>]*?)width="[^"]*" ', r"<svg \1", re.sub(r'height="[^"]*pt" ', "", text, count=1), count=1)
