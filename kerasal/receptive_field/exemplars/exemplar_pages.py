"""Pages of exemplars beside where they were found, and strips of how features came about: Zeiler & Fergus' figures."""

import os
import pathlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kerasal import images
from kerasal.names import as_text
from kerasal.preprocessing import Preprocessing
from kerasal.receptive_field.exemplars.channel_exemplars import Exemplars
from kerasal.receptive_field.exemplars.evolution_files import Evolution, read_evolution

_FULL_COLOR = 99.7  # percentile of the magnitude


def draw_exemplars(
    exemplars: Exemplars | Sequence[Exemplars], *, title: str = "", tile: int | None = None
) -> np.ndarray:
    """Draw one panel per channel: its reconstructions at the left, the patches that they come from at the right.

    A reconstruction is drawn around middle gray, which is zero: lighter raises the activation where it is added to the
    image, darker lowers it; each has a scale of its own. Under each stand its activation and its image.

    Args:
        exemplars: what ``top_exemplars`` returned, for one channel or several.
        title: one line above the page.
        tile: side of a patch in pixels; by default 112, and up to 168 where it is larger.

    Returns:
        uint8 RGB (H, W, 3).
    """
    several = [exemplars] if isinstance(exemplars, Exemplars) else list(exemplars)
    tile = tile or int(np.clip(max(several[0].crops.shape[1:3]), 112, 168))
    panels = [_draw_panel(one, tile) for one in several]
    columns = 1 if len(panels) == 1 else 2 if len(panels) <= 8 else 3
    return images.sheet(panels, columns=columns, title=title)


def exemplar_table(exemplars: Sequence[Exemplars]) -> pd.DataFrame:
    """Return one row per exemplar: channel, rank from 1, activation, file, the unit's x and y, and its field's box.

    Args:
        exemplars: what ``top_exemplars`` returned.
    """
    rows = [
        {
            "channel": one.channel,
            "rank": rank + 1,
            "activation": float(one.activations[rank]),
            "file": as_text(one.names[rank]),
            **dict(zip(("x", "y"), one.positions[rank].tolist(), strict=True)),
            **dict(zip(("x_min", "y_min", "x_max", "y_max"), one.boxes[rank].tolist(), strict=True)),
        }
        for one in exemplars
        for rank in range(len(one))
    ]
    return pd.DataFrame(rows)


def draw_reconstruction(reconstruction: np.ndarray, convention: Preprocessing | None) -> np.ndarray:
    """Draw a reconstruction (h, w, C) of model inputs as RGB around middle gray, uint8 (h, w, 3).

    A few grains, where windows of an overlapping pooling add up, would else leave all the rest gray.
    """
    values = np.where(np.isfinite(reconstruction), reconstruction, 0)  # a net that overflows responds to nothing
    if convention is not None:
        values = values * np.array(convention.std, np.float32)
        values = values[..., ::-1] if convention.bgr else values
    if values.shape[2] not in (1, 3):
        values = values.sum(axis=2, keepdims=True)
    return images.relief(values, limit=np.percentile(np.abs(values), _FULL_COLOR) or np.abs(values).max())


def _draw_panel(one: Exemplars, tile: int) -> np.ndarray:
    columns = int(np.ceil(np.sqrt(len(one))))
    # Where a unit answers nothing, its patch is there by chance.
    silent = np.broadcast_to(np.uint8(255), one.crops.shape[1:])
    backs = [draw_reconstruction(back, one.preprocessing) for back in one.reconstructions]
    crops = [crop if value > 0 else silent for crop, value in zip(one.crops, one.activations, strict=True)]
    title = f"channel {one.channel}" + ("" if one.activations[0] > 0 else ": silent, no image excites it")
    left = images.grid(
        backs, [_format_number(value) for value in one.activations], columns=columns, tile=tile, title=title
    )
    stems = ["_".join(pathlib.Path(name).stem.split()) for name in one.names]
    names = [name if value > 0 else "silent" for name, value in zip(stems, one.activations, strict=True)]
    right = images.grid(crops, names, columns=columns, tile=tile, title=" ", frame=True)
    return np.concatenate([left, right], axis=1)


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
    """Draw how features came about: rows are features, columns the stored epochs, one block per layer.

    Each cell is the strongest activation over the fixed images at that epoch, carried back to pixels, around middle
    gray; a sudden change in a row is a change of the image. After a feature's last epoch stands the patch that excited
    it then.

    Args:
        evolution: a folder that ``FeatureEvolution`` wrote, or what ``read_evolution`` returned.
        features: which, as (layer, channel); by default all.
        title: one line above.
        patches: whether to end each row with the patch.
        tile: side of a cell in pixels.

    Returns:
        uint8 RGB (H, W, 3).

    Raises:
        FileNotFoundError, ValueError: nothing to draw; features that are not in the folder.

    Source: Zeiler & Fergus 2014, figure 4.
    """
    if not isinstance(evolution, Evolution):
        evolution = read_evolution(evolution)
    chosen = evolution.features if features is None else [(str(layer), int(channel)) for layer, channel in features]
    missing = [feature for feature in chosen if feature not in evolution.features]
    if missing or not chosen:
        known = ", ".join(f"{layer}:{channel}" for layer, channel in evolution.features)
        raise ValueError(f"Stored are the features {known}. Received: {chosen}.")
    layers = list(dict.fromkeys(layer for layer, _ in chosen))
    blocks = [_draw_block(evolution, [one for one in chosen if one[0] == layer], patches, tile) for layer in layers]
    return images.sheet(blocks, columns=min(len(blocks), 2), title=title)


def _draw_block(evolution: Evolution, features: list[tuple[str, int]], patches: bool, tile: int) -> np.ndarray:
    cells, labels = [], []
    for number, feature in enumerate(features):
        row = [evolution.found[epoch][evolution.features.index(feature)] for epoch in evolution.epochs]
        cells += [draw_reconstruction(one.reconstructions[0], one.preprocessing) for one in row]
        silent = np.full_like(row[-1].crops[0], 255)  # what answers nothing chose its patch by chance
        cells += [row[-1].crops[0] if row[-1].activations[0] > 0 else silent] if patches else []
        bottom = number == len(features) - 1
        labels += [f"epoch {epoch}" if bottom else "" for epoch in evolution.epochs]
        last = "image" if row[-1].activations[0] > 0 else "silent"
        labels += [(last if bottom or last == "silent" else "")] if patches else []
    return images.grid(
        cells,
        labels,
        columns=len(evolution.epochs) + patches,
        row_labels=[str(channel) for _, channel in features],
        title=features[0][0],
        tile=tile,
        frame=True,
    )
