"""Draw the class images of Tang et al. (section 3.3) in three columns: an original, from noise, from the class mean.

    python benchmarks/class_starts.py MODEL ostrich=PHOTOS goldfish=PHOTOS lemon=PHOTOS -o class-starts.jpg

PHOTOS is a folder of photos of the class, whose mean is the start of the third column. The first column shows the photo
that --original names for the class; without one it shows the mean image, for data whose license does not allow to show
a photo. NAME:LABEL=PHOTOS states that the photos are of something else, as in "ostrich:emus=caltech101/emu".

The recipe is preset "tang": S - .1 ‖I‖₁, steps of .5 gray levels, here 20 of them as in section 3.2. Images from noise
are a few gray levels strong and are drawn in more contrast; images from a mean are drawn in the colors of their pixels.

The table tells the two parts of an image apart, the start and what the ascent added:

    posterior    of the class, at the start and at the end
    added        RMS of the difference from the start, in gray levels (0..255)
    coarse       share of the energy of the difference in waves of 8 pixels and more
    color        distance of the mean color from gray, at the start and at the end, in gray levels
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
from class_models import coarse_share

import kerasal
from kerasal import images, labels
from kerasal.models import mean_input, open_model

STARTS = {"noise": "random", "mean": "mean"}


def read_class(text: str, opened) -> tuple[str, str, int, np.ndarray, int]:
    """Return name, label, class index, mean input (H, W, C) and number of photos of NAME:LABEL=PHOTOS."""
    described, _, folder = text.partition("=")
    name, _, label = described.partition(":")
    mean, count, _ = mean_input([folder], opened)
    return name, label or name, labels.find(name, opened.labels), mean, count


def chroma(pixels: np.ndarray) -> float:
    """Return the distance of the mean color of pixels (H, W, 3) from the gray of the same brightness."""
    color = pixels.reshape(-1, 3).mean(axis=0)
    return float(np.linalg.norm(color - color.mean()))


def maximize_class(opened, class_index: int, start, steps: int, seed: int):
    """Return the result of the recipe for a class; ``start`` is a mean input, or None for noise."""
    return kerasal.maximize(opened, class_index, preset="tang", steps=steps, seed=seed, init=start)


def describe(opened, class_index: int, start: np.ndarray, raw: np.ndarray) -> dict[str, float]:
    """Return the row of the table for a maximized input."""
    probabilities = opened.keras_model.predict(np.stack([start, raw]), verbose=0)[:, class_index]
    low, high = opened.preprocessing.value_range()
    added = (raw - start) / ((high - low) / 255)
    before, after = (chroma(opened.preprocessing.invert(image)) for image in (start, raw))
    return {
        "posterior, start": probabilities[0],
        "posterior": probabilities[1],
        "added": np.sqrt(np.mean(np.square(added))),
        "coarse": coarse_share(added, 8),
        "color, start": before,
        "color": after,
    }


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("classes", nargs="+", metavar="NAME[:LABEL]=PHOTOS")
    parser.add_argument("-p", "--preprocessing")
    parser.add_argument("--original", action="append", default=[], metavar="NAME=PHOTO", help="photo of a class")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", "-o", type=pathlib.Path, default=pathlib.Path("class-starts.jpg"))
    options = parser.parse_args(arguments)
    opened = open_model(options.model, preprocessing=options.preprocessing)
    originals = dict(text.split("=", 1) for text in options.original)
    tiles, captions, names, rows = [], [], [], {}
    for name, label, class_index, mean, count in (read_class(text, opened) for text in options.classes):
        noise = np.random.default_rng(options.seed).standard_normal(mean.shape).astype(np.float32)
        low, high = opened.preprocessing.value_range()
        starts = {"noise": (noise * (high - low) / 255).astype(np.float32), "mean": mean}
        if name in originals:
            tiles.append(opened.show(images.read(originals[name]))[0])
            captions.append("photo")
        else:
            tiles.append(np.round(opened.preprocessing.invert(mean)).astype(np.uint8))
            captions.append(f"mean of {count:,} photos of {label}")
        for start, caption in STARTS.items():
            init = None if start == "noise" else mean
            result = maximize_class(opened, class_index, init, options.steps, options.seed)
            rows[name, start] = describe(opened, class_index, starts[start], result.raw[0])
            tiles.append(result.images[0])
            captions.append(f"{caption} start, P {rows[name, start]['posterior']:.2f}")
        names.append(name)
    title = f"{pathlib.Path(opened.name).stem}: images that maximize a class, {options.steps} steps"
    sheet = images.grid(tiles, captions, columns=3, row_labels=names, title=title, tile=224)
    images.write(options.output, sheet)
    table = pd.DataFrame(rows).T
    print(table.round(3).to_string())
    return table


if __name__ == "__main__":
    main()
