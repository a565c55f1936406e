"""Pictures and tables of exemplars in signals and volumes: each patch with its reconstruction in color."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasal import images
from kerasal.receptive_field.exemplars.channel_exemplars import Exemplars

_FULL_COLOR = 99.7  # percentile of the magnitude
_SIGNAL_WIDTH, _PLANES_WIDTH = 360, 110  # pixels of a signal, and of one of the three planes of a volume


def draw_input_exemplars(exemplars: Sequence[Exemplars], *, title: str = "", tile: int | None = None) -> np.ndarray:
    """Draw a panel for each channel: the patches of signals as colored lines, or of volumes in three planes.

    Args:
        exemplars: results of ``top_exemplars`` for a model of signals or volumes; silent channels are listed only.
        title: line above the page.
        tile: width of a signal, or of one plane of a volume, in pixels.

    Returns:
        uint8 RGB (H, W, 3).
    """
    loud = [channel for channel in exemplars if channel.activations[0] > 0] or list(exemplars)
    silent = [str(channel.channel) for channel in exemplars if channel.activations[0] <= 0]
    is_signal = loud[0].crops.ndim == 3
    panels = [_draw_panel(channel, is_signal, tile) for channel in loud]
    what = "lines" if is_signal else "planes"
    note = (
        f"The patches that activate the channel most, strongest first; the colors of the {what} are what it responds to"
    )
    note += ", scaled for each patch."
    if not is_signal:
        note += " The planes go through the strongest position, without colors above."
    if silent:
        note += f" Silent channels, which no input activates: {', '.join(silent)}."
    legend = [("signed", "a smaller value raises the activation", "a larger value raises it")]
    return images.sheet(panels, columns=1 if len(panels) == 1 else 2, title=title, note=note, legend=legend)


def position_columns(exemplars: Exemplars, rank: int) -> dict[str, Any]:
    """Return the columns of ``exemplar_table`` for the position of an exemplar and its field, by axis."""
    position, box = exemplars.positions[rank].tolist(), exemplars.boxes[rank].tolist()
    axes = range(len(position))
    columns = {f"axis_{axis}": position[axis] for axis in axes}
    columns |= {f"axis_{axis}_min": box[axis] for axis in axes}
    return columns | {f"axis_{axis}_max": box[len(position) + axis] for axis in axes}


def _draw_panel(exemplars: Exemplars, is_signal: bool, tile: int | None) -> np.ndarray:
    active = [number for number, value in enumerate(exemplars.activations) if value > 0] or [0]
    draw = _draw_signal if is_signal else _draw_volume
    pictures = [draw(exemplars.crops[number], exemplars.reconstructions[number], tile) for number in active]
    labels = [_label(exemplars, number) for number in active]
    return images.grid(
        pictures,
        labels,
        columns=int(np.ceil(np.sqrt(len(pictures)))),
        title=f"channel {exemplars.channel}",
        tile=max(picture.shape[1] for picture in pictures),
        frame=True,
    )


def _label(exemplars: Exemplars, number: int) -> str:
    box = exemplars.boxes[number]
    count = len(box) // 2
    places = ", ".join(f"{box[axis]}–{box[count + axis] - 1}" for axis in range(count))
    return f"{exemplars.activations[number]:.3g} in {exemplars.names[number]} at {places}"


def _draw_signal(crop: np.ndarray, reconstruction: np.ndarray, tile: int | None) -> np.ndarray:
    """Draw the part of a patch that is in the signal; a patch of one sample is drawn with a second one."""
    inside = np.isfinite(crop).all(axis=1)
    crop, values = crop[inside], _limit(reconstruction[inside])
    return images.signal(crop, values, signed=True, width=tile or _SIGNAL_WIDTH)


def _draw_volume(crop: np.ndarray, reconstruction: np.ndarray, tile: int | None) -> np.ndarray:
    """Draw a patch in three planes; what is outside the volume is as dark as its darkest voxel."""
    crop = np.where(np.isfinite(crop), crop, np.nanmin(crop) if np.isfinite(crop).any() else 0)
    values = _limit(reconstruction).sum(axis=-1)
    return images.volume(crop, values, signed=True, slices=0, tile=tile or _PLANES_WIDTH)


def _limit(values: np.ndarray) -> np.ndarray:
    """Return a reconstruction without overflows, limited to the magnitude of full color."""
    values = np.where(np.isfinite(values), values, 0).astype(np.float64)
    limit = np.percentile(np.abs(values), _FULL_COLOR) or np.abs(values).max()
    return np.clip(values, -limit, limit)
