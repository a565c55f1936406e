"""Score the saliency maps of a set of images."""

import array
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from kerasal.metrics._fixations import Fixations, as_fixations, ground_truth_shape
from kerasal.metrics._maps import as_map_array, check_resize
from kerasal.metrics.blur import MeanMap, sigma_in_pixels
from kerasal.metrics.definitions import resolve_metrics
from kerasal.metrics.image_scorer import Scorer, check_baselines, sample_other_fixations

_END = object()
_ASSUMED_SHAPE = (
    "The baseline mean and the shuffled AUC need all fixations before the maps are read, so every map was assumed to "
    'have the shape {first} of the first map. Pass maps of different sizes as a list, or baselines=("center",) and '
    "other_fixations."
)


def evaluate(
    maps: Iterable,
    fixations: Iterable,
    densities: Iterable | None = None,
    *,
    metrics: str | Iterable[str] | Mapping[str, Any] | None = None,
    other_fixations: ArrayLike | Iterable | None = None,
    baselines: Sequence[str] = ("center", "mean"),
    names: Iterable[str] | None = None,
    sigma: float | str | None = None,
    resize: str | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Score saliency maps against fixations and return a table with one row per image.

    Each argument with a value per image may be a list, an array or an iterator. Maps are not kept in memory. Fixations
    are kept (eight bytes per fixated pixel) only for metrics that need other images: the baseline ``"mean"``, and the
    shuffled AUC without ``other_fixations``.

    Args:
        maps: maps (H, W).
        fixations: fixation maps (H, W), or coordinates (x, y) of shape (n, 2).
        densities: densities (H, W) for cc, similarity, kld and emd; alternatively set ``sigma``.
        metrics: names of metrics, a preset (``"mit"``, ``"tuebingen"``, ``"salicon"``), or a dictionary from column to
            (name, options). ``None`` selects the metrics of ``"mit"`` that the other arguments allow.
        other_fixations: fixations of other images for the shuffled AUC: an array for all images, or a sequence with
            a value per image. By default the fixations of ten random other images, as at MIT.
        baselines: baselines to score as well, in columns ``center_...`` and ``mean_...``; see ``BASELINES``.
        names: names of the images, the index of the table.
        sigma: standard deviation in pixels, or a key of ``SIGMAS``, to blur the fixations to densities; ignored if
            ``densities`` are passed.
        resize: ``"matlab"`` allows maps whose size differs from that of the fixation maps.
        seed: seed for drawing other images.

    Returns:
        A DataFrame with a column per metric and baseline. ``attrs["definitions"]`` maps each column to its
        definition.

    Raises:
        ValueError: invalid input (the error names the argument and the image), arguments of different lengths, or
            unknown names.
    """
    check_resize(resize)
    width = None if sigma is None else sigma_in_pixels(sigma)
    available = {"fixations", "baseline", "others"} | (
        {"density"} if densities is not None or sigma is not None else set()
    )
    scorer = Scorer(
        resolve_metrics(metrics, available), check_baselines(baselines), width if densities is None else None, resize
    )
    shapes = (
        [tuple(np.shape(saliency_map)[:2]) for saliency_map in maps]
        if isinstance(maps, list | tuple | np.ndarray)
        else []
    )
    if isinstance(maps, np.ndarray) and maps.ndim == 2:
        raise ValueError(f"maps must have one map per image, got a single map of shape {maps.shape}. Pass [map].")
    iterator = iter(maps)
    first = next(iterator, _END)
    if first is _END:
        raise ValueError("maps must have at least one map, got none.")
    all_fixations, mean, assumed = None, None, set()
    need_pool = other_fixations is None and any("others" in metric.needs for metric in scorer.metrics.values())
    if "mean" in scorer.baselines or need_pool:
        first_shape = as_map_array(first, "saliency_map").shape
        all_fixations, assumed = _read_all_fixations(fixations, first_shape, shapes, names)
        fixations = all_fixations
        mean = MeanMap(all_fixations)
        if len(all_fixations) < 2:
            if need_pool and metrics is not None:
                raise ValueError(
                    "other_fixations must have the fixations of other images for the shuffled AUC of a single image, "
                    "got None. Pass them, or leave the shuffled AUC out of metrics."
                )
            scorer = scorer.without_others() if need_pool else scorer.without_mean()
    index, values = [], array.array("d")  # compact for many images
    stream = itertools.chain([first], iterator)
    for position, name, saliency_map, fixated, density, pool in _iterate_images(
        stream, fixations, densities, other_fixations, names
    ):
        if position in assumed and tuple(np.shape(saliency_map)[:2]) != fixated.shape:
            raise ValueError(
                f"maps of image {name!r} must have the shape {fixated.shape} of the first map, "
                f"got {tuple(np.shape(saliency_map)[:2])}. {_ASSUMED_SHAPE.format(first=fixated.shape)}"
            )
        others = (
            sample_other_fixations(all_fixations, position, seed)
            if pool is None and all_fixations is not None
            else pool
        )
        values.extend(scorer.score(saliency_map, fixated, density, others=others, mean=mean, name=name).values())
        index.append(name)
    rows = np.array(values).reshape(len(index), -1)
    table = pd.DataFrame(rows, index=pd.Index(index, name="image"), columns=list(scorer.columns))
    table.attrs = {"definitions": scorer.columns, "seed": seed}
    return table


def _read_all_fixations(
    fixations: Iterable, first: tuple[int, int], shapes: list, names
) -> tuple[list[Fixations], set[int]]:
    """Return the fixations of all images, and the positions of those whose map shape is assumed.

    Coordinates need the shape of their map. If the maps come from an iterator, ``shapes`` is empty, and all maps are
    assumed to have the shape of the ``first``.
    """
    known_names = list(names) if isinstance(names, Sequence) else None
    all_fixations, assumed = [], set()
    for position, value in enumerate(fixations):
        name = str(known_names[position]) if known_names is not None and position < len(known_names) else str(position)
        shape = shapes[position] if position < len(shapes) and len(shapes[position]) == 2 else first
        own_shape = ground_truth_shape(value) if np.shape(value) != shape else shape
        try:
            all_fixations.append(as_fixations(value, own_shape or shape, "fixations", name))
        except ValueError as error:
            if own_shape is None and not shapes and np.size(value):
                raise ValueError(f"{error} {_ASSUMED_SHAPE.format(first=first)}") from error
            raise
        if own_shape is None and not shapes:
            assumed.add(position)
    return all_fixations, assumed


def _iterate_images(maps, fixations, densities, other_fixations, names) -> Iterator[tuple]:
    """Yield the values of each image; raise an error that names the first argument to end before the others."""
    shared = other_fixations is None or (isinstance(other_fixations, np.ndarray) and other_fixations.ndim == 2)
    sources = {"maps": maps, "fixations": fixations}
    sources |= {} if densities is None else {"densities": densities}
    sources |= {} if shared else {"other_fixations": other_fixations}
    sources |= {} if names is None else {"names": names}
    for position, row in enumerate(itertools.zip_longest(*sources.values(), fillvalue=_END)):
        values = dict(zip(sources, row, strict=True))
        ended = [argument for argument, value in values.items() if value is _END]
        if ended:
            longer = next(argument for argument in values if argument not in ended)
            raise ValueError(f"{ended[0]} must have as many values as {longer}, got {position}.")
        name = str(values.get("names", position))
        pool = other_fixations if shared else values["other_fixations"]
        yield position, name, values["maps"], values["fixations"], values.get("densities"), pool
