"""The strip of a feature evolution: a row a feature, a column an epoch, a block a layer."""

import os
from collections.abc import Sequence

import numpy as np

from kerasal import images
from kerasal.receptive_field.exemplars.evolution_files import Evolution, read_evolution
from kerasal.receptive_field.exemplars.exemplar_pages import draw_reconstruction


def draw_evolution(
    evolution: Evolution | str | os.PathLike,
    features: Sequence[tuple[str, int]] | None = None,
    *,
    title: str = "",
    patches: bool = True,
    tile: int = 64,
) -> np.ndarray:
    """Draw how features came about: rows are features, columns the stored epochs, one block a layer.

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
