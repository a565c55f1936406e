"""Draw creatures made of named parts, the objects of ``known_parts``.

A creature is drawn in units of its own: the body has its center at (0, 0) and a half width of .95; x points from the
tail to the beak and y down. Each part is a list of polygons in its color. A second canvas records which part is
visible at each pixel.
"""

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

PARTS = ("body", "wing", "tail", "feet", "beak", "eye", "crest")
"""Names of the parts."""
CRESTS = ("antennae", "comb", "fan", "horn")
"""Shapes of the crest."""
TAILS = ("curl", "fork", "paddle", "spike")
"""Shapes of the tail."""
FOREIGN = len(PARTS) + 1
"""Label of what belongs to no part of the creature, such as distractors. The label of part i is i + 1."""

_ORDER = ("tail", "feet", "crest", "body", "beak", "eye", "wing")  # from the back to the front
_FRACTION = 4  # bits of the fractions of a pixel for OpenCV
_INK = 0.35  # brightness of an outline as a share of its color
_INK_WIDTH = 0.035  # of the canvas per 3 units

Polygons = list[tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Pose:
    """Where a creature is on the canvas: ``center`` (x, y) and ``scale`` in pixels, ``angle`` in radians, mirrored."""

    center: tuple[float, float]
    scale: float
    angle: float = 0.0
    mirrored: bool = False

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """Return points (n, 2) in units as points in pixels."""
        x, y = (np.asarray(points, float) * ((-1 if self.mirrored else 1), 1)).T
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        turned = np.stack([cosine * x - sine * y, sine * x + cosine * y], axis=1)
        return turned * self.scale + self.center


class Canvas:
    """Pixels and their labels at a multiple of the final size.

    Attributes:
        pixels: float32 (H, W, 3), 0..255.
        labels: uint8 (H, W): 0 is background.
    """

    def __init__(self, background: np.ndarray):
        self.pixels = np.ascontiguousarray(background, np.float32)
        self.labels = np.zeros(background.shape[:2], np.uint8)

    def draw(self, polygons: Polygons, pose: Pose, label: int) -> None:
        """Draw the polygons of a part: first their outlines, then their areas, so that they become one shape."""
        width = max(1, round(_INK_WIDTH * pose.scale * 2))
        placed = [(np.round(pose.to_pixels(points) * 2**_FRACTION).astype(np.int32), c) for points, c in polygons]
        for points, color in placed:
            ink = (_INK * color).tolist()
            cv2.polylines(self.pixels, [points], True, ink, width, cv2.LINE_AA, _FRACTION)
            cv2.polylines(self.labels, [points], True, label, width, cv2.LINE_8, _FRACTION)
        for points, color in placed:
            cv2.fillPoly(self.pixels, [points], color.tolist(), cv2.LINE_AA, _FRACTION)
            cv2.fillPoly(self.labels, [points], label, cv2.LINE_8, _FRACTION)

    def shrink(self, size: int, labels: int = FOREIGN) -> tuple[np.ndarray, np.ndarray]:
        """Return the image, uint8 (size, size, 3), and masks of the labels 1..``labels``, bool (labels, size, size).

        A pixel of which more than half is covered belongs to the label that covers most of it.
        """
        pixels = cv2.resize(self.pixels, (size, size), interpolation=cv2.INTER_AREA)
        covers = np.stack([(self.labels == label).astype(np.float32) for label in range(1, labels + 1)], axis=-1)
        covers = cv2.resize(covers, (size, size), interpolation=cv2.INTER_AREA)
        chosen = np.where(covers.sum(axis=-1) > 0.5, covers.argmax(axis=-1), -1)
        masks = chosen == np.arange(labels)[:, None, None]
        return np.clip(np.round(pixels), 0, 255).astype(np.uint8), masks


def draw_creature(canvas: Canvas, parts: dict[str, Polygons], pose: Pose, missing: Sequence[str] = ()) -> None:
    """Draw the parts of a creature from the back to the front, without the ``missing`` ones."""
    for name in _ORDER:
        if name not in missing:
            canvas.draw(parts[name], pose, PARTS.index(name) + 1)


def make_creature(random: np.random.Generator, crest: int, tail: int) -> dict[str, Polygons]:
    """Return the polygons of each part; everything but the shapes of crest and tail is random."""
    color = {name: _random_color(random) for name in PARTS}
    light = 255 - 0.45 * (255 - color["body"])
    stretch, bill, step = random.uniform(0.92, 1.08, 2), random.uniform(0.3, 0.6), random.uniform(-0.08, 0.08)
    body = [
        (ellipse((0, 0), 0.95 * stretch[0], 0.72 * stretch[1]), color["body"]),
        (ellipse((0.72, -0.62), 0.5, 0.48), color["body"]),
        (ellipse((0.12, 0.24), 0.6, 0.36), light),
    ]
    wing = ribbon([(0.3, -0.2), (0, 0.02), (-0.4, 0.1), (-0.8, -0.02)], [0.16, 0.34, 0.27, 0.05])
    wing = turn(wing, random.uniform(-0.35, 0.35), (0.2, -0.1))
    beak = np.array([(1.12, -0.78), (1.2 + bill, -0.55), (1.1, -0.42)])
    feet = [ribbon([(x + step, 0.55), (x, 1.1), (x + 0.22, 1.12)], [0.06, 0.06, 0.04]) for x in (-0.2, 0.26)]
    eye = ellipse((0.84, -0.72), 0.19, 0.19), ellipse((0.89, -0.71), 0.09, 0.1)
    white, black = np.full(3, 252.0), np.full(3, 35.0)
    angles, sizes = random.uniform(-0.15, 0.15, 2), random.uniform(0.92, 1.08, 2)
    tails = [turn(points * sizes[0], angles[0]) + np.array((-0.78, -0.05)) for points in _tail(tail)]
    crests = [turn(points * sizes[1], angles[1]) + np.array((0.66, -1.02)) for points in _crest(crest)]
    return {
        "body": body,
        "wing": [(wing, color["wing"])],
        "tail": [(points, color["tail"]) for points in tails],
        "feet": [(points, color["feet"]) for points in feet],
        "beak": [(beak, color["beak"])],
        "eye": [(eye[0], white), (eye[1], black)],
        "crest": [(points, color["crest"]) for points in crests],
    }


def make_feather(random: np.random.Generator) -> Polygons:
    """Return a loose feather, about one unit long."""
    vane = ribbon([(-0.45, 0), (-0.15, -0.04), (0.2, 0), (0.5, 0.12)], [0.03, 0.2, 0.19, 0.02])
    color = _random_color(random)
    return [(vane, color), (ribbon([(-0.6, 0.02), (0.3, 0.02)], [0.035, 0.02]), 0.7 * color)]


def make_egg(random: np.random.Generator) -> Polygons:
    """Return a loose egg with spots, about .8 units long."""
    color = 255 - 0.6 * (255 - _random_color(random))
    spots = [(ellipse((x, y), 0.06, 0.06), 0.7 * color) for x, y in random.uniform(-0.17, 0.17, (4, 2))]
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    shell = np.stack([0.29 * np.cos(angles) * (1 - 0.15 * np.sin(angles)), 0.38 * np.sin(angles)], axis=1)
    return [(shell, color), *spots]


def ellipse(center: tuple[float, float], x_radius: float, y_radius: float) -> np.ndarray:
    """Return an ellipse as a polygon (n, 2)."""
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return np.stack([x_radius * np.cos(angles), y_radius * np.sin(angles)], axis=1) + center


def turn(points: np.ndarray, angle: float, center: tuple[float, float] = (0, 0)) -> np.ndarray:
    """Return points turned about a center."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return (np.asarray(points) - center) @ np.array([(cosine, sine), (-sine, cosine)]) + center


def ribbon(line: Sequence[tuple[float, float]], widths: Sequence[float]) -> np.ndarray:
    """Return a smooth ribbon as a polygon: along a line of points, with a half width at each of them."""
    at, steps = np.arange(len(line)), np.linspace(0, len(line) - 1, 10 * len(line))
    x, y, half = (_smooth(np.interp(steps, at, values)) for values in (*np.transpose(line), widths))
    along = np.stack([np.gradient(x), np.gradient(y)], axis=1)
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
    middle = np.stack([x, y], axis=1)
    return np.concatenate([middle + normal * half[:, None], (middle - normal * half[:, None])[::-1]])


def _smooth(values: np.ndarray) -> np.ndarray:
    """Return the running mean of 9 values, whose ends stay."""
    padded = np.concatenate([2 * values[0] - values[4:0:-1], values, 2 * values[-1] - values[-2:-6:-1]])
    return np.convolve(padded, np.full(9, 1 / 9), mode="valid")


def _crest(kind: int) -> list[np.ndarray]:
    """Return the shape of a crest whose foot is at (0, 0), about .8 units high; the shapes have similar areas."""
    name = CRESTS[kind]
    if name == "antennae":
        left = ribbon([(-0.05, 0.1), (-0.2, -0.3), (-0.42, -0.62)], [0.07] * 3)
        right = ribbon([(0.1, 0.1), (0.2, -0.35), (0.4, -0.66)], [0.07] * 3)
        return [left, right, ellipse((-0.42, -0.66), 0.19, 0.19), ellipse((0.4, -0.7), 0.19, 0.19)]
    if name == "comb":
        lobes = [ellipse((x, y), 0.21, 0.25) for x, y in ((-0.36, -0.14), (-0.02, -0.3), (0.32, -0.16))]
        return [*lobes, ellipse((-0.02, 0.02), 0.42, 0.2)]
    if name == "fan":
        angles = np.linspace(np.pi, 2 * np.pi, 7)
        rays = np.stack([0.62 * np.cos(angles), 0.62 * np.sin(angles)], axis=1)
        valleys = np.stack([0.4 * np.cos(angles + np.pi / 12), 0.4 * np.sin(angles + np.pi / 12)], axis=1)
        edge = np.stack([rays, valleys], axis=1).reshape(-1, 2)[:-1]
        return [np.concatenate([edge, [(0.15, 0.12), (-0.15, 0.12)]])]
    return [ribbon([(-0.05, 0.15), (0.0, -0.25), (-0.12, -0.6), (-0.4, -0.9)], [0.34, 0.25, 0.14, 0.02])]


def _tail(kind: int) -> list[np.ndarray]:
    """Return the shape of a tail that starts at (0, 0) and is about .9 units long; the shapes have similar areas."""
    name = TAILS[kind]
    if name == "curl":
        angles = np.linspace(0.15, 1.75, 9) * np.pi
        curve = [(-0.5 + 0.28 * np.cos(angle), -0.2 - 0.3 * np.sin(angle)) for angle in angles]
        return [ribbon([(0.2, 0.1), (-0.1, 0.08), *curve], [0.12] * 10 + [0.05])]
    if name == "fork":
        upper = ribbon([(0.15, 0), (-0.3, -0.12), (-0.85, -0.5)], [0.14, 0.15, 0.03])
        lower = ribbon([(0.15, 0), (-0.3, 0.12), (-0.85, 0.42)], [0.14, 0.15, 0.03])
        return [upper, lower]
    if name == "paddle":
        return [ribbon([(0.2, 0), (-0.3, 0)], [0.1, 0.09]), ellipse((-0.55, -0.02), 0.34, 0.3)]
    return [ribbon([(0.2, 0), (-0.2, -0.02), (-0.6, -0.06), (-1.0, -0.16)], [0.27, 0.24, 0.13, 0.01])]


def _random_color(random: np.random.Generator) -> np.ndarray:
    """Return a saturated color of medium brightness, RGB in 0..255."""
    hue, saturation, value = random.uniform(0, 360), random.uniform(0.5, 0.8), random.uniform(0.65, 0.95)
    pixel = np.array([[[hue, saturation, value]]], np.float32)
    return 255 * cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0].astype(float)
