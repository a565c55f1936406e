"""How much does an image that maximizes a class depend on its start? And what differs from the mean of the class?

    python benchmarks/start_stability.py PHOTOS SQUEEZENET.keras -o runs/start-stability

Tang, Yao, Jiang & Liu, section 5.2: because of the random start "the result can be quite unstable", but the pattern is
"kind of consistent"; noise gives more texture, and the mean of the class's photos more color. The images are made with
the preset tang (20 steps) for goldfish, ostrich and lemon, from several starts of noise, with EfficientNet-Lite0 and
SqueezeNet, and for the classes goldfish and lemon also from the mean of PHOTOS (Tiny ImageNet). The columns:

* ``pixels``: the correlation of two images, over pixels and colors, after each color channel was centered;
* ``features``: the same of the mean features of the *other* network (the last layer before its scores) of the two
  images, centered on the mean of all of a network's images. The other network has no part in the ascent;
* ``same class`` (different starts) against ``different class`` (different starts) is the test of a consistent pattern,
  and ``same start`` (different classes) shows what is left of the noise;
* ``probability``: of the class, by the network itself, least and most over the starts; ``other``: by the other network.

An interval is of 95 %, from bootstrap draws of the starts. The second table compares the two kinds of start: ``color``
is the distance of the mean color from that of the class's photos in gray levels (the model's zero, the start of noise,
is given for comparison); ``detail``, the standard deviation that remains when each image is reduced to a quarter of its
size and enlarged again, as a share of the whole. Both are measured on the pixels of the result, clipped to 0..255.
``--small`` takes two steps, three starts and one network.
"""

import argparse
import itertools
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from rich.console import Console
from rich.table import Table

import kerasal
from kerasal import datasets, hooks, images, preprocessing, store

import keras

CLASSES = {"goldfish": 1, "ostrich": 9, "lemon": 951}
WITH_PHOTOS = ("goldfish", "lemon")
FEATURES = {"EfficientNet-Lite0": "avg_pool", "SqueezeNet": "fire9_concat"}


def average(maps):
    """Return the mean of each channel of the maps of a convolution; other features are unchanged."""
    return keras.ops.mean(maps, axis=(1, 2)) if len(maps.shape) == 4 else maps


def make_images(model, convention, starts, steps, means):
    """Return pixels 0..255 of the images from noise (class, start, H, W, 3), and from the means (class, H, W, 3)."""
    convention = preprocessing.get(convention)
    options = {"preset": "tang", "steps": steps, "preprocessing": convention}
    from_noise = kerasal.maximize(model, list(CLASSES.values()), copies=starts, seed=0, **options)
    side = model.input_shape[1]
    init = np.stack([convention.apply(images.fit_image(mean, (side, side))) for mean in means])
    from_mean = kerasal.maximize(model, [CLASSES[name] for name in WITH_PHOTOS], init=init, **options)
    pixels = [np.clip(convention.invert(result.raw), 0, 255) for result in (from_noise, from_mean)]
    return {"noise": pixels[0].reshape(len(CLASSES), starts, side, side, 3), "mean": pixels[1]}


def look(model, convention, layer, pixels):
    """Return a network's mean features (class, start, channels) and probabilities of the image's own class."""
    flat = np.stack([images.resize(image, model.input_shape[1:3]) for image in pixels.reshape(-1, *pixels.shape[2:])])
    inputs = preprocessing.get(convention).apply(flat)
    features = hooks.activations(model, [layer], inputs, reduce=average)[layer]
    probabilities = model.predict_on_batch(inputs).reshape(*pixels.shape[:2], -1)
    own = np.stack([probabilities[i, :, index] for i, index in enumerate(CLASSES.values())])
    return features.reshape(*pixels.shape[:2], -1), own


def similarities(vectors):
    """Return the correlation of every pair of images (class, start, class, start) from vectors (class, start, n)."""
    unit = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.einsum("csn,dtn->csdt", unit, unit)


def means_of_pairs(r, starts):
    """Return the mean of r over pairs of one class, of two classes, and of two classes with the same start.

    ``starts`` are the starts to use, with repetitions in a bootstrap draw; a start is never paired with itself, except
    in the last mean.
    """
    count, classes = len(starts), np.arange(r.shape[0])
    chosen = r[:, starts][:, :, :, starts]  # (class, start, class, start)
    different = starts[:, None] != starts[None]
    same_class = chosen[classes, :, classes][:, different].mean()
    pairs = list(itertools.combinations(classes, 2))
    other_class = np.mean([chosen[c, :, d][different].mean() for c, d in pairs])
    same_start = np.mean([chosen[c, range(count), d, range(count)].mean() for c, d in pairs])
    return np.array([same_class, other_class, same_start])


