"""Does the gaze model of the package predict better if the photo is enlarged, or seen at two sizes?

    python benchmarks/gaze_scales.py OSIE_FOLDER CROWD_FOLDER
    python benchmarks/gaze_scales.py OSIE_FOLDER CROWD_FOLDER --test

The same weights, which were trained at 336 × 448 pixels, predict photos of other sizes. They are 32, 64 or 96 rows
smaller or larger, so that strided convolutions sample the same places; the photos of both data sets have 240 × 320
pixels, so that enlarging them adds no detail. Two sizes, or a photo and its mirror image, are averaged in the
log-density. A smaller photo has fewer values in its map, among which the blur of the model is wider: as controls, the
blur is made as much wider at the usual size, and as much narrower at the smaller size.

The first form prints the scores on the validation images of ``kerasal gaze train``, their differences from those at
336 × 448, and the time per photo as a multiple of the time at 336 × 448: the median of 30 photos, of which each is
predicted by every row in turn. ``--test`` prints the scores on the test images, which are for no choice, for one and
for two sizes.
"""

import argparse
import os
import pathlib
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from gaze_teacher_data import AveragedPredictor, print_scores

import kerasal
from kerasal import gaze
from kerasal.datasets import open_gaze, open_training_sets

SIZE, SMALLER = (336, 448), (240, 320)
OTHERS = (272, 352), (304, 416), (368, 480), (400, 544)
PHOTOS = 30


def make_predictor(size, blur=1.0):
    """Return the model of the package for photos of a size, with its blur ``blur`` times as wide."""
    model = kerasal.open_model("gaze").keras_model
    layer = model.get_layer("blur")
    layer.set_weights([weight + np.float32(np.log(blur)) for weight in layer.get_weights()])
    return gaze.Predictor(model, kerasal.model_spec("gaze").preprocessing, size=size)


def predictors(*, test):
    """Return the predictors by the names of their rows; the last is the one at 336 × 448."""
    plain, smaller = make_predictor(SIZE), make_predictor(SMALLER)
    two_sizes = {"240 × 320 and 336 × 448": AveragedPredictor([plain, smaller], mirrored=False)}
    if test:
        return two_sizes | {"336 × 448": plain}
    wider = SIZE[0] / SMALLER[0]
    return {
        "240 × 320": smaller,
        **{" × ".join(map(str, size)): make_predictor(size) for size in OTHERS},
        "240 × 320, narrower blur": make_predictor(SMALLER, 1 / wider),
        "336 × 448, wider blur": make_predictor(SIZE, wider),
        "336 × 448, mirrored": AveragedPredictor([plain], mirrored=True),
        **two_sizes,
        "336 × 448": plain,
    }


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
    parser.add_argument("--test", action="store_true", help="print the scores on the test images")
    options = parser.parse_args()
    rows = predictors(test=options.test)
    if options.test:
        for folder in (options.osie, options.crowd):
            print_scores(f"{folder.name}: test images", rows, open_gaze(folder, "test"))
        return
    _, validation_set, _ = open_training_sets([options.osie, options.crowd])
    print_scores("validation images", rows, validation_set)
    print_times(rows, [validation_set.image(name) for name in validation_set.names[:PHOTOS]])


if __name__ == "__main__":
    main()
