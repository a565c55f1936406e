"""Lay out pictures in grids and sheets with labels, titles and notes."""

import functools
import pathlib
from collections.abc import Sequence

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from kerasal.images.colormaps import color_scale
from kerasal.images.drawings import resize
from kerasal.images.image_check import check_image

_INK, _PAPER, _FAINT, _LINE = (25, 25, 25), (255, 255, 255), (110, 110, 110), (170, 170, 170)
_GAP = 6

Legend = tuple[str, str, str]
"""The name of a color scale, and the meaning of its left and right end."""


def grid(
    images: Sequence[np.ndarray],
    labels: Sequence[str] | None = None,
    *,
    columns: int | None = None,
    row_labels: Sequence[str] | None = None,
    title: str = "",
    note: str = "",
    legend: Sequence[Legend] = (),
    tile: int = 112,
    frame: bool = False,
) -> np.ndarray:
    """Return pictures laid out in labeled rows on a white sheet, uint8 RGB (H, W, 3).

    Args:
        images: uint8 (H, W, 3) or (H, W), of any sizes. Each is scaled to fit a tile; small images keep visible pixels.
        labels: one per picture, written below it in at most two lines.
        columns: pictures per row; by default one row for up to four pictures, otherwise about the number of rows.
        row_labels: one per row, written at the left.
        title: a text at the top.
        note: a gray text at the bottom.
        legend: color bars at the bottom, each with the name of its colors ("heat", "signed", "overlay" or "gray"),
            and the meaning of its ends, as in ``("signed", "lowers the score", "raises the score")``.
        tile: width and largest height of a picture in pixels; a row is as high as its highest picture.
        frame: draw a thin line around each picture, so that white edges are visible.

    Raises:
        ValueError: no pictures, an array that is not an image, another number of labels than pictures or rows, or
            unknown colors of the legend.
    """
    if len(images) == 0:
        raise ValueError("images must hold at least one picture, got none.")
    columns = columns or (len(images) if len(images) <= 4 else int(np.ceil(np.sqrt(len(images)))))
    rows = -(-len(images) // columns)
    for name, texts, count in (("labels", labels, len(images)), ("row_labels", row_labels, rows)):
        if texts is not None and len(texts) != count:
            raise ValueError(f"{name} must hold {count} texts, got {len(texts)}.")
    font = _font(max(11, min(15, tile // 9)))
    pictures = [_fit_tile(image, tile) for image in images]
    below = [_break_label(str(label), font, tile) for label in labels] if labels is not None else []
    beside = [_wrap(str(label), font, max(tile // 2, 110)) for label in row_labels] if row_labels is not None else []
    left = int(max((font.getlength(line) for text in beside for line in text), default=-_GAP)) + 2 * _GAP
    content = left + columns * (tile + _GAP)
    head, foot = _font(18), _font(13)
    title_lines = _wrap(title, head, max(content, 340) - 2 * _GAP) if title else []
    bars = [_draw_legend(item, foot) for item in legend]
    note_lines = _wrap(note, foot, max(content, 340, *(bar.width for bar in bars)) - 2 * _GAP) if note else []
    heights, tops = [], [_GAP + len(title_lines) * _line_height(head) + _GAP * bool(title)]
    for row in range(rows):
        span = slice(row * columns, (row + 1) * columns)
        text = beside[row] if beside else []
        heights.append(max([picture.height for picture in pictures[span]] + [len(text) * _line_height(font)]))
        tops.append(tops[-1] + heights[row] + _label_height(below[span], font) + _GAP)
    ending = sum(bar.height + _GAP for bar in bars) + len(note_lines) * _line_height(foot) + _GAP * bool(note)
    texts = [head.getlength(line) for line in title_lines] + [foot.getlength(line) for line in note_lines]
    width = max(content, int(max(texts, default=0)) + 2 * _GAP, *(bar.width + 2 * _GAP for bar in bars))
    sheet = Image.new("RGB", (width, tops[-1] + ending), _PAPER)
    draw = ImageDraw.Draw(sheet)
    _write_lines(draw, title_lines, (_GAP, _GAP), head, _INK)
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        x, y = left + column * (tile + _GAP), tops[row]
        corner = x + (tile - picture.width) // 2, y + (heights[row] - picture.height) // 2
        sheet.paste(picture, corner)
        if frame:
            opposite = corner[0] + picture.width - 1, corner[1] + picture.height - 1
            draw.rectangle((*corner, *opposite), outline=_LINE)
        for number, line in enumerate(below[index] if below else ()):
            place = x + (tile - font.getlength(line)) / 2
            draw.text((place, y + heights[row] + 2 + number * _line_height(font)), line, fill=_INK, font=font)
        if beside and column == 0:
            middle = y + (heights[row] - len(beside[row]) * _line_height(font)) // 2
            _write_lines(draw, beside[row], (_GAP, middle), font, _INK)
    y = tops[-1]
    for bar in bars:
        sheet.paste(bar, (_GAP, y))
        y += bar.height + _GAP
    _write_lines(draw, note_lines, (_GAP, y), foot, _FAINT)
    return np.array(sheet)


def _draw_legend(legend: Legend, font) -> Image.Image:
    """Return a color bar between its two texts."""
    colors, low, high = legend
    ramp = color_scale(colors)[np.round(np.linspace(0, 255, 160)).astype(int)]
    height, before = _line_height(font), int(font.getlength(low)) + _GAP
    strip = Image.new("RGB", (before + 160 + _GAP + int(font.getlength(high)) + 1, height), _PAPER)
    draw = ImageDraw.Draw(strip)
    draw.text((0, 0), low, fill=_FAINT, font=font)
    draw.text((before + 160 + _GAP, 0), high, fill=_FAINT, font=font)
    strip.paste(Image.fromarray(np.repeat(ramp[None], height - 4, axis=0)), (before, 2))
    draw.rectangle((before, 2, before + 159, height - 3), outline=_LINE)
    return strip


def _write_lines(draw: ImageDraw.ImageDraw, lines: Sequence[str], corner: tuple[int, int], font, color) -> None:
    for number, line in enumerate(lines):
        draw.text((corner[0], corner[1] + number * _line_height(font)), line, fill=color, font=font)


def caption(picture: np.ndarray, text: str, lines: int = 4) -> np.ndarray:
    """Return a picture with a text below it, wrapped to its width; always ``lines`` lines high, to align panels."""
    picture = check_image(picture, "A picture")
    font = _font(13)
    broken = _wrap(text, font, picture.shape[1] - 2 * _GAP)
    if len(broken) > lines:
        broken = [*broken[: lines - 1], _shorten(" ".join(broken[lines - 1 :]), font, picture.shape[1] - 2 * _GAP)]
    strip = Image.new("RGB", (picture.shape[1], lines * _line_height(font) + _GAP), _PAPER)
    draw = ImageDraw.Draw(strip)
    for number, line in enumerate(broken):
        draw.text((_GAP, number * _line_height(font)), line, fill=_INK, font=font)
    return np.concatenate([picture, np.array(strip)])


def sheet(panels: Sequence[np.ndarray], *, columns: int, title: str = "") -> np.ndarray:
    """Return panels laid out in rows at their own size, below a title."""
    panels = [check_image(panel, "A panel") for panel in panels]
    width = max(panel.shape[1] for panel in panels) + 2 * _GAP
    rows = [panels[i : i + columns] for i in range(0, len(panels), columns)]
    heights = [max(panel.shape[0] for panel in row) + 2 * _GAP for row in rows]
    lines = _wrap(title, _font(22), columns * width - 2 * _GAP)
    heading = len(lines) * _line_height(_font(22)) + 3 * _GAP if title else 0
    page = Image.new("RGB", (columns * width, heading + sum(heights)), _PAPER)
    for number, line in enumerate(lines):
        ImageDraw.Draw(page).text((_GAP, _GAP + number * _line_height(_font(22))), line, fill=_INK, font=_font(22))
    for row, panels_in_row in enumerate(rows):
        for column, panel in enumerate(panels_in_row):
            page.paste(Image.fromarray(panel), (column * width, heading + sum(heights[:row])))
    return np.array(page)


def _wrap(text: str, font, width: int) -> list[str]:
    """Return a text wrapped between words to lines of at most ``width`` pixels."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _fit_tile(image: np.ndarray, tile: int) -> Image.Image:
    """Return an image scaled to fit a tile; enlarging at least twofold keeps pixels visible as squares."""
    image = check_image(image, "A picture", (3, None))
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    height, width = image.shape[:2]
    scale = tile / max(height, width)
    if scale >= 2:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        return Image.fromarray(np.ascontiguousarray(image)).resize(size, Image.Resampling.NEAREST)
    return Image.fromarray(resize(image, (max(1, round(height * scale)), max(1, round(width * scale)))))


def _break_label(text: str, font, width: int) -> list[str]:
    """Return a label as at most two lines of the tile's width; longer ones are shortened."""
    first, *others = _wrap(text, font, width)
    return [_shorten(line, font, width) for line in ([first, " ".join(others)] if others else [first])]


def _label_height(labels: list[list[str]], font) -> int:
    """Return the height of the labels below a row."""
    count = max((len([line for line in label if line]) for label in labels), default=0)
    return _line_height(font) * count + 4 if count else 0


def _shorten(line: str, font, width: int) -> str:
    if font.getlength(line) <= width:
        return line
    while line and font.getlength(line + "…") > width:
        line = line[:-1]
    return line + "…"


def _line_height(font) -> int:
    return sum(font.getmetrics())


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans, which is installed with matplotlib and has letters beyond ASCII."""
    return ImageFont.truetype(pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)
