"""``layer_probe``: the accuracies of linear classifiers on the features of layers, and their chart."""

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

_LINE_STYLES, _MARKERS = ("-", "--", ":", "-."), "os^Dv"
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
    """Return the accuracies of linear classifiers trained on the frozen features of layers.

    The model runs on the images once for all layers. In each fold a classifier is trained on ``per_class`` random
    images of every class and tested on all others; the folds are the same for all layers. The accuracy is the mean over
    classes of the share of correctly classified test images.

    The features of an image are the layer's output. They are centered on the training images and divided by a constant,
    so that their mean squared length is 1. This makes ``c`` comparable between layers and keeps the relative scale of
    all features. The classifier depends on the features only through their inner products, so that layers of any size
    are probed exactly with memory for the inner products (N, N) of N images and a block of features.

    Args:
        model: any built Keras model with a single image input; it is not changed.
        layers: names or paths of layers, also within nested models.
        images: a list of image files, a folder (searched recursively, sorted by path), or an array of uint8 pixels or
            preprocessed float model inputs.
        labels: class of each image, as integers or names.
        per_class: number of training images per class, or a sequence of numbers for several rows.
        folds: number of random splits into training and test images.
        classifier: ``"svm"`` (one-vs-rest, squared hinge loss), ``"softmax"`` (multinomial logistic regression), or a
            sequence of both; both have an L2 penalty.
        c: weight of the classification loss relative to the penalty, above 0; ``C`` of scikit-learn.
        pool: maps are averaged to at most ``pool`` × ``pool`` cells; smaller maps are not changed, and 1 is global
            average pooling. ``None`` keeps every value. Features over 2 GiB are stored in a temporary folder, with a
            warning.
        preprocessing: the model's pixel convention, for files and uint8 arrays.
        fit: how images are fitted to the model's input size: ``"crop"`` around the center, or ``"stretch"``.
        size: (height, width) of the input for a model that takes any size; 224 × 224 by default.
        cache: folder in which features are stored. An interrupted pass resumes from it, and features for the same
            model, weights, layers and images are reused. The features are stored under a digest of architecture,
            weights, images and settings, and the features of the first image are computed again for comparison.
        seed: seed of the random splits.
        batch_size: number of images per forward pass; by default it depends on the size of the images.
        progress: show progress bars.

    Returns:
        A frame with one row per layer, classifier and number of training images, and the columns ``layer``,
        ``features`` (per image, after pooling), ``classifier``, ``per_class``, ``folds``, ``mean`` and ``std`` of the
        accuracy over the folds (0..1; the sample standard deviation, NaN for a single fold), and ``test_images`` (per
        fold). Its ``attrs`` hold ``classes`` (names), ``chance`` (1 / number of classes), ``images`` (number of
        readable images) and ``skipped`` (unreadable files).

    Raises:
        ValueError: if a layer is unknown, a class has too few images for ``per_class`` and a test image, the labels do
            not fit the images, features are NaN or infinite, or the images are an iterable that can be read only once.

    Warns:
        UserWarning: if files are unreadable, which are skipped, or if the features do not fit in memory.

    Source: Zeiler & Fergus 2014, sections 5.2 and 5.3, tables 4 to 7; Alain & Bengio 2016, "Understanding intermediate
        layers using linear classifier probes".
    """
    if isinstance(layers, str) or not len(layers):
        raise ValueError(f"layers must be a non-empty list of layer names, got {layers!r}.")
    paths = [hooks.find_layer(model, layer)[0] for layer in layers]
    counts, kinds = _check_options(per_class, folds, classifier, c, pool, seed)
    convention = None if preprocessing is None else conventions.get(preprocessing)
    source = open_source(images, ImageModel(model, convention, size=size, fit=fit))
    if not isinstance(source, (Files, Array)):
        raise ValueError("images must be files or an array, got a stream. Collect its images in an array first.")
    total = source.total or 0
    label_array = np.asarray(labels)
    if label_array.ndim != 1 or len(label_array) != total or label_array.dtype.kind not in "iuUS":
        raise ValueError(
            f"labels must be {total} integers or names, one per image, got {label_array.dtype} of shape "
            f"{label_array.shape}."
        )
    names, codes = np.unique(label_array, return_inverse=True)
    check_counts(names, codes, counts)  # before the long pass over the images
    features = Features(model, dict.fromkeys(paths), source, pool, _open_store(cache, source, pool))
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
        splits = draw_splits(codes, counts, folds, seed)
        rows = _score_layers(features, codes, splits, kinds, c, seed, progress)
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


