"""Draw texts with a value per token: each token on a ground in the color of its value."""

import dataclasses
import unicodedata
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from kerasal.checks import check_int, check_number
from kerasal.images.colormaps import choose_colors
from kerasal.images.drawings import scale_map
from kerasal.images.image_check import check_map
from kerasal.images.lettering import FAINT, INK, PAPER, font, line_height, type_size
from kerasal.names import count_noun

MOST_TOKENS = 2000
"""Of a longer text, a picture shows the stretch of as many tokens that has the largest values."""
_MARGIN, _PAD, _LEADING = 12, 2, 7
_VISIBLE = {" ": "␣", "\t": "⇥", "\n": "↵", "\N{NO-BREAK SPACE}": "␣"}

Color = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class ColoredToken:
    """A token as it is drawn.

    Attributes:
        shown: its letters; white space is visible where there is nothing else.
        value: its value.
        ground: color behind the letters.
        ink: color of the letters, dark or white, whichever contrasts more.
        ends_line: whether it holds a line break.
    """

    shown: str
    value: float
    ground: Color
    ink: Color
    ends_line: bool


def text(
    tokens: Sequence[str],
    values: np.ndarray,
    *,
    signed: bool | None = None,
    mask: np.ndarray | None = None,
    separator: str = " ",
    limit: float | None = None,
    strength: float = 0.6,
    colormap: str | None = None,
    width: int = 900,
) -> np.ndarray:
    """Return a text with the color of its value behind each token, on white, uint8 RGB (height, width, 3).

    Values without a sign run from white through orange to dark red; signed ones are white at 0, red above and blue
    below. Lines break between words, after a token with a line break, and within a token only if it is longer than a
    line. A token of white space is drawn as ␣, ⇥ or ↵, an empty one as ∅, a control character as �; unknown tokens such
    as [UNK] are drawn like all others. Of more than 2,000 tokens, the stretch with the largest values is drawn. Letters
    that the typeface, DejaVu Sans, does not have are drawn as boxes; ``text_html`` has all letters and tokens.

    Args:
        tokens: the texts of the tokens, T of them.
        values: a value per token, (T,).
        signed: whether negative values are drawn; otherwise they count as zero. By default they are if there are any.
        mask: tokens to draw, bool (T,), as to leave out padding; by default all.
        separator: text between tokens. "" joins parts of words or characters, and lines then break at white space.
        limit: magnitude from which colors are saturated; by default the largest. Texts with one limit can be compared.
        strength: opacity of the colors, 0..1; from .5 on they are those of the color bar.
        colormap: name of a colormap of matplotlib, diverging for signed values and sequential for others.
        width: width of the picture in pixels.

    Raises:
        TypeError: tokens that are no texts.
        ValueError: another number of tokens than values, NaN or infinite values, a mask of another length or without
            tokens, or an invalid ``limit``, ``strength``, ``colormap`` or ``width``.
    """
    check_int("width", width, 200)
    colored = color_tokens(
        tokens, values, signed=signed, mask=mask, separator=separator, limit=limit, strength=strength, colormap=colormap
    )
    start = _strongest_stretch(np.array([token.value for token in colored]))
    shown = colored[start : start + MOST_TOKENS]
    before, after = start, len(colored) - start - len(shown)
    face = font(type_size(width))
    room, step = width - 2 * (_MARGIN + _PAD), line_height(face) + _LEADING
    pieces, lines = _lay_out(shown, separator, face, room)
    top = _MARGIN + step * bool(before)
    page = Image.new("RGB", (width, top + lines * step + step * bool(after) + _MARGIN), PAPER)
    draw = ImageDraw.Draw(page)
    for token, letters, x, line in pieces:
        left, y = _MARGIN + _PAD + x, top + line * step
        ends = left - _PAD * bool(separator), left + face.getlength(letters) + (_PAD if separator else 0) - 1
        draw.rectangle((ends[0], y, max(ends), y + step - 3), fill=token.ground)
        draw.text((left, y + (_LEADING - 3) // 2), letters, fill=token.ink, font=face)
    for count, where, y in ((before, "before", _MARGIN), (after, "after", top + lines * step)):
        if count:
            draw.text((_MARGIN + _PAD, y), f"… {count_noun(count, 'token')} {where}", fill=FAINT, font=face)
    return np.array(page)


def color_tokens(
    tokens: Sequence[str],
    values: np.ndarray,
    *,
    signed: bool | None,
    mask: np.ndarray | None,
    separator: str,
    limit: float | None,
    strength: float,
    colormap: str | None,
) -> list[ColoredToken]:
    """Return the tokens to draw with their colors; see ``text`` for the arguments and errors."""
    strength = check_number("strength", strength, minimum=0, maximum=1)
    heat, tokens = check_map(values, "(T,)"), _check_tokens(tokens)
    if len(tokens) != len(heat):
        raise ValueError(
            f"tokens must hold {len(heat)} texts, one per value, got {len(tokens)}. Pass the tokens of this map; leave "
            "out padding with mask."
        )
    keep = np.flatnonzero(_check_mask(mask, len(heat)))
    tokens, heat = [tokens[number] for number in keep], heat[keep]
    signed = bool((heat < 0).any()) if signed is None else signed
    heat = heat if signed else np.maximum(heat, 0)
    if limit is not None:
        limit = check_number("limit", limit, above=0, none="None")
    scaled = scale_map(heat, float(np.abs(heat).max()) if limit is None else limit)
    palette = choose_colors(colormap, signed=signed, usual="text").astype(np.float64)
    opacity = min(1.0, 2 * strength)
    grounds = (
        255 * (1 - opacity)
        + opacity * palette[np.round(127.5 + 127.5 * scaled if signed else 255 * scaled).astype(int)]
    )
    colored = []
    for token, value, ground in zip(tokens, heat, np.round(grounds).astype(int).tolist(), strict=True):
        ink = PAPER if _luminance(ground) < 0.2 else INK
        colored.append(ColoredToken(_show(token, separator), float(value), tuple(ground), ink, "\n" in token))
    return colored


def group_words(tokens: Sequence[ColoredToken], separator: str) -> list[list[ColoredToken]]:
    """Return the tokens in groups that a line should not divide: one each, or without a separator up to white space."""
    words: list[list[ColoredToken]] = []
    fresh = True
    for token in tokens:
        if fresh or separator or (token.shown[0].isspace() and not token.shown.isspace()):
            words.append([])
        words[-1].append(token)
        fresh = token.ends_line or token.shown[-1].isspace()
    return words


def _check_tokens(tokens: Sequence[str]) -> list[str]:
    if isinstance(tokens, (str, bytes)):
        raise TypeError(f"tokens must be a sequence of texts, got a single one, {tokens[:40]!r}. Split it first.")
    tokens = list(tokens)
    for token in tokens:
        if not isinstance(token, str):
            raise TypeError(
                f"tokens must be texts, got {token!r} of type {type(token).__name__}. Look indices up in the "
                "vocabulary, and decode bytes."
            )
    return tokens


def _check_mask(mask: np.ndarray | None, count: int) -> np.ndarray:
    keep = np.ones(count, bool) if mask is None else np.asarray(mask)
    if keep.dtype != bool or keep.shape != (count,):
        raise ValueError(f"mask must be bool {(count,)}, one per token, got {keep.dtype} {keep.shape}.")
    if not keep.any():
        raise ValueError(f"mask must keep at least one token, got {count} of False. True is a token to draw.")
    return keep


def _show(token: str, separator: str) -> str:
    """Return the letters of a token: line breaks become visible, and spaces that would look like a separator."""
    token = token.replace("\r\n", "\n")
    if not token:
        return "∅"
    if separator and not token.strip():
        return "".join(_VISIBLE.get(letter, "␣") for letter in token)
    letters = [{"\n": "↵", "\t": " "}.get(letter, letter) for letter in token]
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(one) in ("Cc", "Cs") else one for one in letters)


def _luminance(color: Sequence[float]) -> float:
    """Return the relative luminance of a color, 0..1 (WCAG 2, which defines contrast by it)."""
    share = np.asarray(color, np.float64) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def _strongest_stretch(values: np.ndarray) -> int:
    """Return where the ``MOST_TOKENS`` tokens with the largest magnitude in total begin."""
    if len(values) <= MOST_TOKENS:
        return 0
    total = np.concatenate([[0], np.cumsum(np.abs(values))])
    return int(np.argmax(total[MOST_TOKENS:] - total[:-MOST_TOKENS]))


def _lay_out(
    tokens: Sequence[ColoredToken], separator: str, face: ImageFont.FreeTypeFont, room: float
) -> tuple[list[tuple[ColoredToken, str, float, int]], int]:
    """Return (token, letters, x, line) of all pieces of tokens, and the number of lines."""
    gap = face.getlength(separator) + 2 * _PAD if separator else 0
    pieces: list[tuple[ColoredToken, str, float, int]] = []
    x, line = 0.0, 0
    for word in group_words(tokens, separator):
        lengths = [face.getlength(token.shown) for token in word]
        if x and x + sum(lengths) > room:
            x, line = 0.0, line + 1
        for token, length in zip(word, lengths, strict=True):
            if x and x + length > room:
                x, line = 0.0, line + 1
            for number, letters in enumerate(_split(token.shown, face, room)):
                if number:
                    x, line = 0.0, line + 1
                pieces.append((token, letters, x, line))
                x += face.getlength(letters) + gap
        if word[-1].ends_line:
            x, line = 0.0, line + 1
    return pieces, line + (x > 0)


def _split(letters: str, face: ImageFont.FreeTypeFont, room: float) -> list[str]:
    """Return the letters of a token in pieces that fit a line; nearly always a single one."""
    if face.getlength(letters) <= room:
        return [letters]
    pieces, used = [""], 0.0
    for letter in letters:
        length = face.getlength(letter)
        if pieces[-1] and used + length > room:
            pieces.append("")
            used = 0.0
        pieces[-1] += letter
        used += length
    return pieces
