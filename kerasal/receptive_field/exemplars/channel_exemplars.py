"""Top exemplars: the images that activate a channel most, with the patch its unit saw and a reconstruction."""

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
from kerasal.hooks.image_shapes import input_layout
from kerasal.hooks.model_inputs import chunk_size
from kerasal.models.image_model import ImageModel
from kerasal.models.image_sources import Files, ImageSource, open_source
from kerasal.models.input_sources import open_inputs
from kerasal.names import describe_skipped
from kerasal.preprocessing import Preprocessing
from kerasal.progress import progress_bar
from kerasal.receptive_field.exemplars.exemplar_patches import cut_patch, find_geometry
from kerasal.receptive_field.exemplars.exemplar_search import Journal, Ranking, Search
from kerasal.receptive_field.exemplars.projection import check_projection, project
from kerasal.receptive_field.geometry.field_geometry import Field, InputField

import keras

# Chunks of this many times more images than `chunk_size` allows: faster for small models, and large ones still fit.
_CHUNK_FACTOR = 3


@dataclasses.dataclass(frozen=True, eq=False)
class Exemplars:
    """The k images that activate a channel most, strongest first; fewer if there are fewer images.

    For signals (T, C) and volumes (D, H, W, C), a position has a number per axis, and a box the first position along
    every axis, then the ends. ``crops`` are then float32 values of the inputs, NaN outside.

    Attributes:
        layer: path of the layer.
        channel: index of the channel.
        activations: float32 (k,), the activation of each image's strongest unit, in descending order.
        names: k file paths, or indices in the array or stream.
        numbers: int (k,), indices of the images in the order of the source (unreadable files count).
        positions: int (k, 2), position (x, y) of the strongest unit on the layer's map.
        boxes: int (k, 4), receptive field (x_min, y_min, x_max, y_max) of the unit in pixels of the model's input; it
            may extend outside the image.
        crops: uint8 (k, h, w, 3), the patch that the unit saw, cropped from the image at the model's input size before
            preprocessing; middle gray outside the image. Along an axis on which the field is at least as long as the
            image, the patch spans the image.
        reconstructions: float32 (k, h, w, C), the unit's activation projected back to the input, cropped to the same
            patch; zero outside the image.
        seen: number of images searched.
        skipped: (name, reason) of each unreadable file.
        preprocessing: pixel convention of the reconstructions, or None.
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
    geometry: Field | InputField,
    rule: str,
    *,
    seen: int,
    progress: bool = False,
) -> list[Exemplars]:
    """Return the exemplars of each channel: the ranked images with their patches and reconstructions.

    ``channels`` and the rows of ``ranking`` correspond; ``geometry`` is the receptive field of the layer.
    """
    count = int((ranking.numbers[0] >= 0).sum())
    wanted = sorted((int(ranking.numbers[i, j]), i, j) for i in range(len(channels)) for j in range(count))
    fields: dict[tuple[int, int], dict[str, Any]] = {}
    with progress_bar("Reconstructing", len(wanted), progress) as advance:
        for part, inputs in _read_chunks(wanted, source):
            projected, _, positions = project(model, layer, [channels[i] for _, i, _ in part], inputs, rule)
            for (_, i, j), reconstruction, position, image in zip(part, projected, positions, inputs, strict=True):
                fields[i, j] = cut_patch(geometry, position, source.model.picture(image), reconstruction)
            advance(len(part))
    return [
        Exemplars(
            layer=layer,
            channel=channel,
            activations=ranking.values[i, :count],
            names=[source.name(number) for number in ranking.numbers[i, :count]],
            numbers=ranking.numbers[i, :count],
            **{name: np.stack([fields[i, j][name] for j in range(count)]) for name in fields[0, 0]},
            seen=seen,
            skipped=source.skipped,
            preprocessing=source.model.preprocessing,
        )
        for i, channel in enumerate(channels)
    ]


def _read_chunks(wanted: list[tuple[int, int, int]], source: ImageSource) -> Iterator[tuple[list, np.ndarray]]:
    """Yield chunks of ``wanted``, which is sorted so that each image is read once, with their inputs (n, H, W, C)."""
    values = max(1, int(np.prod(source.shape)) // _CHUNK_FACTOR)
    size = chunk_size([np.broadcast_to(0.0, (1, values))])
    images = source.reload_inputs(list(dict.fromkeys(number for number, _, _ in wanted)))
    current, image = -1, np.empty(0)
    for start in range(0, len(wanted), size):
        part, inputs = wanted[start : start + size], []
        for number, _, _ in part:
            if number != current:
                current, image = number, next(images)
            inputs.append(image)
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
    """Return the k images that activate a channel most, with the patch and the reconstruction of its strongest unit.

    An image is ranked by the strongest unit of the channel. The activation of that unit alone is projected back to
    pixels, with every other unit of the layer set to zero: by unpooling with the switches of the image, rectification,
    and transposed filters. The images are read once for all channels, and only the k best are kept in memory.

    Signals (N, T, C), volumes and videos (N, D, H, W, C) with channels last work in the same way, as arrays of model
    inputs: a patch is the part of the signal or volume that the unit saw.

    Args:
        model: any built Keras model with a single input of images, signals or volumes; it is not changed.
        layer: name or path of a layer with a map (N, h, w, C), or (N, t, C) or (N, d, h, w, C).
        channel: index of a channel, or a sequence of indices; all channels share a single pass over the images.
        images: path of a folder (searched recursively) or file, or a list of paths; an array; or an iterable of arrays,
            such as a ``tf.data.Dataset`` of batches or of (batch, labels). uint8 arrays are pixels and may have any
            size; float arrays are preprocessed model inputs.
        k: number of images per channel.
        preprocessing: the model's pixel convention, by name or as ``kerasal.preprocessing.Preprocessing``. Optional for
            float arrays; without it, each crop is scaled from its smallest to its largest value.
        rule: backward rule of the ReLUs; see ``kerasal.hooks.RULES``. A model without ReLUs needs ``"gradient"``.
        fit: how images are fitted to the model's input size: ``"crop"`` around the center, or ``"stretch"``.
        size: (height, width) of the input for a model that takes any size; 224 × 224 by default.
        batch_size: number of images per forward pass; by default it depends on the size of the images.
        journal: path of a file in which the state of the search is saved every 20 seconds and on interruption; for
            image files only. The same call resumes from it, and a finished search removes it.
        progress: show a progress bar.

    Returns:
        ``Exemplars``, or a list of them if ``channel`` is a sequence. With fewer than k images there are fewer
        exemplars, and a warning.

    Raises:
        ValueError: if the layer, channel or rule does not exist, the layer has no map, no image is readable, a uint8
            image comes without ``preprocessing``, or activations are NaN or infinite.
        FileNotFoundError: if a path does not exist.

    Warns:
        UserWarning: if files are unreadable (the warning lists them), or if there are fewer images than k.

    Source: Zeiler & Fergus 2014, sections 2.1 and 4.1, figure 2.
    """
    path, _ = hooks.find_layer(model, layer)
    channels = check_channels(channel)
    check_int("k", k)
    check_choice("rule", rule, hooks.RULES)
    layout = input_layout(model)
    if layout.is_image:
        convention = None if preprocessing is None else conventions.get(preprocessing)
        source = open_source(images, ImageModel(model, convention, size=size, fit=fit))
    elif preprocessing is not None or size is not None:
        raise ValueError(f"preprocessing and size must be None for {model.name!r}, which takes no images.")
    else:
        source = open_inputs(images, model, layout)
    geometry = find_geometry(model, path, source)  # raises for a layer without a map before the long pass
    check_projection(model, path, channels, source.shape, rule)
    journal_file = None
    if journal is not None:
        if not isinstance(source, Files):
            raise ValueError(
                "journal must be None for images in memory, since only a search of files can be resumed. Leave it out "
                "for arrays and streams."
            )
        paths = [layer_path for layer_path, _ in hooks.layers(model)]  # the digest of the model has no layer names
        settings = {"layer": path, "channels": channels, "k": int(k), **source.settings}
        journal_file = Journal(journal, digest(hooks.digest_model(model), paths, digest_files(source.files), settings))
    search = Search(model, path, channels, int(k), source, batch_size, journal_file)
    ranking = search.run(progress)
    if source.skipped:
        warnings.warn(f"Skipped: {describe_skipped(source.skipped)}", stacklevel=2)
    if search.seen < k:
        warnings.warn(
            f"There are only {search.seen} images for k={k}, so each channel has {search.seen} exemplars.", stacklevel=2
        )
    results = reconstruct(model, path, channels, ranking, source, geometry, rule, progress=progress, seen=search.seen)
    if journal_file:
        journal_file.remove()
    return results[0] if isinstance(channel, (int, np.integer)) else results


def check_channels(channel: int | Sequence[int]) -> list[int]:
    """Return a channel index, or a sequence of indices, as a list."""
    array = np.atleast_1d(np.asarray(channel))
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "iu":
        raise TypeError(f"channel must be an integer or a sequence of integers, got {channel!r}.")
    if array.min() < 0:
        raise ValueError(f"channel must not be negative, got {channel!r}. Channels are numbered from 0.")
    return array.tolist()
