"""Texts with a value per token as HTML."""

import functools
import pathlib
from collections.abc import Sequence

import jinja2
import numpy as np

from kerasal.images.colormaps import css_gradient
from kerasal.images.lettering import Legend
from kerasal.images.texts import color_tokens, group_words
from kerasal.page_templates import make_environment

_TEMPLATES = pathlib.Path(__file__).parent / "templates"


def text_html(
    tokens: Sequence[str],
    values: np.ndarray,
    *,
    signed: bool | None = None,
    mask: np.ndarray | None = None,
    separator: str = " ",
    limit: float | None = None,
    strength: float = 0.6,
    colormap: str | None = None,
    title: str = "",
    note: str = "",
    legend: tuple[str, str] | None = None,
) -> str:
    """Return a text with the color of its value behind each token as an HTML page with a color bar, self-contained.

    It has the colors and the white space of ``text``, which has more on both, and all tokens; pointing at a token shows
    its value. All texts are escaped. The page also fits into a notebook, by ``IPython.display.HTML``.

    Args:
        tokens: the texts of the tokens, T of them.
        values: a value per token, (T,).
        signed: whether negative values are drawn; otherwise they count as zero. By default they are if there are any.
        mask: tokens to draw, bool (T,), as to leave out padding; by default all.
        separator: text between tokens. "" joins parts of words or characters, and lines then break at white space.
        limit: magnitude from which colors are saturated; by default the largest. Texts with one limit can be compared.
        strength: opacity of the colors, 0..1; from .5 on they are those of the color bar.
        colormap: name of a colormap of matplotlib, diverging for signed values and sequential for others.
        title: a heading.
        note: a gray text at the bottom.
        legend: meaning of the left and right end of the color bar; by default the values themselves.

    Raises:
        TypeError: tokens that are no texts.
        ValueError: another number of tokens than values, or another invalid argument; see ``text``.
    """
    colored = color_tokens(
        tokens, values, signed=signed, mask=mask, separator=separator, limit=limit, strength=strength, colormap=colormap
    )
    kept = np.array([token.value for token in colored])
    signed = bool((kept < 0).any()) if signed is None else signed
    largest = float(np.abs(kept).max()) if limit is None else float(limit)
    bar: Legend = (colormap or ("signed" if signed else "text"), *(legend or (_end(-largest * signed), _end(largest))))
    return _template().render(
        words=group_words(colored, separator), separator=separator, title=title, note=note, bar=bar
    )


def _end(value: float) -> str:
    return f"{value:.3g}"


@functools.cache
def _template() -> jinja2.Template:
    filters = {"gradient": lambda bar: css_gradient(bar[0]), "rgb": lambda color: f"rgb({' '.join(map(str, color))})"}
    return make_environment(jinja2.FileSystemLoader(_TEMPLATES), filters).get_template("text.html")
