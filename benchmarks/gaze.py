"""Score the gaze model of the package on unseen images, beside FastGaze, the center and the mean map.

    python benchmarks/gaze.py OSIE_FOLDER CROWD_FOLDER [--fastgaze fastgaze.keras]
    python benchmarks/gaze.py OSIE_FOLDER CROWD_FOLDER --net RUN_FOLDER

Only the test splits are used. NSS, CC, Judd's AUC and the shuffled AUC (negatives: the fixations of ten other images)
are those of ``kerasal.metrics``, for maps that are enlarged but not changed otherwise; densities are blurred by 3 % of
the width. IG is the information gain over the mean map of the train split, in bits per fixation. Behind each mean is
half the width of its 95 % interval, from 10,000 bootstrap draws of the images. "Without" switches off a layer of the
trained model. The line below each table gives the mean correlation of the maps with a centered Gaussian.
"""

import argparse
import contextlib
import os
import pathlib
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

import kerasal
from kerasal import gaze, metrics
from kerasal.datasets import open_gaze
from kerasal.layers import center_bias_switched_off
from kerasal.losses.scores import log_likelihood

import keras

COLUMNS = {"nss": "NSS", "cc": "CC", "auc_judd": "AUC", "auc_shuffled": "sAUC"}


@contextlib.contextmanager
def blur_switched_off(model):
    """Make the learned blur so narrow that it has no effect."""
    layer = model.get_layer("blur")
    before = float(keras.ops.convert_to_numpy(layer.log_sigma))
    layer.log_sigma.assign(np.log(0.05))
    try:
        yield
    finally:
        layer.log_sigma.assign(before)


def mean_map(train):
    """Return the blurred mean of all fixations on the images of a train split."""
    total = sum(np.asarray(train.fixation_map(name), np.float64) for name in train.names)
    return metrics.blur_fixations(total, 0.03 * total.shape[1])


def bits(values, fixations):
    """Return the mean log-likelihood of fixations in bits, relative to a uniform map."""
    return float(log_likelihood(np.asarray(fixations, np.float32)[None], np.asarray(values, np.float32)[None])[0])


def scores(predictor, test, prior):
    """Return {predictor: {column: one value per image}}, and the mean correlation with a centered Gaussian."""
    fixations = [test.fixation_map(name) for name in test.names]
    predictions = gaze.predict_many((test.image(name) for name in test.names), predictor, postprocess="none")
    maps = [np.maximum(prediction.map, 0) for prediction in predictions]
    densities = [test.density(name) for name in test.names]
    table = metrics.evaluate(maps, fixations, densities, metrics=list(COLUMNS), names=test.names)
    values = {
        name: {COLUMNS[key]: table[prefix + key].to_numpy() for key in COLUMNS}
        for name, prefix in (("model", ""), ("center", "center_"), ("mean map", "mean_"))
    }
    base = np.array([bits(prior, fixation_map) for fixation_map in fixations])
    values["model"]["IG"] = np.array([bits(*pair) for pair in zip(maps, fixations, strict=True)]) - base
    rows, columns = (np.linspace(-1, 1, side) for side in maps[0].shape)
    center = np.exp(-2 * (rows[:, None] ** 2 + columns**2))
    return values, np.mean([metrics.cc(saliency, center) for saliency in maps])


def interval(values, draws=10_000):
    """Return the mean and the half width of its 95 % bootstrap interval."""
    random = np.random.default_rng(0)
    means = values[random.integers(0, len(values), (draws, len(values)))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return values.mean(), (high - low) / 2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("osie", type=pathlib.Path)
    parser.add_argument("crowd", type=pathlib.Path)
    parser.add_argument("--fastgaze", type=pathlib.Path, help="the file that `kerasal gaze import-vxm` wrote")
    parser.add_argument(
        "--net",
        "--model",
        dest="model",
        type=pathlib.Path,
        help="a run of `kerasal gaze train gaze`, instead of the model of the package",
    )
    parser.add_argument("--images", type=int, help="use only this number of images")
    options = parser.parse_args()
    model = kerasal.load_model(options.model / "gaze.keras" if options.model else "gaze")
    convention = kerasal.model_spec("gaze").preprocessing
    for folder, width in ((options.osie, 384), (options.crowd, 512)):
        test, train = open_gaze(folder, "test"), open_gaze(folder, "train")
        test = test.subset(range(options.images)) if options.images else test
        prior, rows = mean_map(train), {}
        values, centrality = scores(gaze.Predictor(model, convention), test, prior)
        rows["gaze"] = values["model"]
        with center_bias_switched_off(model):
            rows["gaze, without its center prior"] = scores(gaze.Predictor(model, convention), test, prior)[0]["model"]
        with blur_switched_off(model):
            rows["gaze, without its blur"] = scores(gaze.Predictor(model, convention), test, prior)[0]["model"]
        if options.fastgaze:
            fastgaze = gaze.Predictor(kerasal.load_model(options.fastgaze), "caffe", size=(width * 3 // 4, width))
            rows[f"FastGaze, {width} pixels wide"] = scores(fastgaze, test, prior)[0]["model"]
        rows |= {"center": values["center"], "mean map": values["mean map"]}
        print_table(folder.name, rows, len(test))
        print(f"mean correlation of the model's maps with a centered Gaussian: {centrality:.2f}")
    print_speed(gaze.Predictor(model, convention), test)


def print_table(name, rows, images):
    table = Table("", *COLUMNS.values(), "IG, bits", title=f"{name}, {images} test images")
    for row, values in rows.items():
        cells = [
            "{:.3f} ± {:.3f}".format(*interval(values[key])) if key in values else ""
            for key in (*COLUMNS.values(), "IG")
        ]
        table.add_row(row, *cells)
    Console(width=120).print(table)


def print_speed(predictor, test):
    """Print the images per second from file to overlay, as in ``kerasal gaze predict``."""
    names = test.names[:50]
    gaze.predict(test.image(names[0]), predictor)
    seconds = []
    for name in names:
        start = time.perf_counter()
        image = test.image(name)
        gaze.overlay(image, gaze.predict(image, predictor).map)
        seconds.append(time.perf_counter() - start)
    print(f"{1 / pd.Series(seconds).median():.0f} images per second at {test.sizes[0]}")


if __name__ == "__main__":
    main()
