"""Score a set of images into a table."""

import array
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kerasal.metrics._fixations import Fixations, fixations_of, ground_truth_shape
from kerasal.metrics._maps import array_of, check_resize
from kerasal.metrics.baselines import MeanMap
from kerasal.metrics.blur import sigma_of
from kerasal.metrics.definitions import resolve
from kerasal.metrics.image_scorer import Scorer, check_baselines, pool_of

_END = object()
_LIKE_THE_FIRST = (
    "The baseline mean and the shuffled AUC need all fixations before the maps are read, so coordinates were taken to "
    "be of maps like the first, {first}. Pass maps of several sizes as a list, or "
    'baselines=("center",) and other_fixations.'
)


def evaluate(
    maps: Iterable,
    fixations: Iterable,
    densities: Iterable | None = None,
    *,
    metrics: str | Iterable[str] | Mapping[str, Any] | None = None,
    other_fixations=None,
    baselines: Sequence[str] = ("center", "mean"),
    names: Iterable[str] | None = None,
    sigma: float | str | None = None,
    resize: str | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Score saliency maps against fixations: a table with one row an image.

    Every argument may be a list, an array or an iterator, read in step; no map is kept. The coordinates of all
    fixations are kept (eight bytes a fixated pixel) only where the definition needs other images: the baseline
    ``"mean"``, and the shuffled AUC without ``other_fixations``.

    Args:
        maps: (H, W) each.
        fixations: a map or (n, 2) coordinates each.
        densities: (H, W) each, for cc, similarity, kld and emd; or give ``sigma``.
        metrics: names, a preset (``"mit"``, ``"tuebingen"``, ``"salicon"``), or column -> (name, options). ``None`` is
            ``"mit"`` as far as the input allows.
        other_fixations: the pool of the shuffled AUC: one for all images (an array), or one for each. By default ten
            random other images, as at MIT.
        baselines: scored like the maps, in columns ``center_...`` and ``mean_...``; see ``BASELINES``.
        names: of the images, the table's index.
        sigma: blur the fixations by so many pixels, or by a name of ``SIGMAS``, where ``densities`` is not given.
        resize: ``"matlab"`` allows maps of another size than the fixation maps.
        seed: of the choice of other images.

    Returns:
        A DataFrame. ``attrs["definitions"]`` says what every column is.

    Raises:
        ValueError: bad input (the message names argument and image), arguments of different lengths, unknown names.
    """
    check_resize(resize)
    width = None if sigma is None else sigma_of(sigma)
    available = {"fixations", "baseline", "others"} | (
        {"density"} if densities is not None or sigma is not None else set()
    )
    scorer = Scorer(
        resolve(metrics, available), check_baselines(baselines), width if densities is None else None, resize
    )
    shuffled = any("others" in metric.needs for metric in scorer.metrics.values())
    shapes = [tuple(np.shape(one)[:2]) for one in maps] if isinstance(maps, list | tuple | np.ndarray) else []
    maps, first = _peek(maps)
    everyone, mean, guessed = None, None, set()
    if "mean" in scorer.baselines or (shuffled and other_fixations is None):
        first_shape = array_of(first, "saliency_map").shape
        everyone, guessed = _all_fixations(fixations, first_shape, shapes, names)
        fixations = everyone
        scorer, mean = _with_others(scorer, everyone, metrics, shuffled and other_fixations is None)
    index, values = [], array.array("d")  # eight bytes a number: ten thousand images stay small
    for position, name, one_map, fixated, density, other in _in_step(
        maps, fixations, densities, other_fixations, names
    ):
        if position in guessed and tuple(np.shape(one_map)[:2]) != fixated.shape:
            raise ValueError(
                f"maps of image {name!r}: expected the first one's shape {fixated.shape}, "
                f"received {tuple(np.shape(one_map)[:2])}. {_LIKE_THE_FIRST.format(first=fixated.shape)}"
            )
        others = pool_of(everyone, position, seed) if other is None and everyone is not None else _constant(other)
        values.extend(scorer.score(one_map, fixated, density, others=others, mean=mean, name=name).values())
        index.append(name)
    rows = np.array(values).reshape(len(index), -1)
    table = pd.DataFrame(rows, index=pd.Index(index, name="image"), columns=list(scorer.columns))
    table.attrs = {"definitions": scorer.columns, "seed": seed}
    return table


def _with_others(scorer: Scorer, everyone: list[Fixations], metrics, need_pool: bool) -> tuple[Scorer, MeanMap | None]:
    """Gather the mean map, and see to the case of a single image, which has no others."""
    mean = MeanMap(everyone)
    if len(everyone) > 1:
        return scorer, mean
    if need_pool and metrics is not None:
        raise ValueError("other_fixations: the shuffled AUC of a single image needs fixations of others; pass them.")
    if need_pool:
        return scorer.without_others(), None
    return scorer.without_mean(), None


def _peek(maps: Iterable) -> tuple[Iterator, Any]:
    if isinstance(maps, np.ndarray) and maps.ndim == 2:
        raise ValueError(f"maps: expected one map an image, received a single one of shape {maps.shape}. Pass [map].")
    iterator = iter(maps)
    first = next(iterator, _END)
    if first is _END:
        raise ValueError("maps: expected at least one map, received none.")
    return itertools.chain([first], iterator), first


def _all_fixations(
    fixations: Iterable, first: tuple[int, int], shapes: list, names
) -> tuple[list[Fixations], set[int]]:
    """Read the fixations of all images before the maps; coordinates belong to a map of its shape in ``shapes``.

    Where maps come from an iterator, none is known but the ``first``, which the others are taken to be like: their
    positions are returned too.
    """
    known = list(names) if isinstance(names, Sequence) else None
    found, guessed = [], set()
    for position, value in enumerate(fixations):
        name = str(known[position]) if known is not None and position < len(known) else str(position)
        shape = shapes[position] if position < len(shapes) and len(shapes[position]) == 2 else first
        own = ground_truth_shape(value) if np.shape(value) != shape else shape
        try:
            found.append(fixations_of(value, own or shape, "fixations", name))
        except ValueError as error:
            if own is None and not shapes and np.size(value):
                raise ValueError(f"{error} {_LIKE_THE_FIRST.format(first=first)}") from error
            raise
        if own is None and not shapes:
            guessed.add(position)
    return found, guessed


def _in_step(maps, fixations, densities, other_fixations, names) -> Iterator[tuple]:
    """Read one image after the other; whichever argument ends before the others is named."""
    shared = other_fixations is None or (isinstance(other_fixations, np.ndarray) and other_fixations.ndim == 2)
    sources = {"maps": maps, "fixations": fixations}
    sources |= {} if densities is None else {"densities": densities}
    sources |= {} if shared else {"other_fixations": other_fixations}
    sources |= {} if names is None else {"names": names}
    iterators = {argument: iter(source) for argument, source in sources.items()}
    for position in itertools.count():
        values = {argument: next(iterator, _END) for argument, iterator in iterators.items()}
        ended = [argument for argument, value in values.items() if value is _END]
        if len(ended) == len(values):
            return
        if ended:
            longer = next(argument for argument in values if argument not in ended)
            raise ValueError(f"{ended[0]}: expected as many as {longer}, received {position}.")
        name = str(values.get("names", position))
        other = other_fixations if shared else values["other_fixations"]
        yield position, name, values["maps"], values["fixations"], values.get("densities"), other


def _constant(value) -> Callable:
    return lambda shape: value
