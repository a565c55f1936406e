"""What things are called on the pages and in their files: captions, numbers, and names made of names not ours."""

import pathlib
import re
import zlib
from collections.abc import Iterable, Sequence


def number(value: float) -> str:
    """Write a number with three digits that count."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"


def count(value: int, singular: str, plural: str | None = None) -> str:
    """Write ``1 channel`` or ``1,280 channels``."""
    return f"{value:,} {singular if value == 1 else plural or singular + 's'}"


def size(shape: Sequence[int]) -> str:
    """Write ``113 × 113 × 64``; a side that is open is written as such."""
    return " × ".join("any" if side is None else f"{side:,}" for side in shape)


CLASS_SEEN = "An image that was changed, step by step, to raise the network’s score for this class (before softmax)."
CLASS_LIMIT = (
    "It shows what raises the score, not what the class looks like to people, and not that the network needs all of "
    "it. Another random start gives another image."
)
CHANNEL_SEEN = (
    "An image that was changed, step by step, to make this channel more active, averaged over its map. Low in a "
    "network it is small: no larger than what a few neighboring units see. Where noise moves nothing, the ascent "
    "began with a photograph, of which there are traces."
)
UNIT_SEEN = "An image that was changed, step by step, to make this unit more active."
CHANNEL_LIMIT = (
    "It is one of many such images: another random start gives another. A channel may answer to other things as well, "
    "and nothing here says what later layers do with it."
)
_PATCH_SEEN = (
    "The images of the folder that hold this channel’s strongest single units, each cut to what that unit sees; what "
    "lies outside of the image is middle gray. Below each, what in the patch the unit responds to: it alone is carried "
    "back to the pixels"
)
PATCH_SEEN = {
    "deconvnet": f"{_PATCH_SEEN} (deconvnet; middle gray is nothing).",
    "gradient": f"{_PATCH_SEEN} (its gradient, since there is no ReLU for a deconvnet; middle gray is nothing).",
}
WHOLE_SEEN = "The images of the folder that excite this unit most. It sees all of an image, so nothing is cut out."
PATCH_LIMIT = (
    "Other images would give other patches. What six patches have in common is a guess at what a channel is for, not a "
    "proof; and edges in a reconstruction are partly the image’s own."
)
METHODS_LIMIT = (
    "The methods answer different questions and disagree. None of these maps proves why the network decided: "
    "guided_backprop and deconvnet draw sharp edges even for a network with random weights."
)
BOX_LIMIT = (
    "The network was never shown a box. Each is cut around the strong part of its Grad-CAM map with the help of the "
    "image’s colors; for a class that is not there it means nothing."
)
GAZE_SEEN = "Yellow is where people are predicted to look most; without color, hardly. Nobody was measured here."
GAZE_LIMIT = (
    "It predicts first glances of people who look at a photograph without a task; not what one person does, and not "
    "what a person searching for something does."
)
STRETCHED = "Drawn, and measured, from its own darkest to its own brightest value."


# Page names of our own, and names that Windows keeps for devices.
_TAKEN = {"index", "con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
_LONGEST = 60


def make_slug(name: str) -> str:
    """Return a file name, without suffix, that is safe everywhere and differs wherever ``name`` does.

    A plain name stays as it is; any other gets a checksum, so that ``a/b`` and ``a:b``, or ``A`` and ``a`` on a disk
    that takes them for one, stay apart.
    """
    plain = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-.")[:_LONGEST]
    if plain and plain == name and plain not in _TAKEN:
        return plain
    return f"{plain}-{zlib.crc32(name.encode('utf-8', 'surrogateescape')):08x}".lstrip("-")


def abbreviate_paths(files: Sequence[pathlib.Path]) -> list[str]:
    """Return what to call each file: its name without suffix, or as much of its path as tells it from the others."""
    names = [file.stem for file in files]
    for longer in (lambda file: file.name, lambda file: f"{file.parent.name}/{file.name}", str):
        names = [one if names.count(one) == 1 else longer(file) for one, file in zip(names, files, strict=True)]
    return names


def make_slugs(names: Iterable[str], short: Iterable[str]) -> list[str]:
    """Return a slug for each name: that of its ``short`` form where no other has it, or that of the whole."""
    names, wanted = list(names), [make_slug(one) for one in short]
    return [one if wanted.count(one) == 1 else make_slug(name) for name, one in zip(names, wanted, strict=True)]
