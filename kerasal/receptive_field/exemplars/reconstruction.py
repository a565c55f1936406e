"""From a ranking to exemplars: each image's strongest unit, carried back to pixels, beside the patch that it saw."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from kerasal.hooks.model_inputs import chunk_size
from kerasal.models.image_sources import ImageSource
from kerasal.preprocessing import Preprocessing
from kerasal.progress import progress_bar
from kerasal.receptive_field.exemplars.projection import project
from kerasal.receptive_field.exemplars.ranked_units import Ranking
from kerasal.receptive_field.geometry.field_geometry import GRAY, Field, cut_box, window

# Small nets run faster on a few images at a time, and large ones still fit into the memory.
_MORE = 3


@dataclasses.dataclass(frozen=True, eq=False)
class Exemplars:
    """The images that excite one channel most, strongest first; k of them, or as many as there were.

    Attributes:
        layer: path of the layer.
        channel: number of the channel.
        activations: float32 (k,), of each image's strongest unit; sorted, the highest first.
        names: k names: paths of files, or positions in the array or stream.
        numbers: int (k,), the same as positions in the order of the images (unreadable files count).
        positions: int (k, 2), the unit as (x, y) on the layer's map.
        boxes: int (k, 4), the unit's receptive field (x_min, y_min, x_max, y_max) in the model's input; it may reach
            outside.
        crops: uint8 (k, h, w, 3), the patch that the unit saw, of the picture as the model gets it (cut and resized,
            before preprocessing); middle gray where the field reaches outside of it. Along an axis on which the field
            is as long as the image or longer, the whole image.
        reconstructions: float32 (k, h, w, C), the unit carried back to the input, in the same window; zero outside.
        seen: how many images were looked at.
        skipped: (name, reason) of each file that could not be read.
        preprocessing: the pixel convention of the reconstructions, or None.
    """

    layer: str
    channel: int
    activations: np.ndarray
    names: list[str]
    numbers: np.ndarray
    positions: np.ndarray
    boxes: np.ndarray
    crops: np.ndarray
    reconstructions: np.ndarray
    seen: int
    skipped: list[tuple[str, str]]
    preprocessing: Preprocessing | None

    def __len__(self) -> int:
        return len(self.names)


def reconstruct(
    model,
    layer: str,
    channels: list[int],
    ranking: Ranking,
    source: ImageSource,
    geometry: Field,
    rule: str,
    *,
    seen: int,
    progress: bool = False,
) -> list[Exemplars]:
    """Return the exemplars of each channel of the ranking; ``geometry`` knows what each unit sees."""
    count = int((ranking.numbers[0] >= 0).sum())
    wanted = sorted((int(ranking.numbers[i, j]), i, j) for i in range(len(channels)) for j in range(count))
    found: dict[tuple[int, int], dict[str, Any]] = {}
    with progress_bar("Carrying units back to pixels", len(wanted), progress) as advance:
        for part, inputs in _read_chunks(wanted, source):
            backs, _, places = project(model, layer, [channels[i] for _, i, _ in part], inputs, rule)
            for (_, i, j), back, place, one in zip(part, backs, places, inputs, strict=True):
                column, row = place
                frame = window(geometry, row, column)
                found[i, j] = {
                    "positions": place,
                    "boxes": np.array(geometry.box(row, column)),
                    "crops": cut_box(source.model.picture(one), frame, GRAY),
                    "reconstructions": cut_box(back, frame, 0.0),
                }
            advance(len(part))
    return [
        Exemplars(
            layer=layer,
            channel=channel,
            activations=ranking.values[i, :count],
            names=[source.name(number) for number in ranking.numbers[i, :count]],
            numbers=ranking.numbers[i, :count],
            **{name: np.stack([found[i, j][name] for j in range(count)]) for name in found[0, 0]},
            seen=seen,
            skipped=source.skipped,
            preprocessing=source.model.preprocessing,
        )
        for i, channel in enumerate(channels)
    ]


def _read_chunks(wanted: list[tuple[int, int, int]], source: ImageSource) -> Iterator[tuple[list, np.ndarray]]:
    """Yield what is wanted, sorted by image so that each is had once, with its inputs (n, H, W, C)."""
    values = max(1, int(np.prod(source.shape)) // _MORE)
    size = chunk_size([np.broadcast_to(0.0, (1, values))])
    again = source.again(list(dict.fromkeys(number for number, _, _ in wanted)))
    part, inputs, current, one = [], [], None, None
    for entry in wanted:
        if entry[0] != current:
            current, one = entry[0], next(again)
        part.append(entry)
        inputs.append(one)
        if len(part) == size:
            yield part, np.stack(inputs)
            part, inputs = [], []
    if part:
        yield part, np.stack(inputs)
