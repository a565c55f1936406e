"""Images of creatures made of parts, of which known ones alone decide the class: a truth for attribution maps.

The idea is that of FunnyBirds (Hesse, Schaub-Meyer & Roth, "FunnyBirds: A Synthetic Vision Dataset for a Part-Based
Analysis of Explainable AI Methods", ICCV 2023): a model that is trained on such images has to look at the deciding
parts, and a part can be taken away from the very same image.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal

import cv2
import numpy as np

from kerasal.checks import check_choice, check_int, check_number
from kerasal.datasets.creatures import (
    CRESTS,
    FOREIGN,
    PARTS,
    Canvas,
    Pose,
    draw_creature,
    make_creature,
    make_egg,
    make_feather,
)
from kerasal.names import unknown_name_message

PATTERNS = ("checks", "dots", "stripes", "waves")
"""Patterns of the backgrounds "textured" and "spurious"."""
PLAIN = -1
"""Pattern index of a plain background."""

_DECIDING = {1: ("crest",), 2: ("crest", "tail")}
_CANVAS = 256  # pixels on which an image is drawn, at least
_OBJECT, _BACKGROUND, _DISTRACTORS, _MISSING = range(4)  # each has random numbers of its own


@dataclasses.dataclass(frozen=True, eq=False)
class KnownParts:
    """Images of creatures, from ``known_parts``.

    Attributes:
        images: uint8 RGB (N, H, W, 3).
        classes: class indices, int32 (N,).
        class_names: names of the classes, which are those of the crest's shapes.
        part_names: names of the P parts.
        part_masks: the visible pixels of each part, bool (N, P, H, W), all False for a part that is missing. Masks of
            an image do not overlap.
        deciding: names of the parts that decide the class; each of them is enough.
        distractor_masks: the visible pixels of the distractors, bool (N, H, W).
        patterns: index into ``pattern_names`` of each background, int32 (N,); -1 is plain.
        pattern_names: names of the background patterns; with ``background="spurious"``, pattern i is the cue of class
            i.
    """

    images: np.ndarray
    classes: np.ndarray
    class_names: tuple[str, ...]
    part_names: tuple[str, ...]
    part_masks: np.ndarray = dataclasses.field(repr=False)
    deciding: tuple[str, ...]
    distractor_masks: np.ndarray = dataclasses.field(repr=False)
    patterns: np.ndarray
    pattern_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def mask(self, *parts: str) -> np.ndarray:
        """Return the visible pixels of parts, bool (N, H, W); by default those of the deciding parts.

        Raises:
            ValueError: a part is unknown.
        """
        names = [_check_part(part) for part in parts or self.deciding]
        return np.asarray(self.part_masks[:, [self.part_names.index(name) for name in names]].any(axis=1))

    @property
    def background_masks(self) -> np.ndarray:
        """The pixels of the background, bool (N, H, W)."""
        return np.logical_not(self.mask(*self.part_names) | self.distractor_masks)


def known_parts(
    count: int,
    seed: int = 0,
    *,
    start: int = 0,
    size: int = 64,
    causes: Literal[1, 2] = 1,
    distractors: int = 0,
    background: Literal["plain", "textured", "spurious"] = "plain",
    cue_share: float = 0.95,
    missing: float = 0.0,
    without: str | Sequence[str] | None = None,
) -> KnownParts:
    """Return rendered images of creatures, of which only the crest, or the crest and the tail, decide the class.

    There are four classes, in turn. The shape of the deciding parts follows from the class, and nothing else does:
    the shapes of other parts, all colors, position, size, rotation and mirroring are random. Image i depends on the
    seed, i and the options alone. Creatures, backgrounds, distractors and missing parts have random numbers of their
    own, so images with the same seed and other options show the same creatures in the same places: with
    ``without="crest"`` the same image without the crest.

    Args:
        count: number of images N.
        seed: 0 or a positive integer. Take another one for test images.
        start: index of the first image, to render a large set in parts.
        size: height and width of the images in pixels, at least 32.
        causes: 1: the crest decides. 2: crest and tail both show the class, and each of them is enough.
        distractors: number of loose feathers and eggs around the creature, which say nothing about the class.
        background: "plain"; "textured", one of four patterns at random; or "spurious", the pattern of the class in a
            share ``cue_share`` of the images and one of the others in the rest.
        cue_share: see ``background``; a share of .25 is chance.
        missing: probability with which each part that does not decide is missing, for training images, so that a
            model knows creatures without a wing or an eye. With two causes it is also the probability that one of
            the two is missing.
        without: a part, or several, to leave out of all images.

    Raises:
        ValueError: an option is out of its range, or a part is unknown.
    """
    check_int("count", count)
    check_int("seed", seed, 0)
    check_int("start", start, 0)
    check_int("size", size, 32, 1024)
    if causes not in _DECIDING:
        raise ValueError(f"causes must be 1 or 2, got {causes!r}.")
    check_int("distractors", distractors, 0, 20)
    check_choice("background", background, ("plain", "textured", "spurious"))
    check_number("cue_share", cue_share, minimum=0, maximum=1)
    check_number("missing", missing, minimum=0, below=1)
    removed = [without] if isinstance(without, str) else list(without or ())
    removed = [_check_part(part) for part in removed]
    side = size * -(-_CANVAS // size)
    images = np.empty((count, size, size, 3), np.uint8)
    masks = np.empty((count, FOREIGN, size, size), bool)
    patterns = np.full(count, PLAIN, np.int32)
    classes = np.arange(start, start + count, dtype=np.int32) % len(CRESTS)
    for index, class_index in enumerate(classes.tolist()):
        random = [np.random.default_rng([seed, start + index, stream]) for stream in range(4)]
        if background != "plain":
            cue = class_index if background == "spurious" else None
            patterns[index] = _choose_pattern(random[_BACKGROUND], cue, cue_share)
        canvas = Canvas(_draw_background(random[_BACKGROUND], side, patterns[index]))
        pose, parts = _choose_creature(random[_OBJECT], side, class_index, causes)
        _draw_distractors(canvas, random[_DISTRACTORS], pose, distractors)
        gone = _choose_missing(random[_MISSING], missing, _DECIDING[causes])
        draw_creature(canvas, parts, pose, [*gone, *removed])
        images[index], masks[index] = canvas.shrink(size)
    return KnownParts(
        images, classes, CRESTS, PARTS, masks[:, :-1], _DECIDING[causes], masks[:, -1], patterns, PATTERNS
    )


def _check_part(part: Any) -> str:
    if part not in PARTS:
        raise ValueError(unknown_name_message(part, PARTS, "part"))
    return part


def _choose_creature(random: np.random.Generator, side: int, class_index: int, causes: int):
    """Return the pose and the parts of a creature."""
    scale = random.uniform(0.19, 0.24) * side
    angle, mirrored = random.uniform(-0.45, 0.45), bool(random.random() < 0.5)
    free_tail = int(random.integers(len(CRESTS)))
    tail = class_index if causes == 2 else free_tail
    middle = random.uniform(0.43, 0.57, 2) * side + (0, 0.06 * side)
    return Pose(tuple(middle), scale, angle, mirrored), make_creature(random, class_index, tail)


def _choose_missing(random: np.random.Generator, probability: float, deciding: tuple[str, ...]) -> list[str]:
    """Return the parts that are missing; at least one of the deciding parts stays."""
    drawn = random.random(len(PARTS)) < probability
    gone = [part for part, is_gone in zip(PARTS, drawn, strict=True) if is_gone and part not in deciding]
    loses, which = random.random() < probability, random.integers(2)
    return [*gone, deciding[which]] if len(deciding) == 2 and loses else gone


def _choose_pattern(random: np.random.Generator, cue: int | None, share: float) -> int:
    """Return the index of a pattern: any, or that of the cue with the probability ``share``."""
    agrees, other = random.random() < share, int(random.integers(1, len(PATTERNS)))
    free = int(random.integers(len(PATTERNS)))
    if cue is None:
        return free
    return cue if agrees else (cue + other) % len(PATTERNS)


def _draw_background(random: np.random.Generator, side: int, pattern: int) -> np.ndarray:
    """Return a pale gradient, float32 (side, side, 3), with or without a pattern."""
    hue, saturation, turn = random.uniform(0, 360), random.uniform(0.1, 0.22), random.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:side, :side].astype(np.float32) / side
    slope = (x - 0.5) * np.cos(turn) + (y - 0.5) * np.sin(turn)
    value = 0.94 + 0.07 * slope
    period, shift = 1 / random.uniform(5, 7), random.uniform(0, 1, 2)
    if pattern != PLAIN:
        ink = cv2.GaussianBlur(_PATTERN[PATTERNS[pattern]](x / period + shift[0], y / period + shift[1]), (0, 0), 1.0)
        value, saturation = value - 0.1 * ink, saturation + 0.12 * ink
    hsv = np.stack([np.full_like(x, hue), np.broadcast_to(saturation, x.shape), value], axis=-1).astype(np.float32)
    return 255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def _square(values: np.ndarray) -> np.ndarray:
    """Return 1 in the first half of each unit and 0 in the second."""
    return (values % 1 < 0.5).astype(np.float32)


_PATTERN: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "checks": lambda x, y: np.abs(_square(x) - _square(y)),
    "dots": lambda x, y: (np.hypot(x % 1 - 0.5, y % 1 - 0.5) < 0.3).astype(np.float32),
    "stripes": lambda x, y: _square(x + y),
    "waves": lambda x, y: _square(y + 0.35 * np.sin(2 * np.pi * x / 1.5)),
}


def _draw_distractors(canvas: Canvas, random: np.random.Generator, pose: Pose, count: int) -> None:
    """Draw loose feathers and eggs, far from the middle of the creature and from each other."""
    side = len(canvas.pixels)
    taken = [np.array(pose.center)]
    for number in range(count):
        candidates = random.uniform(0.06, 0.94, (12, 2)) * side
        nearest = np.min([np.linalg.norm(candidates - other, axis=1) for other in taken], axis=0)
        place = candidates[nearest.argmax()]
        taken.append(place)
        loose = Pose(tuple(place), pose.scale * random.uniform(0.8, 1.1), random.uniform(0, 2 * np.pi))
        canvas.draw((make_feather if number % 2 == 0 else make_egg)(random), loose, FOREIGN)
