"""Drawings of the maps of signals, volumes, videos and texts, chosen by the number of positions."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from kerasal import images
from kerasal.attribution.method import MethodSpec
from kerasal.images.lettering import Legend
from kerasal.images.signals import MOST_CHANNELS
from kerasal.names import count_noun

_GAPS = 44  # pixels of a row of three planes that are not planes
_FRAMES = 6
_LETTERS = "R right, L left, A front, P back, S up, I down"


@dataclasses.dataclass(frozen=True)
class Axes:
    """How the axes of a signal, volume or video are labeled and drawn, and the tokens of a text.

    Attributes:
        rate: samples or frames per second; None counts them.
        names: names of the channels of a signal, or the tokens of a text; without them their indices are drawn.
        mask: which tokens of a text are drawn, bool (T,), as to leave out padding; by default all.
        separator: what stands between two tokens of a text.
        view: ``"planes"`` draws a volume, ``"frames"`` a video; None draws frames if the input has three channels, as
            colors have, and nothing is known of its place in space.
        spacing: distance of neighboring voxels along the three axes.
        directions: the directions of the body in which the three axes increase, such as "RAS".
        channel_axis: axis of the channels in a map that has them.
    """

    rate: float | None = None
    names: Sequence[str] | None = dataclasses.field(default=None, repr=False)
    view: Literal["planes", "frames"] | None = None
    spacing: Sequence[float] | None = None
    directions: str | None = None
    channel_axis: int = -1
    mask: np.ndarray | None = dataclasses.field(default=None, repr=False, compare=False)
    separator: str = " "

    def kind(self, picture: np.ndarray) -> Literal["text", "signal", "planes", "frames"]:
        """Return how an input (*positions, C), or the token indices (T,) of a text, is drawn.

        Raises:
            ValueError: it has neither one nor three positions.
        """
        if picture.ndim < 3:
            return "text" if picture.ndim == 1 else "signal"
        if picture.ndim != 4:
            raise ValueError(
                f"An input must have one, two or three position axes to be drawn, got {picture.ndim - 1} and the shape "
                f"{picture.shape}. The raw map can still be used."
            )
        colored = picture.shape[-1] == 3 and self.spacing is None and self.directions is None
        return self.view or ("frames" if colored else "planes")


def positions(picture: np.ndarray) -> tuple[int, ...]:
    """Return the sizes of the positions of an input (*positions, C), or of the token indices (T,) of a text."""
    return picture.shape[: max(1, picture.ndim - 1)]


def draw_array(
    picture: np.ndarray,
    values: np.ndarray,
    *,
    signed: bool,
    axes: Axes,
    strength: float = 0.6,
    colormap: str | None = None,
    width: int | None = None,
) -> np.ndarray:
    """Return a signal, volume, video or text with its map over it, uint8 RGB.

    Args:
        picture: the input of the model, (T, C) or (D, H, W, C), or token indices (T,).
        values: its map, without channels or with channels last.
        signed: whether negative values are drawn as such.
        axes: how the axes are labeled.
        strength: opacity of the colors, 0..1.
        colormap: name of a colormap of matplotlib.
        width: width of the drawing in pixels, about; by default as wide as it must be to be read.
    """
    colors: dict[str, Any] = {"signed": signed, "strength": strength, "colormap": colormap}
    kind = axes.kind(picture)
    if kind == "text":
        return images.text(*text_arguments(picture, values, axes), width=width or 900, **_of_text(axes), **colors)
    values = _arrange(values, picture.ndim, axes)
    if kind == "signal":
        return images.signal(picture, values, rate=axes.rate, names=axes.names, width=width or 900, **colors)
    if kind == "frames":
        tile = {} if width is None else {"tile": max(32, width // _FRAMES - 10)}
        return images.video(picture, values, rate=axes.rate, count=_FRAMES, **tile, **colors)
    tile = {} if width is None else {"tile": max(64, (width - _GAPS) // 3)}
    return images.volume(picture, values, spacing=axes.spacing, axes=axes.directions, **tile, **colors)


def text_arguments(picture: np.ndarray, values: np.ndarray, axes: Axes) -> tuple[list[str], np.ndarray]:
    """Return the tokens of a text and their values.

    Raises:
        ValueError: a map with channels, or another number of names than tokens.
    """
    if values.ndim != 1:
        raise ValueError(
            f"A map of tokens must be (T,) to be drawn, got {values.shape}. Use a method whose maps have no channels, "
            "such as gradient_x_input."
        )
    names = axes.names
    if names is not None and len(names) != len(picture):
        raise ValueError(
            f"names must hold {len(picture)} texts, one per token, got {len(names)}. Those of padding can be left out "
            "of the drawing with mask."
        )
    return [str(name) for name in picture] if names is None else list(names), values


def text_html(picture: np.ndarray, values: np.ndarray, axes: Axes, **drawing: Any) -> str:
    """Return the HTML page of a text with its map; ``drawing`` has further arguments of ``images.text_html``."""
    return images.text_html(*text_arguments(picture, values, axes), **_of_text(axes), **drawing)


def draw_map_alone(values: np.ndarray, picture: np.ndarray, **drawing: Any) -> np.ndarray:
    """Return a map without its input: the curve of a signal's map, the map of a volume on black; a text as it is."""
    if picture.ndim == 1:
        return draw_array(picture, values, **drawing)
    values = _arrange(values, picture.ndim, drawing["axes"])
    if picture.ndim == 2:
        axes = drawing["axes"] if values.ndim == 2 else dataclasses.replace(drawing["axes"], names=None)
        return draw_array(values.reshape(len(values), -1), values, **drawing | {"axes": axes})
    return draw_array(np.zeros_like(picture), values, **drawing)


