"""Are filters copies of each other, up to rotation and color? And can a layer do with fewer of them?

    python benchmarks/filter_copies.py PHOTOS SQUEEZENET.keras VGG16.npz -o runs/filter-copies

Tang, Yao, Jiang & Liu, section 5.1, observe that some filters are "quite similar to each other", only of another color
or rotated, and conclude that their number could be reduced, with caution. PHOTOS has ImageNet photos by class index
(0000_NAME.jpg). VGG16.npz has the convolutions of a VGG-16 that was tuned for edges after ImageNet.

**Copies.** Filter d is a copy of filter c up to a transform T if the map of c for a photo and the map of d for the
transformed photo, turned back, are proportional. The measure is their correlation r over all positions of many photos:
for T the identity, a rotation by 90, 180 or 270 degrees, a permutation of the three color channels, or both. For each
filter, the best partner d ≠ c and the best T are chosen on one half of the photos, and r is measured on the other
half; so a larger choice does not raise r by chance. Dead filters are left out. The controls are the same network with
random weights (neighboring pixels of photos are similar, so that any two filters correlate) and rotations that do not
fit: the map is turned back by 90 degrees too much. An interval is of 95 %, from bootstrap draws of the filters.

**Fewer filters.** In the first convolution of SqueezeNet the filters that are most similar to another are replaced by
that other one, transformed and scaled to the nearest kernel. Biases are kept. The accuracy on the photos is measured
with partners from the same transforms, and with random partners (the mean of three draws) and zeros as controls.

Results are stored in the folder, and a stopped run continues there. ``--small`` takes few photos and one layer.
"""

import argparse
import itertools
import os
import pathlib
import sys
from functools import partial

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from fewer_filters import COLORS, GROUPS, TURNS, measure_fewer_filters, print_fewer, with_interval
from rich.console import Console
from rich.table import Table

import kerasal
from kerasal import hooks, images, preprocessing, store

import keras

LAYERS = {
    "VGG-16, edge-tuned": ["block1_conv1", "block2_conv1", "block5_conv3"],
    "SqueezeNet": ["conv1", "fire4_expand3x3", "fire9_expand3x3"],
}
SQUEEZENET_SIDE = 159  # every convolution and pooling covers the map to its edges, so that rotations fit exactly


def read_photos(folder, count, side):
    """Return every n-th photo of the folder, uint8 (count, side, side, 3), and its class index."""
    files = sorted(folder.glob("*.jpg"))
    files = [files[i] for i in np.linspace(0, len(files) - 1, min(count, len(files))).astype(int)]
    return np.stack([images.fit_image(images.read(file), (side, side)) for file in files]), [
        int(file.name[:4]) for file in files
    ]


def maps_of(model, layers, pixels):
    inputs = preprocessing.get("caffe").apply(pixels)
    return hooks.activations(model, layers, inputs, any_size=True)


def standardized(maps, alive):
    """Return maps (N, h, w, C) as columns (N h w, C) of the alive channels, with mean 0 and length 1."""
    columns = maps[..., alive].reshape(-1, len(alive)).astype(np.float32)
    columns = columns - columns.mean(axis=0)
    return columns / np.maximum(np.linalg.norm(columns, axis=0), 1e-12)