def _score_layers(features: Features, codes, splits, kinds, c, seed, progress) -> list[tuple]:
    rows = []
    counts = list(dict.fromkeys(split.per_class for split in splits))
    with progress_bar("Classifiers", len(features.layers) * len(kinds) * len(splits), progress) as advance:
        for path, layer in features.layers.items():
            sizes = [len(numbers) for numbers in layer.numbers()]
            inputs = coordinates(layer.read, sizes, layer.length, repr(path))
            for kind in kinds:
                scores = []
                for score in accuracies(kind, inputs, codes, splits, c, seed):
                    scores.append(score)
                    advance(1)
                for count in counts:
                    fold_scores = [
                        score for score, split in zip(scores, splits, strict=True) if split.per_class == count
                    ]
                    std = np.std(fold_scores, ddof=1) if len(fold_scores) > 1 else np.nan
                    n_test = next(len(split.test) for split in splits if split.per_class == count)
                    rows.append((path, layer.length, kind, count, len(fold_scores), np.mean(fold_scores), std, n_test))
    return rows


def _check_options(per_class, folds, classifier, c, pool, seed) -> tuple[list[int], list[str]]:
    counts = list(np.atleast_1d(np.asarray(per_class, dtype=object)))
    integers = [("per_class", count, 1) for count in counts] + [("folds", folds, 1), ("seed", seed, 0)]
    for name, value, minimum in integers + ([] if pool is None else [("pool", pool, 1)]):
        check_int(name, value, minimum)
    if not counts:
        raise ValueError("per_class must be a positive integer or a sequence of them, got an empty sequence.")
    check_number("c", c, above=0)
    kinds = [classifier] if isinstance(classifier, str) else list(classifier)
    for kind in kinds:
        if kind not in CLASSIFIERS:
            raise ValueError(unknown_name_message(kind, CLASSIFIERS, "classifier"))
    return [int(count) for count in dict.fromkeys(counts)], list(dict.fromkeys(kinds))


def _open_store(cache, source, pool: int | None) -> FeatureStore:
    if cache is None:
        return FeatureStore()
    settings = source.settings | {"pool": pool}
    images = source.files if isinstance(source, Files) else source.images
    return FeatureStore(pathlib.Path(cache) / f"features-{digest_features(source.model.keras_model, images, settings)}")


def draw_probe(tables: pd.DataFrame | Mapping[str, pd.DataFrame], title: str = "") -> Any:
    """Return a chart of the accuracies of probes by layer, with the standard deviations as error bars.

    Args:
        tables: result of ``layer_probe``, or a dictionary from label to result for several probes of the same layers.
        title: title of the chart.

    Returns:
        A matplotlib ``Figure``, which ``savefig`` writes to a file.
    """
    from matplotlib.figure import Figure

    tables = {"": tables} if isinstance(tables, pd.DataFrame) else dict(tables)
    layers = list(dict.fromkeys(layer for table in tables.values() for layer in table["layer"]))
    figure = Figure(figsize=(max(6.0, 1.0 + 0.9 * len(layers)), 4.2), layout="constrained")
    axes = figure.subplots()
    for number, (name, table) in enumerate(tables.items()):
        lines: Any = table.groupby(["classifier", "per_class"], sort=False)
        for i, ((kind, count), rows) in enumerate(lines):
            style: Any = {"linestyle": _LINE_STYLES[i % len(_LINE_STYLES)], "marker": _MARKERS[i % len(_MARKERS)]}
            label = ", ".join(part for part in (name, kind, f"{count} training images per class") if part)
            positions = [layers.index(layer) for layer in rows["layer"]]
            deviations = rows["std"].fillna(0)
            axes.errorbar(positions, rows["mean"], deviations, label=label, color=f"C{number}", capsize=3, **style)
    chance = {table.attrs["chance"] for table in tables.values() if "chance" in table.attrs}
    if len(chance) == 1:
        level = chance.pop()
        axes.axhline(level, color="0.6", linewidth=1)
        axes.annotate("chance", (0.01, level), xycoords=("axes fraction", "data"), va="bottom")
    axes.set_xticks(range(len(layers)), layers, rotation=30, ha="right")
    axes.set(ylim=(0, 1.02), ylabel="test accuracy (mean over classes)", title=title)
    axes.legend(fontsize=8)
    return figure
