"""Stored tokens, averaged predictions and labels of the teacher, for ``gaze_teacher.py``."""

import collections
import functools
import pathlib

import cv2
import numpy as np
import pandas as pd
from dinov2_classifier import PREPROCESSING
from gaze_teacher_model import TAPS
from PIL import Image
from rich.console import Console
from rich.table import Table

import kerasal
from kerasal import gaze, images, metrics, preprocessing
from kerasal.files import atomic_write
from kerasal.images.image_folders import find_files
from kerasal.progress import progress_bar

SIZE = (336, 448)
LABEL_SIZE = (240, 320)
"""Size of the images that are labeled, that of the student."""
COLUMNS = {"nss": "NSS", "cc": "CC", "auc_judd": "AUC", "auc_shuffled": "sAUC", "information_gain": "IG, bits"}
DENSITY_COLUMNS = {"cc": "CC", "kld": "KL divergence, nats"}
_PART = 30


class Tokens:
    """The tokens of all images of a data set and of their mirror images, computed once and stored in files.

    ``take(rows, mirrored)`` returns the tokens of each tap for a batch, float16 (n, tokens, channels).
    """

    def __init__(self, data, teacher, folder: pathlib.Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.images = data.names
        convention = preprocessing.get(PREPROCESSING)
        starts = range(0, len(data), _PART)
        self.parts = [[[folder / f"{start}-{side}-{tap}.npy" for tap in TAPS] for side in (0, 1)] for start in starts]
        with progress_bar(f"tokens of {folder.name}", 2 * len(data)) as advance:
            for start, sides in zip(starts, self.parts, strict=True):
                names = data.names[start : start + _PART]
                for side, paths in enumerate(sides):
                    if not all(path.exists() for path in paths):
                        photos = np.stack([images.resize(data.image(name), SIZE) for name in names])
                        photos = photos[:, :, ::-1] if side else photos
                        for path, values in zip(paths, self._tokens(teacher, convention.apply(photos)), strict=True):
                            with atomic_write(path) as beside, open(beside, "wb") as file:
                                np.save(file, values)
                    advance(len(names))
        self._maps = [[[np.load(path, mmap_mode="r") for path in paths] for paths in sides] for sides in self.parts]

    @staticmethod
    def _tokens(teacher, inputs, batch=5):
        parts = [teacher.lower.predict_on_batch(inputs[i : i + batch]) for i in range(0, len(inputs), batch)]
        return [np.concatenate(values).astype(np.float16) for values in zip(*parts, strict=True)]

    def take(self, rows, mirrored):
        chosen = [self._maps[row // _PART][int(side)] for row, side in zip(rows, mirrored, strict=True)]
        return tuple(
            np.stack([taps[number][row % _PART] for taps, row in zip(chosen, rows, strict=True)]).astype(np.float32)
            for number in range(len(TAPS))
        )


class AveragedPredictor(gaze.Predictor):
    """A predictor that averages the log-densities of several predictors, and of a photo and its mirror image.

    Each predictor has the same weight; its map is enlarged to the size of that of the first.
    """

    def __init__(self, predictors, *, mirrored):
        super().__init__(predictors[0].model, predictors[0].convention)
        self._predictors, self._mirrored = predictors, mirrored

    def raw(self, photographs, batch_size=16):
        for photo in photographs:
            views = [photo, np.ascontiguousarray(photo[:, ::-1])] if self._mirrored else [photo]
            logs = []
            for predictor in self._predictors:
                plain, *others = predictor.raw(views, batch_size)
                for values in (plain, *(other[:, ::-1] for other in others)):
                    values = np.log(values / values.sum())
                    size = logs[0].shape[::-1] if logs else values.shape[::-1]
                    logs.append(cv2.resize(values, size, interpolation=cv2.INTER_LINEAR))
            mean = np.mean(logs, axis=0)
            yield np.exp(mean - mean.max())


def package_predictor():
    """Return the predictor of the package's own model with its first weights."""
    return gaze.Predictor(kerasal.create_model("gaze", "kerasal"), kerasal.model_spec("gaze").preprocessing)


def print_scores(title, predictors, data):
    """Print the means of ``gaze.evaluate`` and their differences from the last predictor on the same images.

    Behind each mean is half the width of its 95 % interval over the images.
    """
    scores = {
        name: gaze.evaluate(predictor, data, baselines=(), progress=True)[list(COLUMNS)].astype(float)
        for name, predictor in predictors.items()
    }
    _print_tables(title, scores, COLUMNS)


def print_distances(title, predictors, data):
    """Print CC and KL divergence of predictions from the densities of ``data``, which needs no fixations, likewise."""
    scores = {}
    for name, predictor in predictors.items():
        predictions = gaze.predict_many((data.image(image) for image in data.names), predictor)
        pairs = [(found.map, data.density(image)) for found, image in zip(predictions, data.names, strict=True)]
        values = [{"cc": metrics.cc(*pair), "kld": metrics.kld(*pair)} for pair in pairs]
        scores[name] = pd.DataFrame(values, index=data.names)
    _print_tables(title, scores, DENSITY_COLUMNS)


def _print_tables(title, scores, columns):
    *others, last = scores
    _print_table(f"{title}, {len(scores[last])}", scores, columns)
    if others:
        _print_table(f"difference from {last}", {name: scores[name] - scores[last] for name in others}, columns)


def _print_table(title, scores, columns):
    table = Table("", *columns.values(), title=title)
    for name, values in scores.items():
        summary = metrics.summarize(values)
        cells = [summary.loc[key] for key in columns]
        table.add_row(name, *(f"{cell['mean']:.3f} ± {(cell['high'] - cell['low']) / 2:.3f}" for cell in cells))
    Console(width=120).print(table)


def label(predictor, photos, output: pathlib.Path):
    """Write photos, cropped to the student's shape, and the teacher's densities, as a folder of gaze data.

    Args:
        predictor: the teacher.
        photos: (name, path or function that returns it as uint8 RGB) of each photo.
        output: a folder, which gets ``images/`` and ``maps/``; photos that are there are left out.
    """
    for name in ("images", "maps"):
        (output / name).mkdir(parents=True, exist_ok=True)
    with progress_bar("labels", len(photos)) as advance:
        for name, photo in photos:
            density = output / "maps" / f"{name}.npy"
            if not density.exists():
                pixels = images.to_channels(photo() if callable(photo) else images.read(photo), 3)
                pixels = images.fit_image(pixels, LABEL_SIZE)
                with atomic_write(output / "images" / f"{name}.png") as beside:
                    Image.fromarray(pixels).save(beside, format="png")
                with atomic_write(density) as beside, open(beside, "wb") as file:
                    np.save(file, next(predictor.raw([pixels])).astype(np.float32))
            advance(1)


def photos_of(folders, most=None, without=()):
    """Return (name, path) of the images below folders, evenly spaced where a folder has more than ``most``.

    The names begin with that of the folder. Images whose names are among ``without`` are left out.
    """
    found, without = [], set(without)
    for folder in folders:
        names = {
            path: "-".join((folder.name, *path.relative_to(folder).with_suffix("").parts))
            for path in find_files([folder])
        }
        pairs = [(name, path) for path, name in names.items() if name not in without]
        found += _evenly(pairs, most or len(pairs))
    twice = [name for name, count in collections.Counter(name for name, _ in found).items() if count > 1]
    if twice:
        raise SystemExit(f"The images must have different names, got {twice[0]} twice. Rename a folder.")
    return found


def photos_like(labels, data):
    """Return the photos of ``labels`` that are of the folders of ``data``, evenly spaced, as many if there are."""
    folders = {name.partition("-")[0] for name in data.names}
    names = [name for name in labels.names if name.partition("-")[0] in folders]
    return labels.subset(_evenly(names, len(data)))


def photos_in(data):
    """Return (name, function that returns the photo) of all images of a data set."""
    return [(f"train-{name.replace('/', '-')}", functools.partial(data.image, name)) for name in data.names]


def parts_of(data, count, seed=0):
    """Return (name, function that returns the pixels) of ``count`` random parts of each photo of a data set.

    A part has the shape of the photo, .5 to .9 of its side, and a random place.
    """
    return [
        (f"part{number}-{name.replace('/', '-')}", functools.partial(_part, data, name, (seed, row, number)))
        for row, name in enumerate(data.names)
        for number in range(count)
    ]


def _part(data, name, seed):
    photo, random = data.image(name), np.random.default_rng(seed)
    height, width = (round(side * scale) for scale in [random.uniform(0.5, 0.9)] for side in photo.shape[:2])
    top, left = (random.integers(0, full - side + 1) for full, side in zip(photo.shape, (height, width), strict=False))
    return photo[top : top + height, left : left + width]


def _evenly(values, most):
    return [values[number] for number in np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int)]
