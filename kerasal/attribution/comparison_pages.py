"""The comparison of attribution methods as an HTML page and as an image, grouped by the question they answer."""

import base64
import functools
import pathlib
from collections.abc import Sequence

import jinja2
import numpy as np
from PIL import Image, ImageDraw

from kerasal import images
from kerasal._version import __version__
from kerasal.attribution.questions import Group
from kerasal.images.colormaps import css_gradient
from kerasal.images.lettering import PAPER, font, line_height, type_size, wrap, write_lines
from kerasal.names import group_skipped
from kerasal.page_templates import make_environment

_TEMPLATES = pathlib.Path(__file__).parent / "templates"
_TILE, _COLUMNS = 200, 4
READING = (
    "Each method answers a question of its own. Compare methods that answer the same question: where they agree, the "
    "result does not depend on the method."
)


def draw_html(
    title: str, facts: Sequence[str], picture: np.ndarray, groups: Sequence[Group], left_out: Sequence[tuple[str, str]]
) -> str:
    """Return a self-contained HTML page: the image, the maps by question, and the methods that cannot run."""
    return _template().render(
        title=title,
        facts=facts,
        picture=picture,
        groups=groups,
        left_out=group_skipped(left_out),
        reading=READING,
        version=__version__,
    )


def draw_sheet(
    title: str, facts: Sequence[str], picture: np.ndarray, groups: Sequence[Group], left_out: Sequence[tuple[str, str]]
) -> np.ndarray:
    """Return the same as an image, uint8 RGB: for each question a row of maps and a row of maps over the image."""
    width = (_COLUMNS + 1) * _TILE
    panels = [_draw_head(title, [*facts, READING], picture, width)]
    for group in groups:
        views = group.views
        for start in range(0, len(views), _COLUMNS):
            row = views[start : start + _COLUMNS]
            texts = [f"{view.caption} {view.spec.trust}".strip() for view in row]
            panels.append(
                images.grid(
                    [view.drawn for view in row] + [view.over for view in row],
                    [""] * len(row) + texts,
                    columns=len(row),
                    column_labels=[view.spec.name for view in row],
                    row_labels=["map", "over the image"],
                    title=group.question.text,
                    note=group.question.reading,
                    legend=group.legend,
                    tile=_TILE,
                    lines=12,
                    page_width=width,
                )
            )
    note = "".join(f"Not available for this model: {names}. {reason} " for names, reason in group_skipped(left_out))
    return images.sheet(panels, columns=1, note=note)


def _draw_head(title: str, facts: Sequence[str], picture: np.ndarray, width: int) -> np.ndarray:
    """Return the image with the title and the facts at its right, uint8 RGB."""
    left = images.grid([picture], tile=280, page_width=width)
    size = type_size(width)
    face, head = font(size), font(round(1.5 * size), bold=True)
    space = width - left.shape[1] - 28
    lines = wrap(title, head, space)
    texts = [line for fact in facts for line in [*wrap(fact, face, space), ""]]
    top, step = 14, line_height(head)
    height = max(len(left), 2 * top + (len(lines) + 1) * step + len(texts) * line_height(face))
    page = Image.new("RGB", (width, height), PAPER)
    page.paste(Image.fromarray(left), (0, 0))
    draw = ImageDraw.Draw(page)
    write_lines(draw, lines, (left.shape[1], top), head)
    write_lines(draw, texts, (left.shape[1], top + round((len(lines) + 0.5) * step)), face)
    return np.array(page)


@functools.cache
def _template() -> jinja2.Template:
    filters = {"data_url": _data_url, "gradient": lambda bar: css_gradient(bar[0])}
    return make_environment(jinja2.FileSystemLoader(_TEMPLATES), filters).get_template("comparison.html")


def _data_url(pixels: np.ndarray) -> str:
    """Return an image as the address of an ``img`` element that needs no file."""
    return f"data:image/png;base64,{base64.b64encode(images.encode_png(pixels)).decode()}"
