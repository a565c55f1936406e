"""Pages of exemplars: what a channel responds to beside where it found it, as Zeiler & Fergus' pairs of 3 × 3."""

import pathlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kerasal import images
from kerasal.names import as_text
from kerasal.preprocessing import Preprocessing
from kerasal.receptive_field.exemplars.reconstruction import Exemplars

_FULL_COLOUR = 99.7  # percentile of the magnitude


def draw_exemplars(
    exemplars: Exemplars | Sequence[Exemplars], *, title: str = "", tile: int | None = None
) -> np.ndarray:
    """Draw one panel a channel: its reconstructions at the left, the patches that they come from at the right.

    A reconstruction is drawn around middle grey, which is zero: lighter raises the activation where it is added to the
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
    panels = [_panel(one, tile) for one in several]
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


def in_colours(reconstruction: np.ndarray, convention: Preprocessing | None) -> np.ndarray:
    """Draw a reconstruction (h, w, C) of model inputs as RGB around middle grey, uint8 (h, w, 3).

    A few grains, where windows of an overlapping pooling add up, would else leave all the rest grey.
    """
    values = np.where(np.isfinite(reconstruction), reconstruction, 0)  # a net that overflows responds to nothing
    if convention is not None:
        values = values * np.float32(convention.std)
        values = values[..., ::-1] if convention.bgr else values
    if values.shape[2] not in (1, 3):
        values = values.sum(axis=2, keepdims=True)
    return images.relief(values, limit=np.percentile(np.abs(values), _FULL_COLOUR) or np.abs(values).max())


def _panel(one: Exemplars, tile: int) -> np.ndarray:
    columns = int(np.ceil(np.sqrt(len(one))))
    # Where a unit answers nothing, its patch is there by chance.
    silent = np.broadcast_to(np.uint8(255), one.crops.shape[1:])
    backs = [in_colours(back, one.preprocessing) for back in one.reconstructions]
    crops = [crop if value > 0 else silent for crop, value in zip(one.crops, one.activations, strict=True)]
    title = f"channel {one.channel}" + ("" if one.activations[0] > 0 else ": silent, no image excites it")
    left = images.grid(backs, [_number(value) for value in one.activations], columns=columns, tile=tile, title=title)
    names = [_short(name) if value > 0 else "silent" for name, value in zip(one.names, one.activations, strict=True)]
    right = images.grid(crops, names, columns=columns, tile=tile, title=" ", frame=True)
    return np.concatenate([left, right], axis=1)


def _short(name: str) -> str:
    """Return a file's name without folder and suffix, on one line."""
    return "_".join(pathlib.Path(name).stem.split())


def _number(value: float) -> str:
    return f"{value:.0f}" if 100 <= abs(value) < 1e6 else f"{value:.3g}"
