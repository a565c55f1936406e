"""Pictures of exemplars and of an evolution, after figures 2 and 4 of Zeiler & Fergus 2014."""

import os
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kerasal import images
from kerasal.names import as_text
from kerasal.preprocessing import Preprocessing
from kerasal.receptive_field.exemplars.channel_exemplars import Exemplars
from kerasal.receptive_field.exemplars.evolution_files import Evolution, read_evolution
from kerasal.receptive_field.exemplars.input_exemplar_pages import draw_input_exemplars, position_columns

_FULL_COLOR = 99.7  # percentile of the magnitude


def draw_exemplars(
    exemplars: Exemplars | Sequence[Exemplars], *, title: str = "", tile: int | None = None
) -> np.ndarray:
    """Draw a panel for each channel, with its reconstructions on the left and the image patches on the right.

    Silent channels, which no image activates, are listed below the panels. Exemplars in signals and volumes are drawn
    as the patches themselves, with the reconstructions in color: positive where a larger value raises the activation.

    In a reconstruction middle gray is 0: the activation grows if the image becomes lighter at light pixels or darker at
    dark ones. Each reconstruction is scaled separately. The strongest patch is the first; ``exemplar_table`` lists the
    activations and the images.

    Args:
        exemplars: result of ``top_exemplars`` for a channel or several channels.
        title: line above the page.
        tile: side of a patch in pixels; by default that of the patches, between 112 and 168. Of a signal it is the
            width, 360 by default, of a volume that of each of three planes, 110.

    Returns:
        uint8 RGB (H, W, 3).
    """
    wanted = [exemplars] if isinstance(exemplars, Exemplars) else list(exemplars)
    if wanted[0].crops.ndim != 4:
        return draw_input_exemplars(wanted, title=title, tile=tile)
    several = [channel_exemplars for channel_exemplars in wanted if channel_exemplars.activations[0] > 0] or wanted
    silent = [str(channel_exemplars.channel) for channel_exemplars in wanted if channel_exemplars.activations[0] <= 0]
    tile = tile or int(np.clip(max(several[0].crops.shape[1:3]), 112, 168))
    columns = 1 if len(several) == 1 else 2 if len(several) <= 8 else 3
    side = max(_columns(channel_exemplars) for channel_exemplars in several)
    page_width = columns * 2 * side * tile
    panels = [_draw_panel(channel_exemplars, tile, page_width) for channel_exemplars in several]
    note = (
        "Right: the image patches that activate the channel most, strongest first. Left: what the channel responds to "
        "in each patch; each reconstruction has its own scale, and middle gray is 0."
    )
    if any((channel_exemplars.activations <= 0).any() for channel_exemplars in several):
        note += " Empty: no further image activates the channel."
    if silent:
        note += f" Silent channels, which no image activates: {', '.join(silent)}."
    if any(_is_constant(channel_exemplars) for channel_exemplars in several):
        note += " Only gray: no pixel changes the activation, or the signal does not pass back through the ReLUs."
    legend = [("gray", "left: a darker pixel raises the activation", "a lighter pixel raises it")]
    return images.sheet(panels, columns=columns, title=title, note=note, legend=legend)


def exemplar_table(exemplars: Sequence[Exemplars]) -> pd.DataFrame:
    """Return a table with one row per exemplar: channel, rank, activation, file, position, and receptive field.

    Args:
        exemplars: results of ``top_exemplars``, one per channel.

    Returns:
        A frame with the columns ``channel``, ``rank`` (1 is the strongest), ``activation``, ``file``, ``x`` and ``y``
        (position of the unit on the layer's map), and ``x_min``, ``y_min``, ``x_max``, ``y_max`` (its receptive field
        in pixels). For signals and volumes these are ``axis_0``, …, ``axis_0_min``, … and ``axis_0_max``, ….
    """
    rows = [
        {
            "channel": channel_exemplars.channel,
            "rank": rank + 1,
            "activation": float(channel_exemplars.activations[rank]),
            "file": as_text(channel_exemplars.names[rank]),
            **_position_columns(channel_exemplars, rank),
        }
        for channel_exemplars in exemplars
        for rank in range(len(channel_exemplars))
    ]
    return pd.DataFrame(rows)


def _position_columns(exemplars: Exemplars, rank: int) -> dict[str, int]:
    if exemplars.crops.ndim != 4:
        return position_columns(exemplars, rank)
    numbers = [*exemplars.positions[rank].tolist(), *exemplars.boxes[rank].tolist()]
    return dict(zip(("x", "y", "x_min", "y_min", "x_max", "y_max"), numbers, strict=True))


def draw_reconstruction(reconstruction: np.ndarray, convention: Preprocessing | None) -> np.ndarray:
    """Draw a reconstruction (h, w, C) of model inputs as RGB around middle gray, uint8 (h, w, 3).

    Full color is the 99.7th percentile of the magnitude, since single pixels are much larger where pooling windows
    overlap.
    """
    values = np.where(np.isfinite(reconstruction), reconstruction, 0)  # an overflow is drawn as no response
    if convention is not None:
        values = values * np.array(convention.std, np.float32)
        values = values[..., ::-1] if convention.bgr else values
    if values.shape[2] not in (1, 3):
        values = values.sum(axis=2, keepdims=True)
    return images.relief(values, limit=np.percentile(np.abs(values), _FULL_COLOR) or np.abs(values).max())


