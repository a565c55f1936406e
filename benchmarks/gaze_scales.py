"""Does the gaze model of the package predict better if the photo is smaller or larger, or seen at two sizes?

    python benchmarks/gaze_scales.py OSIE_FOLDER CROWD_FOLDER

The same weights, which were trained at 336 × 448 pixels, predict photos of other sizes. They are 32, 64 or 96 rows
smaller or larger, so that strided convolutions sample the same places; the photos of both data sets have 240 × 320
pixels, so that enlarging them adds no detail. Two sizes, or a photo and its mirror image, are averaged in the
log-density. A smaller photo has fewer values in its map, among which the blur of the model is wider: as controls, the
blur is made as much wider at the usual size, and as much narrower at the smaller size.

It prints the scores on the validation images of ``kerasal gaze train``, their differences from those at 336 × 448, and
the time per photo as a multiple of the time at 336 × 448: the median of 30 photos, of which each is predicted by every
row in turn. Last, it moves the maps by up to 4 pixels of the photo: if the maps are aligned with the photos, the NSS is
largest where they stay. There, sizes are added whose sides are 16 rows or columns smaller or larger.
"""

import argparse
import os
import pathlib
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
import scipy.ndimage
from gaze_teacher_data import AveragedPredictor, print_scores

import kerasal
from kerasal import gaze, images, metrics
from kerasal.datasets import open_training_sets

SIZE, SMALLER = (336, 448), (240, 320)
OTHERS = (272, 352), (304, 416), (368, 480), (400, 544)
OTHER_GRIDS = (320, 448), (352, 448), (336, 432), (336, 464), (320, 432)
MOST_SHIFT = 4
PHOTOS = 30


def make_predictor(size, blur=1.0):
    """Return the model of the package for photos of a size, with its blur ``blur`` times as wide."""
    model = kerasal.open_model("gaze").keras_model
    layer = model.get_layer("blur")
    layer.set_weights([weight + np.float32(np.log(blur)) for weight in layer.get_weights()])
    return gaze.Predictor(model, kerasal.model_spec("gaze").preprocessing, size=size)


def predictors():
    """Return the predictors by the names of their rows; the last is the one at 336 × 448."""
    plain, smaller = make_predictor(SIZE), make_predictor(SMALLER)
    wider = SIZE[0] / SMALLER[0]
    return {
        "240 × 320": smaller,
        **{" × ".join(map(str, size)): make_predictor(size) for size in OTHERS},
        "240 × 320, narrower blur": make_predictor(SMALLER, 1 / wider),
        "336 × 448, wider blur": make_predictor(SIZE, wider),
        "336 × 448, mirrored": AveragedPredictor([plain], mirrored=True),
        "240 × 320 and 336 × 448": AveragedPredictor([plain, smaller], mirrored=False),
        "336 × 448": plain,
    }


def print_shifts(rows, data):
    """Print by how many pixels down and to the right the maps of each predictor fit the fixations best."""
    fixations = [data.fixation_map(name) for name in data.names]
    for name, predictor in rows.items():
        raw = predictor.raw(data.image(image) for image in data.names)
        maps = [images.resize(values, points.shape) for values, points in zip(raw, fixations, strict=True)]
        best = []
        for direction in ((1, 0), (0, 1)):
            means = {
                step: np.mean(
                    [
                        metrics.nss(
                            scipy.ndimage.shift(values, np.multiply(direction, step), order=0, mode="nearest"), points
                        )
                        for values, points in zip(maps, fixations, strict=True)
                    ]
                )
                for step in range(-MOST_SHIFT, MOST_SHIFT + 1)
            }
            step = max(means, key=means.__getitem__)
            best.append(f"{step:+d} ({means[step]:.3f})")
        print(f"{name}: NSS {means[0]:.3f}, largest if moved down by {best[0]}, to the right by {best[1]}", flush=True)


def print_times(rows, photos):
    """Print the median time of each predictor per photo, as a multiple of that of the last."""
    for predictor in rows.values():  # the first call traces a graph
        next(predictor.raw(photos[:1]))
    seconds = {name: [] for name in rows}
    for photo in photos:
        for name, predictor in rows.items():
            start = time.perf_counter()
            next(predictor.raw([photo]))
            seconds[name].append(time.perf_counter() - start)
    *_, last = (np.median(values) for values in seconds.values())
    for name, values in seconds.items():
        print(f"{name}: {np.median(values) / last:.2f} times {last * 1000:.0f} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("osie", type=pathlib.Path)
    parser.add_argument("crowd", type=pathlib.Path)
    options = parser.parse_args()
    rows = predictors()
    _, validation_set, _ = open_training_sets([options.osie, options.crowd])
    print_scores("validation images", rows, validation_set)
    print_times(rows, [validation_set.image(name) for name in validation_set.names[:PHOTOS]])
    sizes = [SMALLER, *OTHERS, SIZE, *OTHER_GRIDS]
    print_shifts({" × ".join(map(str, size)): make_predictor(size) for size in sizes}, validation_set)


if __name__ == "__main__":
    main()
