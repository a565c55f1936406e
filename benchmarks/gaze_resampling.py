"""Compare ways to enlarge the gaze model's coarse map to the size of the photo, on validation images.

    python benchmarks/gaze_resampling.py OSIE_FOLDER CROWD_FOLDER

The images are those of OSIE in the random tenth (seed 0) of OSIE's and crowd's train splits that validated the weights
of the package. The model was not trained on them, and the test splits are not used. Every row has the same model, the
same inputs and the same cells of 8 × 8 pixels; only the enlargement differs:

* ``density, Pillow``: the density, with Pillow's bicubic filter (``kerasal.gaze.resize_map``, clipped at 0);
* ``log, OpenCV``: the log-density, with ``images.resize`` (an earlier version of ``kerasal.zoo.gaze.predict``);
* ``density, Pillow, kept positive``: as the first, but not below the lowest cell (``kerasal.gaze.predict``);
* the two other combinations, which separate the effect of the domain from that of the filter.

Metrics are those of ``kerasal.metrics`` at the size of the photo, with densities blurred by 3 % of the width. Behind
each mean is its difference from the first row with a 95 % interval, from 10,000 paired bootstrap draws of the images.
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

import kerasal
from kerasal import images, metrics
from kerasal.datasets import open_gaze

COLUMNS = {"nss": "NSS", "cc": "CC", "kld": "KLD", "auc_shuffled": "sAUC", "auc_judd": "AUC"}


def enlarge_by_pillow(values, size):
    """Return values (h, w) at ``size`` by Pillow's bicubic filter."""
    return np.asarray(Image.fromarray(values).resize(size[::-1], Image.Resampling.BICUBIC))


ENLARGE = {
    "density, Pillow": lambda cells, size: np.maximum(enlarge_by_pillow(np.exp(cells), size), 0),
    "log, OpenCV": lambda cells, size: np.exp(images.resize(cells, size)),
    "density, Pillow, kept positive": lambda cells, size: np.maximum(
        enlarge_by_pillow(np.exp(cells), size), np.exp(cells.min())
    ),
    "density, OpenCV": lambda cells, size: np.maximum(images.resize(np.exp(cells), size), 0),
    "log, Pillow": lambda cells, size: np.exp(enlarge_by_pillow(cells, size)),
}


def validation_images(osie, crowd):
    """Return OSIE's images of the tenth that ``kerasal gaze train --data osie --data crowd`` validates on."""
    train = open_gaze(osie, "train")
    both = train.concatenate(open_gaze(crowd, "train"))
    positions = {name: position for position, name in enumerate(both.names)}
    chosen = [positions[name] for name in both.split(0.9, 0)[1].names]
    return train.subset(sorted(position for position in chosen if position < len(train)))


def predict_cells(model, spec, image):
    """Return the model's log-density of an image, float32 (h, w), with 0 as its largest value."""
    resized = images.resize(image, images.size_like(image.shape[:2], model.layers[-1].image_size))
    inputs = kerasal.preprocessing.get(spec.preprocessing).apply(resized)[None]
    cells = np.asarray(model(inputs, training=False))[0]
    return cells - cells.max()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("osie", type=pathlib.Path)
    parser.add_argument("crowd", type=pathlib.Path)
    options = parser.parse_args()
    data = validation_images(options.osie, options.crowd)
    model, spec = kerasal.load_model("gaze"), kerasal.model_spec("gaze")
    cells = [predict_cells(model, spec, data.image(name)) for name in data.names]
    fixations = [data.fixation_map(name) for name in data.names]
    densities = [data.density(name) for name in data.names]
    draws = np.random.default_rng(0).integers(0, len(data), (10_000, len(data)))
    table = Table("", *COLUMNS.values(), title=f"{options.osie.name}, {len(data)} validation images")
    first = None
    for row, enlarge in ENLARGE.items():
        maps = [enlarge(values, truth.shape) for values, truth in zip(cells, fixations, strict=True)]
        scores = metrics.evaluate(maps, fixations, densities, metrics=list(COLUMNS), baselines=(), names=data.names)
        first = scores if first is None else first
        table.add_row(row, *(describe(scores[key], first[key], draws) for key in COLUMNS))
    Console(width=170).print(table)


def describe(values, reference, draws):
    """Return the mean and its paired difference from ``reference``, with the 95 % interval, as text."""
    difference = (values - reference).to_numpy()
    low, high = np.quantile(difference[draws].mean(axis=1), (0.025, 0.975))
    text = f"{values.mean():.4f}"
    return text if not difference.any() else f"{text}  {difference.mean():+.4f} [{low:+.4f}, {high:+.4f}]"


if __name__ == "__main__":
    main()
