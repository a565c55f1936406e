"""The probe itself: ``model, layers, images, labels -> accuracies by layer``."""

import os
import pathlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from kerasal import hooks
from kerasal import preprocessing as conventions
from kerasal.checks import check_int, check_number
from kerasal.models.image_model import ImageModel
from kerasal.models.image_sources import Array, Files, open_source
from kerasal.names import describe_skipped, unknown_name_message
from kerasal.probe.classifiers import CLASSIFIERS, accuracies, check_counts, draw_splits
from kerasal.probe.coordinates import coordinates
from kerasal.probe.feature_store import FeatureStore, digest_features
from kerasal.probe.layer_features import Features
from kerasal.progress import progress_bar

import keras

_LINES, _MARKS = ("-", "--", ":", "-."), "os^Dv"
COLUMNS = ("layer", "features", "classifier", "per_class", "folds", "mean", "std", "test_images")


def layer_probe(
    model: keras.Model,
    layers: Sequence[str],
    images: Any,
    labels: Sequence,
    *,
    per_class: int | Sequence[int] = 15,
    folds: int = 5,
    classifier: Literal["svm", "softmax"] | Sequence[str] = "svm",
    c: float = 10.0,
    pool: int | None = 6,
    preprocessing: str | conventions.Preprocessing | None = None,
    fit: Literal["crop", "stretch"] = "crop",
    size: tuple[int, int] | None = None,
    cache: str | os.PathLike | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Measure how well a linear classifier reads the classes off the frozen features of layers.

    The images pass through the model once, whatever the number of layers. In each fold ``per_class`` images of every
    class, drawn at random, train the classifier, and all others test it; the folds are the same for all layers. A score
    is the mean over the classes of the share of their test images that is recognized.

    The features of an image are the layer's output. They are centered on the training images and divided by one number,
    so that their mean square is 1, which makes ``c`` comparable between layers; no feature is stretched. So only their
    inner products count, and layers of any length are probed exactly, in memory for the images' inner products (N, N)
    and one block of images.

    Args:
        model: any built Keras model with one image input; it is not changed.
        layers: names or paths of layers, at any depth.
        images: a list of image files, a folder (all files in it, sorted), or an array: uint8 pixels, or float model
            inputs, preprocessed already.
        labels: one an image, numbers or names.
        per_class: training images of each class; several numbers give several rows.
        folds: random draws.
        classifier: ``"svm"`` (one against all, squared hinge) or ``"softmax"`` (multinomial logistic regression), or
            both; the squared norm of their weights is penalized.
        c: weight of the classification errors against that penalty.
        pool: maps are averaged to at most ``pool`` × ``pool`` cells before they are kept (a map smaller than that is
            kept whole, and 1 is the mean); ``None`` keeps every value. What is over 2 GiB is kept on the disk until the
            probe is done, with a warning.
        preprocessing: the model's pixel convention, for files and uint8.
        fit: cut pictures to the model's shape (``"crop"``, the center), or ``"stretch"`` them.
        size: (height, width) for a model that takes any; 224 × 224 by default.
        cache: a folder in which the features are kept. A pass that was stopped goes on there; the same model, weights,
            layers and images need none. The features of anything else are never taken: the folder is searched by a
            digest of weights, definition, images and settings, and the first image is computed anew and compared.
        seed: of the folds.
        batch_size: images in one forward pass; by default as many as run fast.
        progress: show bars.

    Returns:
        A row for each layer, classifier and number of training images: ``layer``, ``features`` (an image's, after
        pooling), ``classifier``, ``per_class``, ``folds``, ``mean`` and ``std`` of the accuracy over the folds (0..1;
        the standard deviation divides by folds − 1, and is NaN for one fold), ``test_images`` in a fold. ``attrs`` has
        ``classes``, ``chance``, ``images`` and ``skipped``, the files that could not be read.

    Raises:
        ValueError: an unknown layer (the closest are listed); classes too small for ``per_class`` and one test image;
            labels that do not fit; NaN or infinite features; images that can be had only once.

    Warns:
        UserWarning: files that could not be read, which are left out; features that did not fit in memory.

    Source: Zeiler & Fergus 2014, sections 5.2 and 5.3, tables 4 to 7; Alain & Bengio 2016, "Understanding intermediate
        layers using linear classifier probes".
    """
    if isinstance(layers, str) or not len(layers):
        raise ValueError(f"layers is a list of names, one at least. Received: {layers!r}.")
    paths = [hooks.find_layer(model, layer)[0] for layer in layers]
    counts, kinds = _check_options(per_class, folds, classifier, c, pool, seed)
    convention = None if preprocessing is None else conventions.get(preprocessing)
    source = open_source(images, ImageModel(model, convention, size=size, fit=fit))
    if not isinstance(source, (Files, Array)):
        raise ValueError("Expected image files or an array, which fit their labels. Collect the stream first.")
    total = source.total or 0
    given = np.asarray(labels)
    if given.ndim != 1 or len(given) != total or given.dtype.kind not in "iuUS":
        raise ValueError(
            f"labels are {total} whole numbers or names, one an image. Received: {given.dtype} of shape {given.shape}."
        )
    names, codes = np.unique(given, return_inverse=True)
    check_counts(names, codes, counts)  # before the long pass
    features = Features(model, dict.fromkeys(paths), source, pool, _store(cache, source, pool))
    try:
        features.extract(batch_size, progress)
        numbers = features.numbers()
        skipped = [source.name(number) for number in sorted(set(range(total)) - set(numbers.tolist()))]
        if skipped:
            reasons = dict(source.skipped)
            reasoned = [(name, reasons.get(name, "")) for name in skipped]
            warnings.warn(f"Skipped: {describe_skipped(reasoned)}", stacklevel=2)
        codes = codes[numbers]
        check_counts(names, codes, counts)
        drawn = draw_splits(codes, counts, folds, seed)
        rows = _rows(features, codes, drawn, kinds, c, seed, progress)
    finally:
        features.close()
    table = pd.DataFrame(rows, columns=COLUMNS)
    table.attrs = {
        "classes": [str(name) for name in names],
        "chance": 1 / len(names),
        "images": len(numbers),
        "skipped": sorted(set(skipped)),
    }
    return table


def _rows(features: Features, codes, drawn, kinds, c, seed, progress) -> list[tuple]:
    rows = []
    counts = list(dict.fromkeys(split.per_class for split in drawn))
    with progress_bar("Classifiers", len(features.layers) * len(kinds) * len(drawn), progress) as advance:
        for path, layer in features.layers.items():
            sizes = [len(numbers) for numbers in layer.numbers()]
            found = coordinates(layer.read, sizes, layer.length, repr(path))
            for kind in kinds:
                scores = []
                for score in accuracies(kind, found, codes, drawn, c, seed):
                    scores.append(score)
                    advance(1)
                for count in counts:
                    of_count = [one for one, split in zip(scores, drawn, strict=True) if split.per_class == count]
                    spread = np.std(of_count, ddof=1) if len(of_count) > 1 else np.nan
                    tested = next(len(split.test) for split in drawn if split.per_class == count)
                    rows.append((path, layer.length, kind, count, len(of_count), np.mean(of_count), spread, tested))
    return rows


def _check_options(per_class, folds, classifier, c, pool, seed) -> tuple[list[int], list[str]]:
    counts = list(np.atleast_1d(np.asarray(per_class, dtype=object)))
    wholes = [("per_class", count, 1) for count in counts] + [("folds", folds, 1), ("seed", seed, 0)]
    for name, value, least in wholes + ([] if pool is None else [("pool", pool, 1)]):
        check_int(name, value, least)
    if not counts:
        raise ValueError("per_class must be a positive integer, or several, got none.")
    check_number("c", c, above=0)
    kinds = [classifier] if isinstance(classifier, str) else list(classifier)
    for kind in kinds:
        if kind not in CLASSIFIERS:
            raise ValueError(unknown_name_message(kind, CLASSIFIERS, "classifier"))
    return [int(count) for count in dict.fromkeys(counts)], list(dict.fromkeys(kinds))


def _store(cache, source, pool: int | None) -> FeatureStore:
    if cache is None:
        return FeatureStore()
    settings = source.settings | {"pool": pool}
    images = source.files if isinstance(source, Files) else source.images
    return FeatureStore(pathlib.Path(cache) / f"features-{digest_features(source.model.keras_model, images, settings)}")


def draw_probe(tables: pd.DataFrame | Mapping[str, pd.DataFrame], title: str = "") -> Any:
    """Draw the accuracies of one or several probes by layer, with their standard deviations.

    Args:
        tables: what ``layer_probe`` returned; several, by what to call them, all of the same layers.
        title: above the curves.

    Returns:
        A matplotlib ``Figure``; ``savefig`` writes it.
    """
    from matplotlib.figure import Figure

    tables = {"": tables} if isinstance(tables, pd.DataFrame) else dict(tables)
    layers = list(dict.fromkeys(layer for table in tables.values() for layer in table["layer"]))
    figure = Figure(figsize=(max(6.0, 1.0 + 0.9 * len(layers)), 4.2), layout="constrained")
    axes = figure.subplots()
    for number, (name, table) in enumerate(tables.items()):
        lines: Any = table.groupby(["classifier", "per_class"], sort=False)
        for i, ((kind, count), rows) in enumerate(lines):
            style: Any = {"linestyle": _LINES[i % len(_LINES)], "marker": _MARKS[i % len(_MARKS)]}
            label = ", ".join(part for part in (name, kind, f"{count} a class") if part)
            places = [layers.index(layer) for layer in rows["layer"]]
            spread = rows["std"].fillna(0)
            axes.errorbar(places, rows["mean"], spread, label=label, color=f"C{number}", capsize=3, **style)
    chance = {table.attrs["chance"] for table in tables.values() if "chance" in table.attrs}
    if len(chance) == 1:
        level = chance.pop()
        axes.axhline(level, color="0.6", linewidth=1)
        axes.annotate("chance", (0.01, level), xycoords=("axes fraction", "data"), va="bottom")
    axes.set_xticks(range(len(layers)), layers, rotation=30, ha="right")
    axes.set(ylim=(0, 1.02), ylabel="accuracy of the classifier", title=title)
    axes.legend(fontsize=8)
    return figure
