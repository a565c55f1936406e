"""Score the gaze model of the package on unseen images, beside FastGaze, the center and the mean map.

    python benchmarks/gaze.py OSIE_FOLDER CROWD_FOLDER [--fastgaze fastgaze.keras]
    python benchmarks/gaze.py OSIE_FOLDER CROWD_FOLDER --net RUN_FOLDER

Only the test splits are used. The scores are those of ``kerasal.gaze.evaluate``, that is, those that ``kerasal gaze
evaluate`` prints; behind each mean is half the width of its 95 % interval. IG is the information gain over the center
Gaussian in bits per fixation by the MIT definition; gain is that of the densities themselves, at every fixation, and
explained the gain of a model as a share of that of the other observers, the ceiling of ``kerasal.gaze.ceiling``. Its CC
is the highest that a map can be expected to reach. "Without" switches off a layer of the trained model. The line below
each table gives the mean correlation of the maps with a centered Gaussian.
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
from kerasal.metrics.summary import summarize_ratio

import keras

COLUMNS = {
    "nss": "NSS",
    "cc": "CC",
    "auc_judd": "AUC",
    "auc_shuffled": "sAUC",
    "information_gain": "IG, bits",
    "density_gain": "gain, bits",
}
EXPLAINED = "explained, %"


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


def scores(predictor, test):
    """Return {row: {column: (mean, half its interval)}} of a model, the baselines and the ceiling, and its centrality.

    The centrality is the mean correlation of the maps with a centered Gaussian.
    """
    table = gaze.evaluate(predictor, test).drop(columns="error").astype(float)
    summary = metrics.summarize(table)
    halves = (summary["high"] - summary["low"]) / 2
    rows = {
        name: {
            column: (summary.loc[prefix + key, "mean"], halves[prefix + key])
            for key, column in COLUMNS.items()
            if prefix + key in summary.index
        }
        for name, prefix in (("model", ""), ("center", "center_"), ("mean map", "mean_"), ("ceiling", "ceiling_"))
    }
    share, low, high = summarize_ratio(table["density_gain"], table["ceiling_density_gain"])
    rows["model"][EXPLAINED] = 100 * share, 50 * (high - low)
    maps = [prediction.map for prediction in gaze.predict_many((test.image(name) for name in test.names), predictor)]
    vertical, horizontal = (np.linspace(-1, 1, side) for side in maps[0].shape)
    center = np.exp(-2 * (vertical[:, None] ** 2 + horizontal**2))
    return rows, np.mean([metrics.cc(saliency, center) for saliency in maps])


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
        test, rows = open_gaze(folder, "test"), {}
        test = test.subset(range(options.images)) if options.images else test
        values, centrality = scores(gaze.Predictor(model, convention), test)
        rows["gaze"] = values["model"]
        if not options.model:
            earlier = gaze.Predictor(kerasal.create_model("gaze", "kerasal"), convention)
            rows['gaze, weights "kerasal"'] = scores(earlier, test)[0]["model"]
        with center_bias_switched_off(model):
            rows["gaze, without its center prior"] = scores(gaze.Predictor(model, convention), test)[0]["model"]
        with blur_switched_off(model):
            rows["gaze, without its blur"] = scores(gaze.Predictor(model, convention), test)[0]["model"]
        if options.fastgaze:
            fastgaze = gaze.Predictor(kerasal.load_model(options.fastgaze), "caffe", size=(width * 3 // 4, width))
            rows[f"FastGaze, {width} pixels wide"] = scores(fastgaze, test)[0]["model"]
        rows |= {name: values[name] for name in ("center", "mean map")}
        rows["other observers: the ceiling"] = values["ceiling"]
        print_table(folder.name, rows, len(test))
        print(f"mean correlation of the model's maps with a centered Gaussian: {centrality:.2f}")
    print_speed(gaze.Predictor(model, convention), test)


def print_table(name, rows, images):
    columns = [*COLUMNS.values(), EXPLAINED]
    table = Table("", *columns, title=f"{name}, {images} test images")
    for row, values in rows.items():
        digits = {column: 1 if column == EXPLAINED else 3 for column in columns}
        cells = [
            "{:.{digits}f} ± {:.{digits}f}".format(*values[column], digits=digits[column]) if column in values else "–"
            for column in columns
        ]
        table.add_row(row, *cells)
    Console(width=140).print(table)


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
