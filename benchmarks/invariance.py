"""Measure how features change while a photo is shifted, scaled and rotated, layer by layer.

    python benchmarks/invariance.py MODEL.keras IMAGES --layers pool1 fire5_concat fire9_concat avg_pool [--images 40]
        [-p caffe] [--picture FILE]

After Zeiler & Fergus 2014 (the paper's figure 5; its slides say that invariance increases as we ascend the layers). A
photo is shifted horizontally by up to a quarter of its width, scaled by up to 1.8 and rotated in steps of 15 degrees;
pixels from outside are reflected at the border. The change of a layer is the distance of its output from that of the
unchanged photo, divided by the mean distance between the outputs of different photos, so that 0 is invariant and 1 is
as different as another photo; the paper draws the distance itself. A map that moves with the photo counts as changed,
so each layer is also measured *averaged* over its positions. The same is measured on a copy of the model with random
weights. The change is the mean over all steps of a transformation except the unchanged photo. Intervals (95 %) are from
10,000 bootstrap samples of the photos. The second table compares each layer with the first one of ``--layers``, photo
by photo (below 0: more invariant than the first layer), the third the model with its random copy (below 0: training
has made the layer more invariant).
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

import kerasal
from kerasal import hooks, images, preprocessing, probe

SHIFTS = np.linspace(-0.25, 0.25, 11)
SCALES = np.linspace(1.0, 1.8, 9)
AVERAGED = ", averaged"
ANGLES = np.arange(0, 360, 15)


def transformations():
    """Return {name: (values, the value of the unchanged photo, function from value and side to an affine map)}."""

    def shift(value, side):
        return np.float32([[1, 0, value * side], [0, 1, 0]])

    def scale(value, side):
        return cv2.getRotationMatrix2D(((side - 1) / 2,) * 2, 0, value)

    def rotate(value, side):
        return cv2.getRotationMatrix2D(((side - 1) / 2,) * 2, value, 1)

    return {"shift": (SHIFTS, 0.0, shift), "scale": (SCALES, 1.0, scale), "rotation": (ANGLES, 0, rotate)}


def transform(photo, matrix):
    """Return a photo (side, side, 3) after an affine map; pixels from outside are reflected."""
    side = len(photo)
    return cv2.warpAffine(photo, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def outputs_of(model, layers, photos, convention):
    """Return {name: features (N, d)}: the outputs of all layers, then those of maps averaged over positions."""
    outputs = hooks.activations(model, layers, convention.apply(np.stack(photos)))
    features = {layer: values.reshape(len(values), -1) for layer, values in outputs.items()}
    means = {f"{layer}{AVERAGED}": values.mean(axis=(1, 2)) for layer, values in outputs.items() if values.ndim == 4}
    return features | means


def distances(model, layers, photos, convention):
    """Return {transformation: {layer: changes (photos, values)}}, as shares of the distance between photos."""
    originals = outputs_of(model, layers, photos, convention)
    between = {}
    for layer, flat in originals.items():
        pairs = [np.linalg.norm(flat[i] - flat[i + 1 :], axis=1) for i in range(len(flat) - 1)]
        between[layer] = np.concatenate(pairs).mean()
    changes = {}
    for name, (values, _, matrix) in transformations().items():
        changes[name] = {layer: np.zeros((len(photos), len(values))) for layer in originals}
        for number, photo in enumerate(photos):
            moved = [transform(photo, matrix(value, len(photo))) for value in values]
            for layer, flat in outputs_of(model, layers, moved, convention).items():
                changes[name][layer][number] = np.linalg.norm(flat - originals[layer][number], axis=1) / between[layer]
    return changes


def mean_change(changes, name):
    """Return the mean change of each photo over all values except that of the unchanged photo."""
    values, unchanged, _ = transformations()[name]
    return changes[:, ~np.isclose(values, unchanged)].mean(axis=1)


def bootstrap(values, seed=0):
    """Return the mean over photos with its 95 % interval, as a text."""
    draws = np.random.default_rng(seed).integers(0, len(values), (10_000, len(values)))
    low, high = np.percentile(values[draws].mean(axis=1), [2.5, 97.5])
    return f"{values.mean():.3f} [{low:.3f}, {high:.3f}]"


def draw(results, layers):
    """Return the chart: a panel per transformation, a line per layer; dashed with random weights."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.6), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    units = {"shift": "shift, share of the width", "scale": "scale", "rotation": "rotation, degrees"}
    for axes, (name, (values, _, _)) in zip(panels, transformations().items(), strict=True):
        for number, layer in enumerate(layers):
            for (weights, changes), style in zip(results.items(), ("-", ":"), strict=True):
                label = f"{layer}, {weights}"
                axes.plot(values, changes[name][layer].mean(axis=0), style, color=f"C{number}", label=label)
        axes.set_xlabel(units[name])
    panels[0].set_ylabel("change (1: as another photo)")
    figure.suptitle("Change of a layer's output while a photo is shifted, scaled and rotated")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    return figure


def print_table(title, means, layers, base):
    """Print the changes of all layers, less those of ``base(weights, layer)``."""
    first = next(iter(means.values()))
    table = Table("weights", "layer", *transformations(), title=f"{title}: mean over {len(first)} photos [95 %]")
    for weights in ("trained", "random"):
        for layer in layers:
            other = base(weights, layer)
            if other == (weights, layer):
                continue
            values = [means[weights, layer, name] for name in transformations()]
            if other is not None:
                values = [value - means[*other, name] for value, name in zip(values, transformations(), strict=True)]
            table.add_row(weights, layer, *map(bootstrap, values))
    Console(width=140).print(table)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("folder", type=pathlib.Path, help="a folder of photos")
    parser.add_argument("--layers", nargs="+", required=True, help="from the first to the last")
    parser.add_argument("--images", type=int, default=40, help="number of photos, drawn at random")
    parser.add_argument("--preprocessing", "-p", default="caffe")
    parser.add_argument("--seed", type=int, default=0, help="of the photos and of the random weights")
    parser.add_argument("--picture", type=pathlib.Path, help="file for a chart")
    options = parser.parse_args(arguments)
    model, convention = kerasal.load_model(options.model), preprocessing.get(options.preprocessing)
    files = images.find_files([options.folder])
    chosen = np.random.default_rng(options.seed).permutation(len(files))[: options.images]
    photos = [images.fit_image(images.read(files[i]), model.input_shape[1:3]) for i in chosen]
    copies = {"trained": model, "random": probe.randomize_weights(model, seed=options.seed)}
    results = {name: distances(copy, options.layers, photos, convention) for name, copy in copies.items()}
    means = {
        (weights, layer, name): mean_change(changes[name][layer], name)
        for weights, changes in results.items()
        for name in changes
        for layer in changes[name]
    }
    layers = list(results["trained"]["shift"])

    def base(weights, layer):
        return weights, options.layers[0] + (AVERAGED if layer.endswith(AVERAGED) else "")

    print_table("Change of the output", means, layers, lambda weights, layer: None)
    print_table("Change minus that of the first layer", means, layers, base)
    print_table("Change minus that of the random weights", means, layers, lambda weights, layer: ("random", layer))
    if options.picture:
        draw(results, options.layers).savefig(options.picture, dpi=110)


if __name__ == "__main__":
    main()
