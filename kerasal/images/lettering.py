"""Texts on pictures: type that is readable on a page, lines that fit a width, and color bars."""

import functools
import pathlib
import re
from collections.abc import Sequence

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from kerasal.images.colormaps import color_scale

INK, PAPER, FAINT, LINE = (25, 25, 25), (255, 255, 255), (95, 95, 95), (170, 170, 170)
_LEAST, _LARGEST = 13, 26
# A page is often scaled to a column of 800 pixels, where type should still have 12 pixels.
_PIXELS_PER_LETTER_HEIGHT = 800 / 12

Legend = tuple[str, str, str]
"""The name of a color scale, and the meaning of its left and right end."""


def type_size(width: float) -> int:
    """Return the size of type, in pixels, that is readable on a page of this width after scaling to 800 pixels."""
    return int(np.clip(round(width / _PIXELS_PER_LETTER_HEIGHT), _LEAST, _LARGEST))


@functools.cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans, which is installed with matplotlib and has letters beyond ASCII."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf", name), size)


def line_height(face: ImageFont.FreeTypeFont) -> int:
    """Return the distance between the tops of two lines."""
    return sum(face.getmetrics())


def wrap(text: str, face: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """Return a text as lines of at most ``width`` pixels, broken between words but not before a percent sign."""
    lines = [""]
    for word in re.split("[ \t\n]+", text.strip().replace(" %", "\N{NO-BREAK SPACE}%")):
        longer = f"{lines[-1]} {word}".strip()
        if face.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def fit_lines(text: str, face: ImageFont.FreeTypeFont, width: float, most: int) -> list[str]:
    """Return a text as at most ``most`` lines of ``width`` pixels; what is too long is abbreviated."""
    lines = wrap(text, face, width)
    if len(lines) > most:
        lines = [*lines[: most - 1], " ".join(lines[most - 1 :])]
    return [abbreviate(line, face, width) for line in lines]


def abbreviate(line: str, face: ImageFont.FreeTypeFont, width: float) -> str:
    """Return a line cut to ``width`` pixels with an ellipsis: after a word, or in the middle of a long word.

    The end of a file name distinguishes it from its neighbors, so that the middle is left out.
    """
    if face.getlength(line) <= width:
        return line
    words = line.split()
    while len(words) > 1:
        words.pop()
        shorter = " ".join(words).rstrip(",;:.–-") + "…"
        if face.getlength(shorter) <= width:
            return shorter
    word = (words or [""])[0]
    for kept in range(len(word) - 1, 0, -1):
        shorter = f"{word[: -(-kept // 2)]}…{word[len(word) - kept // 2 :]}"
        if face.getlength(shorter) <= width:
            return shorter
    return "…"


def write_lines(
    draw: ImageDraw.ImageDraw,
    lines: Sequence[str],
    corner: tuple[float, float],
    face: ImageFont.FreeTypeFont,
    color: tuple[int, int, int] = INK,
    centered: float | None = None,
) -> None:
    """Write lines below each other from the top left corner, or centered in a width of ``centered`` pixels."""
    for number, line in enumerate(lines):
        x = corner[0] if centered is None else corner[0] + (centered - face.getlength(line)) / 2
        draw.text((x, corner[1] + number * line_height(face)), line, fill=color, font=face)


def draw_legend(legend: Legend, face: ImageFont.FreeTypeFont) -> Image.Image:
    """Return a color bar between the meanings of its two ends."""
    colors, low, high = legend
    height, gap = line_height(face), round(face.size / 2)
    long, before = round(12 * face.size), (int(face.getlength(low)) + gap if low else 0)
    ramp = color_scale(colors)[np.round(np.linspace(0, 255, long)).astype(int)]
    strip = Image.new("RGB", (before + long + gap + int(face.getlength(high)) + 1, height), PAPER)
    draw = ImageDraw.Draw(strip)
    draw.text((0, 0), low, fill=FAINT, font=face)
    draw.text((before + long + gap, 0), high, fill=FAINT, font=face)
    strip.paste(Image.fromarray(np.repeat(ramp[None], height - 4, axis=0)), (before, 2))
    draw.rectangle((before, 2, before + long - 1, height - 3), outline=LINE)
    return strip


def draw_foot(width: int, legend: Sequence[Legend], note: str, face: ImageFont.FreeTypeFont) -> np.ndarray:
    """Return color bars and a note as a strip, uint8 RGB (H, W, 3): at least ``width`` wide, H = 0 if all is empty."""
    bars = [draw_legend(item, face) for item in legend]
    gap = round(face.size / 2)
    width = max([width, *(bar.width for bar in bars)])
    lines = wrap(note, face, width) if note else []
    height = sum(bar.height + gap for bar in bars) + len(lines) * line_height(face)
    strip = Image.new("RGB", (width, height), PAPER)
    y = 0
    for bar in bars:
        strip.paste(bar, (0, y))
        y += bar.height + gap
    write_lines(ImageDraw.Draw(strip), lines, (0, y), face, FAINT)
    return np.array(strip).reshape(height, width, 3)
