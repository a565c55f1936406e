"""What does adapting a gaze model to another data set gain: eight numbers, fitted to 50 images.

    python benchmarks/gaze_adapt.py DATA/osie DATA/crowd DATA/salicon10 [--fastgaze DATA/models/fastgaze.vxm]

``kerasal.gaze.adapt`` fits the numbers to 50 test images of one data set (all ten of SALICON's sample, whose points are
raw mouse samples), and the adapted model is measured on the other test images of each. With ``--part train``, the 50
are training images, which ``gaze`` has seen. Rows: the model and the data that it was adapted to. Columns: its
information gain over the center in bits per fixation on the test images of a data set, and the paired difference from
the model that was not adapted, each the mean over images with its 95 % bootstrap interval. The column ``left out`` is
the cross-validated gain on the images that it was adapted to; where its interval is not above 0, ``kerasal gaze adapt``
refuses. On SALICON's sample, its own row shows the cross-validated gain in place of that of the fit. All densities are
those on the cells of the model's map, at most about 64 on the longer side.

``gaze`` was trained on the training images of OSIE and crowd, so that only SALICON is new to it. FastGaze learned
from a model that was trained on SALICON and MIT1003 (Theis et al. 2018), so that OSIE and crowd are new to it; its
photos have 288 × 384 pixels here.
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from markdown_tables import interval, print_lines, print_table

from kerasal import gaze, open_model
from kerasal.datasets import open_gaze
from kerasal.gaze.gaze_adaptation import FEWEST, PARAMETERS, adapt_log_density, fit_parameters, read_maps
from kerasal.metrics import center_map


def open_sets(folders, images, tests, part):
    """Return {name: (data to adapt to, data to test on)}; a set without splits is both."""
    sets, random = {}, np.random.default_rng(0)
    for folder in folders:
        data = open_gaze(folder)
        try:
            train, test = open_gaze(folder, part), open_gaze(folder, "test")
        except ValueError:
            sets[folder.name] = data, data
            continue
        chosen = [train.names[index] for index in np.sort(random.permutation(len(train))[:images])]
        others = [name for name in test.names if name not in chosen]
        sets[folder.name] = train.subset(chosen), test.subset(others[:tests])
    return sets


def gain(maps, truths) -> np.ndarray:
    """Return the information gain over the center of each image in bits per fixation."""
    gains = []
    for values, truth in zip(maps, truths, strict=True):
        center = center_map(values.shape)
        gains.append((truth * (values - np.log(center / center.sum()))).sum() / np.log(2))
    return np.array(gains)


def cross_validate(predictor, data) -> np.ndarray:
    try:
        return gaze.adapt(predictor, data).table["gain"].to_numpy()
    except gaze.NoGain as error:
        return error.table["gain"].to_numpy()


def measure(title, predictor, sets) -> None:
    """Print the table of a model."""
    read = {name: [read_maps(predictor, part) for part in parts] for name, parts in sets.items()}
    before = {name: gain(*tests[:2]) for name, (_, tests) in read.items()}
    rows = {"not adapted": {"left out": "–", **{name: interval(before[name]) for name in sets}}}
    for source, (train, test) in sets.items():
        left_out = cross_validate(predictor, train)
        values = fit_parameters(*read[source][0][:2])
        row = {"left out": interval(left_out)}
        for name, (_, (maps, truths, *_)) in read.items():
            after = gain([adapt_log_density(each, values) for each in maps], truths)
            same = name == source and train is test
            after = before[name] + left_out if same else after
            row[name] = f"{interval(after)}: {interval(after - before[name])}"
        rows[f"to {source}, {len(train)} images"] = row
        numbers = ", ".join(f"{name} {value:.3g}" for name, value in zip(PARAMETERS, values, strict=True))
        print_lines(f"{title} to {source}: {numbers}")
    print_table(f"{title}, information gain over the center in bits", rows)


def main(words=None) -> None:
    summary, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=pathlib.Path, nargs="+", help="folders of gaze data")
    parser.add_argument("--fastgaze", type=pathlib.Path, help="fastgaze.vxm")
    parser.add_argument("--images", type=int, default=50, help=f"images to adapt to, at least {FEWEST}")
    parser.add_argument("--tests", type=int, help="use only this number of test images")
    parser.add_argument("--part", choices=("test", "train"), default="test", help="part with the images to adapt to")
    options = parser.parse_args(words)
    sets = open_sets(options.data, options.images, options.tests, options.part)
    measure("gaze", gaze.Predictor.from_image_model(open_model("gaze")), sets)
    if options.fastgaze:
        measure("FastGaze", gaze.Predictor(gaze.load_vxm(options.fastgaze), "caffe", size=(288, 384)), sets)


if __name__ == "__main__":
    main()
