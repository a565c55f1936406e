"""Text of the pages of an atlas: explanations, formatted numbers, and file names of layers and images."""

import pathlib
import re
import zlib
from collections.abc import Iterable, Sequence


def format_number(value: float) -> str:
    """Return a number with three significant digits."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"


def format_count(value: int, singular: str, plural: str | None = None) -> str:
    """Return a count with its noun, such as ``1 channel`` or ``1,280 channels``."""
    return f"{value:,} {singular if value == 1 else plural or singular + 's'}"


def format_size(shape: Sequence[int]) -> str:
    """Return a shape such as ``113 × 113 × 64``; an unknown side is ``any``."""
    return " × ".join("any" if side is None else f"{side:,}" for side in shape)


# Explanations: what an image on a page shows, and the limits of what can be concluded from it.
CLASS_EXPLANATION = (
    "An image that gradient ascent has optimized to maximize the score of this class (before the softmax)."
)
CLASS_MINIS = " Below it are the three of your images with the highest score of the class, if it is in any."
CLASS_LIMITS = (
    "It shows what raises the score. It does not show what the class looks like to people, or that the model needs all "
    "of it. Another random start gives a different image."
)
CHANNEL_EXPLANATION = (
    "An image that gradient ascent has optimized to maximize the mean activation of this channel over its map. In "
    "early layers it is small, since it covers only the receptive fields of a few neighboring units. If the gradient "
    "is zero for random noise, the ascent starts from a photo, whose traces remain visible."
)
UNIT_EXPLANATION = "An image that gradient ascent has optimized to maximize the activation of this unit."
CHANNEL_LIMITS = (
    "It is one of many possible images: another random start gives a different one. It does not show other patterns "
    "with the same effect, or how later layers use the activation."
)
_PATCH_EXPLANATION = (
    "The images with the highest activation of this channel at any position, each cropped to the receptive field of "
    "that position; areas outside the image are gray. Below each patch is its reconstruction: the part of the patch "
    "that causes the activation, computed by propagating it back to the pixels"
)
PATCH_EXPLANATIONS = {
    "deconvnet": f"{_PATCH_EXPLANATION} with the deconvnet method. Gray means zero.",
    "gradient": f"{_PATCH_EXPLANATION} with the gradient, since the deconvnet method does not apply to this "
    "model. Gray means zero.",
}
WHOLE_IMAGE_EXPLANATION = "The images that activate this unit most. Its receptive field is the whole image."
PATCH_LIMITS = (
    "Other images would give other patches. What six patches have in common suggests what the channel detects, but "
    "does not prove it. Edges in a reconstruction come partly from the image."
)
METHODS_LIMITS = (
    "The methods answer different questions and disagree. No map proves why the model made its decision: "
    "guided_backprop and deconvnet draw sharp edges even for a model with random weights."
)
BOX_LIMITS = (
    "The model is a classifier and does not predict boxes. Each box encloses the strongest region of the Grad-CAM map "
    "of its class, refined with the colors of the image. The box of a class that is not in the image has no meaning."
)
GAZE_EXPLANATION = (
    "A prediction of where people look: most often where the map is yellow, rarely where it has no color. It is not a "
    "measurement."
)
GAZE_LIMITS = (
    "It predicts the first fixations of people who view a photo without a task. It does not predict the gaze of an "
    "individual, or of people who search for something."
)
RESCALED = "Its values are rescaled to range from black to white, and the score is that of the rescaled image."


# File names of the atlas itself, and names that Windows reserves for devices.
_RESERVED_NAMES = {
    "index",
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)),
}
_MAX_LENGTH = 60


def make_slug(name: str) -> str:
    """Return a file name without suffix that is valid on every system and unique to ``name``.

    A name of lowercase letters, digits, ``.``, ``_`` and ``-`` is returned unchanged. Other names get a checksum, so
    that ``a/b`` and ``a:b``, or ``A`` and ``a`` on a case-insensitive disk, have different files.
    """
    plain = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-.")[:_MAX_LENGTH]
    if plain and plain == name and plain not in _RESERVED_NAMES:
        return plain
    return f"{plain}-{zlib.crc32(name.encode('utf-8', 'surrogateescape')):08x}".lstrip("-")


def abbreviate_paths(files: Sequence[pathlib.Path]) -> list[str]:
    """Return a short unique name per file: its name without suffix, or more of its path if that is not unique."""
    names = [file.stem for file in files]
    for longer in (lambda file: file.name, lambda file: f"{file.parent.name}/{file.name}", str):
        names = [name if names.count(name) == 1 else longer(file) for name, file in zip(names, files, strict=True)]
    return names


def make_slugs(names: Iterable[str], short: Iterable[str]) -> list[str]:
    """Return a unique slug per name: that of its ``short`` form if it is unique, else that of the name."""
    names, slugs = list(names), [make_slug(name) for name in short]
    return [slug if slugs.count(slug) == 1 else make_slug(name) for name, slug in zip(names, slugs, strict=True)]
