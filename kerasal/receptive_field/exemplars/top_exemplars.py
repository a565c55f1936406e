"""Top exemplars: the images that excite a channel most, the patch its unit saw, and what of it the unit responds to."""

import os
import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from kerasal import hooks
from kerasal.checks import check_choice, check_int
from kerasal.models.image_model import ImageModel
from kerasal.models.image_sources import Files, ImageSource, open_source
from kerasal.names import describe_skipped
from kerasal.preprocessing import Preprocessing
from kerasal.receptive_field.exemplars.exemplar_search import Search
from kerasal.receptive_field.exemplars.projection import check_projection
from kerasal.receptive_field.exemplars.ranked_units import Journal, digest_search
from kerasal.receptive_field.exemplars.reconstruction import Exemplars, reconstruct
from kerasal.receptive_field.geometry.field_geometry import remember_field

import keras


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
    channels = checked_channels(channel)
    check_int("k", k)
    check_choice("rule", rule, hooks.RULES)
    source = open_source(images, ImageModel(model, preprocessing, size=size, fit=fit))
    remember_field(model, path, source.shape[:2])  # refuses what has no field before the long pass
    check_projection(model, path, channels, source.shape, rule)
    kept = None
    if journal is not None:
        kept = Journal(journal, _digest(source, layer=path, channels=channels, k=int(k)))
    search = Search(model, path, channels, int(k), source, batch_size, kept)
    ranking = search.run(progress)
    _warn(source, search.seen, k)
    geometry = remember_field(model, path, source.shape[:2])
    results = reconstruct(model, path, channels, ranking, source, geometry, rule, progress=progress, seen=search.seen)
    if kept:
        kept.remove()
    return results[0] if isinstance(channel, (int, np.integer)) else results


def checked_channels(channel: int | Sequence[int]) -> list[int]:
    """Return one or several channel numbers as a list, or say what is wrong with them."""
    array = np.atleast_1d(np.asarray(channel))
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "iu":
        raise TypeError(f"channel is a whole number, or a sequence of them. Received: {channel!r}.")
    if array.min() < 0:
        raise ValueError(f"Channels count from 0. Received: {channel!r}.")
    return array.tolist()


def _digest(source: ImageSource, **settings) -> str:
    if not isinstance(source, Files):
        raise ValueError("A journal is for image files, which can be read again. Leave it out for arrays and streams.")
    return digest_search(source.model.keras_model, source.files, settings | source.settings)


def _warn(source: ImageSource, seen: int, k: int) -> None:
    if source.skipped:
        warnings.warn(f"Skipped: {describe_skipped(source.skipped)}", stacklevel=3)
    if seen < k:
        warnings.warn(f"There are only {seen} images for k={k}, so there are {seen} exemplars.", stacklevel=3)
