"""Top exemplars: the images that excite a channel most, the patch that its unit saw, and what it responds to there."""

import dataclasses
import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np

from kerasal import hooks
from kerasal import preprocessing as conventions
from kerasal.checks import check_choice, check_int
from kerasal.digests import digest, digest_files
from kerasal.hooks.model_inputs import chunk_size
from kerasal.models.image_model import ImageModel
from kerasal.models.image_sources import Files, ImageSource, open_source
from kerasal.names import describe_skipped
from kerasal.preprocessing import Preprocessing
from kerasal.progress import progress_bar
from kerasal.receptive_field.exemplars.exemplar_search import Journal, Ranking, Search
from kerasal.receptive_field.exemplars.projection import check_projection, project
from kerasal.receptive_field.geometry.field_geometry import GRAY, Field, cut_box, remember_field, window

import keras

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
    model: keras.Model,
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
    again = source.reload_inputs(list(dict.fromkeys(number for number, _, _ in wanted)))
    current, one = -1, np.empty(0)
    for start in range(0, len(wanted), size):
        part, inputs = wanted[start : start + size], []
        for number, _, _ in part:
            if number != current:
                current, one = number, next(again)
            inputs.append(one)
        yield part, np.stack(inputs)


def top_exemplars(
    model: keras.Model,
    layer: str,
    channel: int | Sequence[int],
    images: Any,
    k: int = 9,
    *,
    preprocessing: str | Preprocessing | None = None,
    rule: Literal["deconvnet", "guided", "gradient"] = "deconvnet",
    fit: Literal["crop", "stretch"] = "crop",
    size: tuple[int, int] | None = None,
    batch_size: int | None = None,
    journal: str | os.PathLike | None = None,
    progress: bool = False,
) -> Exemplars | list[Exemplars]:
    """Find the images with the strongest activation of a channel, and what in them excites it.

    Each image counts by its single strongest unit of the channel. That unit alone is carried back to pixels: its
    activation enters, every other unit of the layer is zero, and the way back unpools with the switches of this image,
    rectifies, and filters transposed. The images pass once, for all channels; only what is among the k best is kept.

    Args:
        model: any built Keras model with one image input; it is not changed.
        layer: name or path of a layer with a map (N, h, w, C).
        channel: a channel, or several, which share the one pass over the images.
        images: path of a folder (every image file in it, at any depth) or file, or a list of paths; an array; or an
            iterable of arrays, such as a ``tf.data.Dataset`` of batches or of (batch, labels). Pixels are uint8, of any
            size; float arrays are model inputs, preprocessed already.
        k: how many images per channel.
        preprocessing: the model's pixel convention, by name or as ``kerasal.preprocessing.Preprocessing``. Float
            arrays can do without; their crops are then each drawn from its darkest to its brightest value.
        rule: how ReLUs are passed on the way back; see ``kerasal.hooks.RULES``. A model without ReLUs takes
            ``"gradient"``.
        fit: cut pictures to the model's shape (``"crop"``, the center), or ``"stretch"`` them.
        size: (height, width) for a model that takes any; 224 × 224 by default.
        batch_size: images in one forward pass; by default as many as run fast.
        journal: a file, for image files only: every 20 seconds, and when stopped, the state of the search is kept
            there. The same call then goes on from it; a finished search removes it.
        progress: show a progress bar.

    Returns:
        ``Exemplars``; for a sequence of channels a list of them, in its order. Of fewer than k images there are as
        many exemplars as images, with a warning.

    Raises:
        ValueError: no such layer, channel or rule; a layer without a map; no readable image; an uint8 image without
            ``preprocessing``; NaN or infinite activations.
        FileNotFoundError: a path at which there is nothing.

    Warns:
        UserWarning: files that could not be read (counted and named), fewer images than k.

    Source: Zeiler & Fergus 2014, sections 2.1 and 4.1, figure 2.
    """
    path, _ = hooks.find_layer(model, layer)
    channels = check_channels(channel)
    check_int("k", k)
    check_choice("rule", rule, hooks.RULES)
    convention = None if preprocessing is None else conventions.get(preprocessing)
    source = open_source(images, ImageModel(model, convention, size=size, fit=fit))
    remember_field(model, path, source.shape[:2])  # refuses what has no field before the long pass
    check_projection(model, path, channels, source.shape, rule)
    kept = None
    if journal is not None:
        if not isinstance(source, Files):
            raise ValueError(
                "A journal is for image files, which can be read again. Leave it out for arrays and streams."
            )
        paths = [one for one, _ in hooks.layers(model)]  # they say which layer the settings name
        settings = {"layer": path, "channels": channels, "k": int(k), **source.settings}
        kept = Journal(journal, digest(hooks.digest_model(model), paths, digest_files(source.files), settings))
    search = Search(model, path, channels, int(k), source, batch_size, kept)
    ranking = search.run(progress)
    if source.skipped:
        warnings.warn(f"Skipped: {describe_skipped(source.skipped)}", stacklevel=2)
    if search.seen < k:
        warnings.warn(
            f"There are only {search.seen} images for k={k}, so there are {search.seen} exemplars.", stacklevel=2
        )
    geometry = remember_field(model, path, source.shape[:2])
    results = reconstruct(model, path, channels, ranking, source, geometry, rule, progress=progress, seen=search.seen)
    if kept:
        kept.remove()
    return results[0] if isinstance(channel, (int, np.integer)) else results


def check_channels(channel: int | Sequence[int]) -> list[int]:
    """Return one or several channel numbers as a list, or say what is wrong with them."""
    array = np.atleast_1d(np.asarray(channel))
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "iu":
        raise TypeError(f"channel is a whole number, or a sequence of them. Received: {channel!r}.")
    if array.min() < 0:
        raise ValueError(f"Channels count from 0. Received: {channel!r}.")
    return array.tolist()