def thin(maps, most=20):
    """Return maps on a regular grid of at most ``most`` positions per direction, symmetric about the middle."""
    last = maps.shape[1] - 1
    step = next(step for step in itertools.count(-(-maps.shape[1] // most)) if last % step % 2 == 0)
    return maps[:, last % step // 2 :: step, last % step // 2 :: step]


def correlations(model, layers, pixels, batch=16):
    """Return {layer: r (2, 4, 6, C, C)} of halves of the photos, turns and colors, misfits (2, 4, C, C), and channels.

    r[half, turn, color, c, d] compares the map of c for the photos with that of d for the transformed photos.
    """
    halves = pixels[0::2], pixels[1::2]

    def all_maps(photos):
        parts = [maps_of(model, layers, photos[start : start + batch]) for start in range(0, len(photos), batch)]
        return {layer: np.concatenate([thin(part[layer]) for part in parts]) for layer in layers}

    plain = [all_maps(half) for half in halves]
    alive = {
        layer: np.flatnonzero(np.min([maps[layer].std(axis=(0, 1, 2)) for maps in plain], axis=0) > 0)
        for layer in layers
    }
    base = [{layer: standardized(maps[layer], alive[layer]) for layer in layers} for maps in plain]
    result = {
        layer: np.zeros((2, 4, len(COLORS), len(alive[layer]), len(alive[layer])), np.float32) for layer in layers
    }
    misfit = {layer: np.zeros((2, 4, len(alive[layer]), len(alive[layer])), np.float32) for layer in layers}
    for half, turn, color in itertools.product(range(2), TURNS, range(len(COLORS))):
        changed = np.rot90(halves[half], turn, axes=(1, 2))[..., COLORS[color]]
        for layer, maps in all_maps(np.ascontiguousarray(changed)).items():
            back = np.rot90(maps, -turn, axes=(1, 2))
            result[layer][half, turn, color] = base[half][layer].T @ standardized(back, alive[layer])
            if color == 0 and turn:
                wrong = np.rot90(maps, -turn - 1, axes=(1, 2))
                misfit[layer][half, turn] = base[half][layer].T @ standardized(wrong, alive[layer])
    return result, misfit, alive


def best_partners(r, transforms):
    """Return r on the second half of the photos of the partner and transform that are best on the first, per filter."""
    chosen = np.stack([r[:, turn, color] for turn, color in transforms], axis=1)  # (2, T, C, C)
    diagonal = np.arange(chosen.shape[-1])
    chosen[:, :, diagonal, diagonal] = -np.inf  # a filter is no partner of its own
    by_filter = chosen.transpose(0, 2, 1, 3).reshape(2, len(diagonal), -1)
    return by_filter[1][diagonal, by_filter[0].argmax(axis=1)]


def measure_copies(model, layers, pixels):
    """Return {"LAYER/GROUP": r of every alive filter with its best partner}."""
    r, misfit, _ = correlations(model, layers, pixels)
    found = {}
    for layer in layers:
        found |= {f"{layer}/{group}": best_partners(r[layer], transforms) for group, transforms in GROUPS.items()}
        wrong = np.concatenate([r[layer][:, :1, :1], misfit[layer][:, 1:, None]], axis=1)  # the identity, and misfits
        found[f"{layer}/misfit"] = best_partners(wrong, GROUPS["rotation"])
    return found


def cached(file, compute):
    """Return the arrays of a file, which is computed and written first if there is none."""
    if not file.is_file():
        print(file.stem, flush=True)
        store.write_arrays(file, compute())
    with np.load(file) as stored:
        return {name: stored[name] for name in stored.files}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=pathlib.Path)
    parser.add_argument("squeezenet", type=pathlib.Path)
    parser.add_argument("vgg16", type=pathlib.Path)
    parser.add_argument("--output", "-o", type=pathlib.Path, default=pathlib.Path("runs/filter-copies"))
    parser.add_argument("--photos-per-half", type=int, default=16)
    parser.add_argument("--small", action="store_true", help="four photos and a layer of each network")
    options = parser.parse_args()
    folder = options.output / ("small" if options.small else "")
    squeezenet = kerasal.load_model(options.squeezenet)
    vgg16 = kerasal.create_model("vgg16", options.vgg16, include_top=False, input_shape=(112, 112, 3))
    keras.utils.set_random_seed(0)
    random = {
        "SqueezeNet": keras.models.clone_model(squeezenet),
        "VGG-16, edge-tuned": kerasal.create_model("vgg16", include_top=False, input_shape=(112, 112, 3)),
    }
    count = 2 if options.small else options.photos_per_half
    pixels = {
        "VGG-16, edge-tuned": read_photos(options.photos, 2 * count, 112)[0],
        "SqueezeNet": read_photos(options.photos, 2 * count, SQUEEZENET_SIDE)[0],
    }
    copies = {}
    for name, model in (("VGG-16, edge-tuned", vgg16), ("SqueezeNet", squeezenet)):
        layers = LAYERS[name][:1] if options.small else LAYERS[name]
        for kind, network in (("trained", model), ("random", random[name])):
            file = folder / f"{name.split(',')[0].lower()}-{kind}.npz"
            copies[name, kind] = cached(file, partial(measure_copies, network, layers, pixels[name]))
    print_copies(copies)
    photos, truth = read_photos(options.photos, 20 if options.small else 400, 227)
    rows = cached(folder / "fewer.npz", lambda: measure_fewer_filters(squeezenet, photos, np.array(truth)))
    print_fewer(rows)


def print_copies(copies):
    title = "Correlation of a filter with its best partner (mean), and share of filters with r above .9"
    table = Table(
        "layer", "filters", "weights", "identity", "rotation", "color", "both", "misfit", "both − identity", title=title
    )
    for (name, kind), found in copies.items():
        for layer in dict.fromkeys(key.partition("/")[0] for key in found):
            r = {group: found[f"{layer}/{group}"] for group in (*GROUPS, "misfit")}
            cells = [f"{values.mean():.3f}; {np.mean(values > 0.9):.2f}" for values in r.values()]
            gain = with_interval(r["both"] - r["identity"])
            table.add_row(f"{name} {layer}", str(len(r["both"])), kind, *cells, gain)
    Console(width=190).print(table)


if __name__ == "__main__":
    main()