def bootstrap(r, draws=2000):
    """Return the three means of pairs, their intervals, and that of the first minus the second, as text."""
    count, random = r.shape[1], np.random.default_rng(0)
    drawn = [random.integers(0, count, count) for _ in range(draws)]
    drawn = np.array([means_of_pairs(r, starts) for starts in drawn if len(set(starts)) > 1])
    drawn = np.column_stack([drawn, drawn[:, 0] - drawn[:, 1]])
    values = means_of_pairs(r, np.arange(count))
    values = [*values, values[0] - values[1]]
    return [
        f"{value:.3f} [{low:.3f}, {high:.3f}]"
        for value, low, high in zip(values, *np.quantile(drawn, (0.025, 0.975), axis=0), strict=True)
    ]


def detail(pixels):
    """Return the share of the standard deviation of an image that a reduction to a quarter of its size removes."""
    height, width = pixels.shape[:2]
    coarse = images.resize(images.resize(pixels.astype(np.float32), (height // 4, width // 4)), (height, width))
    return (pixels - coarse).std() / pixels.std()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=pathlib.Path)
    parser.add_argument("squeezenet", type=pathlib.Path)
    parser.add_argument("--output", "-o", type=pathlib.Path, default=pathlib.Path("runs/start-stability"))
    parser.add_argument("--starts", type=int, default=8)
    parser.add_argument("--small", action="store_true", help="two steps, three starts, one network, to try the script")
    options = parser.parse_args()
    steps, starts = (2, 3) if options.small else (20, options.starts)
    models = {
        "EfficientNet-Lite0": (kerasal.load_model("efficientnet_lite0"), "mean=127,std=128"),
        "SqueezeNet": (kerasal.load_model(options.squeezenet), "caffe"),
    }
    photos = datasets.class_images(options.photos, (224, 224, 3), classes=list(WITH_PHOTOS))[0]
    photos = photos.subset(np.arange(0, len(photos), 50)) if options.small else photos
    means = photos.means()
    table = Table("", *("same class", "different class", "same start", "same − different"), "probability", "other")
    colors = Table("", "color, noise", "color, mean", "color, zero", "detail, noise", "detail, mean")
    for name, (model, convention) in list(models.items())[: 1 if options.small else 2]:
        file = options.output / f"{name}-{steps}-{starts}.npz"
        if not file.is_file():
            print(name, flush=True)
            store.write_arrays(file, make_images(model, convention, starts, steps, means))
        with np.load(file) as stored:
            noise, mean = stored["noise"], stored["mean"]
        other = next(key for key in models if key != name)
        features, other_probability = look(*models[other], FEATURES[other], noise)
        own_probability = look(model, convention, FEATURES[name], noise)[1]
        probabilities = [f"{values.min():.3f} to {values.max():.3f}" for values in (own_probability, other_probability)]
        centered = noise - noise.mean(axis=(2, 3), keepdims=True)
        table.add_row(f"{name}, pixels", *bootstrap(similarities(centered.reshape(*noise.shape[:2], -1))), "", "")
        features = features - features.mean(axis=(0, 1))
        table.add_row(f"{name}, features of {other}", *bootstrap(similarities(features)), *probabilities)
        for row, class_name in enumerate(WITH_PHOTOS):
            target = np.asarray(means[row]).mean(axis=(0, 1))
            zero = np.asarray(preprocessing.get(convention).invert(np.zeros((1, 1, 3)))).ravel()
            drawn = noise[list(CLASSES).index(class_name)]
            distances = [np.linalg.norm(image.mean(axis=(0, 1)) - target) for image in (*drawn, mean[row])]
            details = [detail(image) for image in (*drawn, mean[row])]
            cells = [
                f"{min(distances[:-1]):.1f} to {max(distances[:-1]):.1f}",
                f"{distances[-1]:.1f}",
                f"{np.linalg.norm(zero - target):.1f}",
                f"{min(details[:-1]):.2f} to {max(details[:-1]):.2f}",
                f"{details[-1]:.2f}",
            ]
            colors.add_row(f"{name}, {class_name}", *cells)
    console = Console(width=170)
    table.title = f"Similarity of images that maximize {', '.join(CLASSES)}: {starts} starts, {steps} steps"
    console.print(table)
    console.print(colors)


if __name__ == "__main__":
    main()
