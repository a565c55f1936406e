"""Lay out pictures in grids and sheets with headings, captions, color bars and notes."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from kerasal.images.drawings import resize
from kerasal.images.image_check import check_image
from kerasal.images.lettering import (
    LINE,
    PAPER,
    Legend,
    draw_foot,
    fit_lines,
    font,
    line_height,
    type_size,
    wrap,
    write_lines,
)

_MARGIN, _GAP = 14, 8
_SMALLEST_TYPE = 8
_LEAST_TEXT_WIDTH = 340  # of titles and notes above and below small grids


def grid(
    images: Sequence[np.ndarray],
    labels: Sequence[str] | None = None,
    *,
    columns: int | None = None,
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
    title: str = "",
    note: str = "",
    legend: Sequence[Legend] = (),
    tile: int = 112,
    frame: bool = False,
    lines: int = 2,
    page_width: int | None = None,
) -> np.ndarray:
    """Return pictures laid out in labeled rows on a white sheet, uint8 RGB (H, W, 3).

    Args:
        images: uint8 (H, W, 3) or (H, W), of any sizes. Each is scaled to fit a tile; small images keep visible pixels.
        labels: one per picture, written directly below it. If all rows have the same labels, they are written once,
            above the columns.
        columns: pictures per row; by default one row for up to four pictures, otherwise about the number of rows.
        row_labels: one per row, written at the left.
        column_labels: one per column, written above it.
        title: a text at the top.
        note: a gray text at the bottom.
        legend: color bars at the bottom, each with the name of its colors ("heat", "signed", "overlay", "gray"),
            and the meaning of its ends, as in ``("signed", "lowers the score", "raises the score")``.
        tile: largest width and height of a picture in pixels. A row is as high as its highest picture, and the columns
            are as wide as the widest picture or label.
        frame: draw a thin line around each picture, so that white edges are visible.
        lines: most lines of a label; longer labels are abbreviated. Labels of up to two lines are centered.
        page_width: width in pixels of the page that will contain the grid, if it is wider than the grid. The type is as
            large as it must be to remain readable when the page is scaled to 800 pixels.

    Raises:
        ValueError: no pictures, an array that is not an image, another number of labels than pictures, rows or columns,
            or unknown colors of the legend.
    """
    if len(images) == 0:
        raise ValueError("images must hold at least one picture, got none.")
    columns = columns or (len(images) if len(images) <= 4 else int(np.ceil(np.sqrt(len(images)))))
    rows = -(-len(images) // columns)
    counts = (
        ("labels", labels, len(images)),
        ("row_labels", row_labels, rows),
        ("column_labels", column_labels, columns),
    )
    for name, texts, count in counts:
        if texts is not None and len(texts) != count:
            raise ValueError(f"{name} must hold {count} texts, got {len(texts)}.")
    if labels is not None and column_labels is None:
        labels, column_labels = _lift_labels(labels, columns)
    pictures = [Image.fromarray(fit_tile(image, tile)) for image in images]
    size = type_size(page_width or columns * (tile + _GAP))
    face, head = font(size), font(round(1.25 * size), bold=True)

    # The columns are only as wide as they must be: portrait photos leave no gaps.
    texts = [str(text) for text in [*(labels or ()), *(column_labels or ())]]
    needed = max((face.getlength(text) for text in texts), default=0)
    cell = max(max(picture.width for picture in pictures), min(tile, int(np.ceil(needed))))
    below = [fit_lines(str(label), face, cell, lines) if str(label) else [] for label in labels or ()]
    above = [fit_lines(str(label), face, cell, 3) if str(label) else [] for label in column_labels or ()]
    beside = [wrap(str(label), face, max(tile // 2, 8 * size)) for label in row_labels or ()]
    left = _MARGIN + int(max((face.getlength(line) + 12 for text in beside for line in text), default=0))
    content = left + columns * cell + (columns - 1) * _GAP + _MARGIN

    text_width = max(content, _LEAST_TEXT_WIDTH) - 2 * _MARGIN
    title_lines = wrap(title, head, text_width) if title else []
    foot = draw_foot(text_width, legend, note, face)
    used = [head.getlength(line) for line in title_lines] + [foot.shape[1] if len(foot) and (legend or note) else 0]
    width = max(content, int(max(used)) + 2 * _MARGIN)

    top = _MARGIN + len(title_lines) * line_height(head) + _GAP * bool(title_lines)
    header = max((len(text) for text in above), default=0) * line_height(face)
    heights, tops = [], [top + header + 3 * bool(header)]
    for row in range(rows):
        span = slice(row * columns, (row + 1) * columns)
        label_lines = max((len(text) for text in below[span]), default=0)
        beside_height = len(beside[row]) * line_height(face) if beside else 0
        heights.append(max([picture.height for picture in pictures[span]] + [beside_height]))
        tops.append(tops[-1] + heights[row] + label_lines * line_height(face) + 3 * bool(label_lines) + _GAP)
    bottom = tops[-1] - _GAP + (len(foot) + _GAP if len(foot) else 0) + _MARGIN

    page = Image.new("RGB", (width, bottom), PAPER)
    draw = ImageDraw.Draw(page)
    write_lines(draw, title_lines, (_MARGIN, _MARGIN), head)
    for column, text in enumerate(above):
        y = top + header - len(text) * line_height(face)
        write_lines(draw, text, (left + column * (cell + _GAP), y), face, centered=cell)
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        x, y = left + column * (cell + _GAP), tops[row]
        # Captions stand directly below their pictures; rows without captions are centered.
        free = heights[row] - picture.height
        corner = x + (cell - picture.width) // 2, y + (free if below else free // 2)
        page.paste(picture, corner)
        if frame:
            opposite = corner[0] + picture.width - 1, corner[1] + picture.height - 1
            draw.rectangle((*corner, *opposite), outline=LINE)
        if below:
            # Sentences are read from a common left edge; names and numbers are centered.
            write_lines(draw, below[index], (x, y + heights[row] + 3), face, centered=cell if lines <= 2 else None)
        if beside and column == 0:
            middle = y + (heights[row] - len(beside[row]) * line_height(face)) // 2
            write_lines(draw, beside[row], (_MARGIN, middle), face)
    if len(foot):
        page.paste(Image.fromarray(foot), (_MARGIN, tops[-1]))
    return np.array(page)


def _lift_labels(labels: Sequence[str], columns: int) -> tuple[Sequence[str] | None, Sequence[str] | None]:
    """Return the labels of pictures and of columns: labels that repeat in every row are those of the columns."""
    rows = [list(labels[start : start + columns]) for start in range(0, len(labels), columns)]
    if len(rows) > 1 and columns > 1 and all(row == rows[0][: len(row)] for row in rows):
        return None, rows[0]
    return labels, None


def caption(picture: np.ndarray, text: str, lines: int = 4) -> np.ndarray:
    """Return a picture with a text below it, wrapped to its width; always ``lines`` lines high, to align panels."""
    picture = check_image(picture, "A picture")
    face, width = font(type_size(picture.shape[1])), picture.shape[1] - 2 * _GAP
    strip = Image.new("RGB", (picture.shape[1], lines * line_height(face) + _GAP), PAPER)
    write_lines(ImageDraw.Draw(strip), fit_lines(text, face, width, lines), (_GAP, 2), face)
    return np.concatenate([picture, np.array(strip)])


def append_legend(picture: np.ndarray, *legend: Legend) -> np.ndarray:
    """Return a picture (H, W, 3) with color bars on a white strip below it, uint8 RGB; see ``grid``."""
    picture = check_image(picture, "A picture")
    height, width = picture.shape[:2]
    size = type_size(width)
    while size > _SMALLEST_TYPE and draw_foot(1, legend, "", font(size)).shape[1] > width - _GAP:
        size -= 1
    foot = draw_foot(1, legend, "", font(size))
    wide = max(width, foot.shape[1] + _GAP)
    page = Image.new("RGB", (wide, height + len(foot) + _GAP), PAPER)
    page.paste(Image.fromarray(picture), ((wide - width) // 2, 0))
    page.paste(Image.fromarray(foot), (_GAP // 2, height + _GAP))
    return np.array(page)


def sheet(
    panels: Sequence[np.ndarray], *, columns: int, title: str = "", note: str = "", legend: Sequence[Legend] = ()
) -> np.ndarray:
    """Return panels laid out in rows at their own size, below a title and above color bars and a note; see ``grid``."""
    panels = [check_image(panel, "A panel") for panel in panels]
    cell = max(panel.shape[1] for panel in panels) + _GAP
    rows = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    heights = [max(panel.shape[0] for panel in row) + _GAP for row in rows]
    width = columns * cell
    size = type_size(width)
    face, head = font(size), font(round(1.4 * size), bold=True)
    lines = wrap(title, head, width - 2 * _MARGIN) if title else []
    heading = len(lines) * line_height(head) + _MARGIN + _GAP if title else 0
    foot = draw_foot(width - 2 * _MARGIN, legend, note, face)
    height = heading + sum(heights) + (len(foot) + _MARGIN if len(foot) else 0)
    page = Image.new("RGB", (max(width, foot.shape[1] + 2 * _MARGIN), height), PAPER)
    write_lines(ImageDraw.Draw(page), lines, (_MARGIN, _MARGIN), head)
    for row, panels_in_row in enumerate(rows):
        for column, panel in enumerate(panels_in_row):
            page.paste(Image.fromarray(panel), (column * cell, heading + sum(heights[:row])))
    if len(foot):
        page.paste(Image.fromarray(foot), (_MARGIN, heading + sum(heights)))
    return np.array(page)


def fit_tile(image: np.ndarray, tile: int) -> np.ndarray:
    """Return an image, uint8 RGB, scaled to fit a tile; enlarging at least twofold keeps pixels visible as squares."""
    image = check_image(image, "A picture", (3, None))
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    height, width = image.shape[:2]
    scale = tile / max(height, width)
    if scale >= 2:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        return np.array(Image.fromarray(np.ascontiguousarray(image)).resize(size, Image.Resampling.NEAREST))
    return resize(image, (max(1, round(height * scale)), max(1, round(width * scale))))