def _is_constant(exemplars: Exemplars) -> bool:
    """Return whether a channel is active without depending on the image, as far as its reconstructions show."""
    pairs = zip(exemplars.reconstructions, exemplars.activations, strict=True)
    return any(value > 0 and not reconstruction.any() for reconstruction, value in pairs)


def _columns(exemplars: Exemplars) -> int:
    return int(np.ceil(np.sqrt(len(exemplars))))


def _draw_panel(exemplars: Exemplars, tile: int, page_width: int) -> np.ndarray:
    """Return the reconstructions and the patches of a channel side by side, with its activations in the title."""
    strengths = [_format_number(value) for value in exemplars.activations if value > 0]
    activations = f"activation {strengths[0]} to {strengths[-1]}" if strengths else "silent"
    reconstructions = [
        draw_reconstruction(reconstruction, exemplars.preprocessing) for reconstruction in exemplars.reconstructions
    ]
    # If the activation is 0, the choice of the patch is arbitrary.
    silent = np.broadcast_to(np.uint8(255), exemplars.crops.shape[1:])
    crops = [crop if value > 0 else silent for crop, value in zip(exemplars.crops, exemplars.activations, strict=True)]
    halves = ((f"channel {exemplars.channel}", reconstructions), (activations, crops))
    grids = [
        images.grid(pictures, columns=_columns(exemplars), title=title, tile=tile, page_width=page_width, frame=True)
        for title, pictures in halves
    ]
    height = max(map(len, grids))  # the titles of both halves need as many lines, except on very narrow pages
    level = [np.pad(half, ((height - len(half), 0), (0, 0), (0, 0)), constant_values=255) for half in grids]
    return np.concatenate(level, axis=1)


def _format_number(value: float) -> str:
    return f"{value:.0f}" if 100 <= abs(value) < 1e6 else f"{value:.3g}"


def draw_evolution(
    evolution: Evolution | str | os.PathLike,
    features: Sequence[tuple[str, int]] | None = None,
    *,
    title: str = "",
    patches: bool = True,
    tile: int = 64,
) -> np.ndarray:
    """Draw features during training: a block for each layer, a row for each feature and a column for each epoch.

    A cell shows the reconstruction of the feature's strongest activation over the fixed images at that epoch; middle
    gray is 0. A sudden change in a row means that another image became the strongest. The last column shows the image
    patch that activates the feature most at the last epoch.

    Args:
        evolution: a folder written by ``FeatureEvolution``, or the result of ``read_evolution``.
        features: features to draw, as (layer, channel) pairs; by default all.
        title: line above the picture.
        patches: draw the last column.
        tile: side of a cell in pixels.

    Returns:
        uint8 RGB (H, W, 3).

    Raises:
        FileNotFoundError: if the folder holds no stored epoch.
        ValueError: if no stored epoch is readable, or a feature is not stored.

    Source: Zeiler & Fergus 2014, figure 4.
    """
    if not isinstance(evolution, Evolution):
        evolution = read_evolution(evolution)
    chosen = evolution.features if features is None else [(str(layer), int(channel)) for layer, channel in features]
    missing = [feature for feature in chosen if feature not in evolution.features]
    if missing or not chosen:
        stored = ", ".join(f"{layer}:{channel}" for layer, channel in evolution.features)
        raise ValueError(f"features must be among the stored features {stored}, got {chosen}.")
    layers = list(dict.fromkeys(layer for layer, _ in chosen))
    columns = min(len(layers), 2)
    page_width = columns * (len(evolution.epochs) + patches + 1) * tile
    blocks = [
        _draw_block(evolution, [feature for feature in chosen if feature[0] == layer], patches, tile, page_width)
        for layer in layers
    ]
    note = "Each cell shows what the channel responds to in the image that activates it most; middle gray is 0."
    if patches:
        note += " Last column: the part of that image that the channel sees; empty if no image activates it."
    legend = [("gray", "a darker pixel raises the activation", "a lighter pixel raises it")]
    return images.sheet(blocks, columns=columns, title=title, note=note, legend=legend)


def _draw_block(
    evolution: Evolution, features: list[tuple[str, int]], patches: bool, tile: int, page_width: int
) -> np.ndarray:
    cells = []
    for feature in features:
        row = [evolution.exemplars[epoch][evolution.features.index(feature)] for epoch in evolution.epochs]
        cells += [draw_reconstruction(exemplars.reconstructions[0], exemplars.preprocessing) for exemplars in row]
        silent = np.full_like(row[-1].crops[0], 255)  # if the activation is 0, the choice is arbitrary
        cells += [row[-1].crops[0] if row[-1].activations[0] > 0 else silent] if patches else []
    return images.grid(
        cells,
        columns=len(evolution.epochs) + patches,
        row_labels=[f"channel {channel}" for _, channel in features],
        column_labels=[f"epoch {epoch}" for epoch in evolution.epochs] + ["patch"] * patches,
        title=f"Features of {features[0][0]} during training",
        tile=tile,
        frame=True,
        page_width=page_width,
    )