def array_page(
    spec: MethodSpec,
    picture: np.ndarray,
    values: np.ndarray,
    title: str,
    note: str,
    legend: Sequence[Legend],
    **drawing: Any,
) -> np.ndarray:
    """Return a page with a signal, volume, video or text and its map, a title, color bars and a note, uint8 RGB.

    Raises:
        ValueError: a map of class indices, which is drawn over images only, or an invalid option.
    """
    if values.dtype.kind == "i":
        raise ValueError(f"A map of class indices must be of an image to be drawn, got one of {picture.shape}.")
    axes: Axes = drawing["axes"]
    texts = [note, "" if values.any() else "The map is 0 everywhere; the warning names the likely cause"]
    texts.append(describe_masked(values, axes))
    kind, channels = axes.kind(picture), picture.shape[-1]
    if kind == "planes":
        texts.append("The lines cross at the strongest position of the map")
        texts.append(_LETTERS if axes.directions else "")
    if kind == "signal" and channels > MOST_CHANNELS:
        texts.append(f"The {MOST_CHANNELS} channels with the strongest map of {channels}")
    if kind in ("planes", "frames") and channels not in (1, 3):
        texts.append(f"The first of {count_noun(channels, 'channel')} is drawn")
    texts = [text for text in texts if text]
    note = " ".join(f"{text.rstrip('.')}." for text in texts) if len(texts) > 1 else "".join(texts)
    return images.sheet([draw_array(picture, values, **drawing)], columns=1, title=title, note=note, legend=legend)


def describe_masked(values: np.ndarray, axes: Axes) -> str:
    """Return a sentence about the tokens that are not drawn and what they have of the map, or ""."""
    if axes.mask is None or np.shape(axes.mask) != values.shape or np.all(axes.mask):
        return ""
    hidden = np.abs(values[~np.asarray(axes.mask, bool)])
    share = hidden.sum() / (np.abs(values).sum() or 1.0)
    return f"{count_noun(len(hidden), 'token')} with {100 * share:.0f} % of the map's magnitude left out"


def array_kind(values: np.ndarray, picture: np.ndarray, signed: bool) -> Literal["magnitude", "signed", "gradient"]:
    """Return how a map is drawn: as magnitudes, with its sign, or with that of a gradient, which has channels.

    Of the gradient of a volume with several channels the largest magnitude is drawn.
    """
    if values.ndim < max(2, picture.ndim):
        return "signed" if signed or bool((values < 0).any()) else "magnitude"
    return "gradient" if picture.ndim == 2 or picture.shape[-1] == 1 else "magnitude"


def name_colors(kind: str, picture: np.ndarray, colormap: str | None) -> str:
    """Return the name of the colors in which a map of this kind is drawn."""
    if colormap is None and kind == "magnitude":
        return {1: "text", 2: "signal"}.get(picture.ndim, "overlay")
    return colormap or "signed"


def _of_text(axes: Axes) -> dict[str, Any]:
    return {"mask": axes.mask, "separator": axes.separator}


def _arrange(values: np.ndarray, rank: int, axes: Axes) -> np.ndarray:
    """Return a map for a drawing: with channels last for a signal, without channels for others."""
    if values.ndim < rank:
        return values
    values = np.moveaxis(values, axes.channel_axis, -1)
    if rank == 2:
        return values
    return values[..., 0] if values.shape[-1] == 1 else np.abs(values).max(axis=-1)
