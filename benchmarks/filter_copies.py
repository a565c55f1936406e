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
from rich.console import Console
from rich.table import Table

import kerasal
from kerasal import hooks, images, preprocessing, store

import keras

COLORS = list(itertools.permutations(range(3)))
TURNS = range(4)
GROUPS = {
    "identity": [(0, 0)],
    "rotation": [(turn, 0) for turn in TURNS],
    "color": [(0, color) for color in range(len(COLORS))],
    "both": [(turn, color) for turn in TURNS for color in range(len(COLORS))],
}
LAYERS = {
    "VGG-16, edge-tuned": ["block1_conv1", "block2_conv1", "block5_conv3"],
    "SqueezeNet": ["conv1", "fire4_expand3x3", "fire9_expand3x3"],
}
REPLACED = (8, 16, 32)
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


def bootstrap(values, draws=10_000):
    drawn = np.random.default_rng(0).integers(0, len(values), (draws, len(values)))
    return np.quantile(np.asarray(values)[drawn].mean(axis=1), (0.025, 0.975))


def with_interval(values):
    low, high = bootstrap(values)
    return f"{np.mean(values):.3f} [{low:.3f}, {high:.3f}]"


def measure_copies(model, layers, pixels):
    """Return {"LAYER/GROUP": r of every alive filter with its best partner}."""
    r, misfit, _ = correlations(model, layers, pixels)
    found = {}
    for layer in layers:
        found |= {f"{layer}/{group}": best_partners(r[layer], transforms) for group, transforms in GROUPS.items()}
        wrong = np.concatenate([r[layer][:, :1, :1], misfit[layer][:, 1:, None]], axis=1)  # the identity, and misfits
        found[f"{layer}/misfit"] = best_partners(wrong, GROUPS["rotation"])
    return found


def transform_kernels(kernels, turn, color):
    """Return kernels (h, w, 3, C), BGR, of the filters that see a photo as these see it turned and recolored."""
    order = [2 - COLORS[color].index(2 - channel) for channel in range(3)]
    return np.rot90(kernels[:, :, order], -turn, axes=(0, 1))


def kernel_partners(kernels, transforms):
    """Return (replaced filter, new kernel) of pairs, the most similar first; no filter is replaced and a partner."""
    count = kernels.shape[-1]
    flat = kernels.reshape(-1, count)
    candidates = []
    for turn, color in transforms:
        other = transform_kernels(kernels, turn, color).reshape(-1, count)
        cosine = flat.T @ other / np.outer(np.linalg.norm(flat, axis=0), np.linalg.norm(other, axis=0))
        candidates += [(cosine[c, d], c, d, other[:, d]) for c in range(count) for d in range(count) if c != d]
    replaced, partners, pairs = set(), set(), []
    for _, c, d, kernel in sorted(candidates, key=lambda entry: -entry[0]):
        if c not in replaced | partners and d not in replaced:
            replaced.add(c)
            partners.add(d)
            pairs.append((c, scaled(flat[:, c], kernel).reshape(kernels.shape[:3])))
    return pairs


def scaled(target, kernel):
    """Return the multiple of the kernel that is nearest to the target."""
    return kernel * (target @ kernel) / (kernel @ kernel)


def random_partners(kernels, replaced, seed):
    random, flat = np.random.default_rng(seed), kernels.reshape(-1, kernels.shape[-1])
    others = np.setdiff1d(np.arange(kernels.shape[-1]), replaced)
    return [(c, scaled(flat[:, c], flat[:, random.choice(others)]).reshape(kernels.shape[:3])) for c in replaced]


def measure_fewer_filters(model, pixels, truth):
    """Return {row: whether each photo is classified correctly}, for numbers of replaced filters and ways to do so."""
    layer, inputs = model.get_layer("conv1"), preprocessing.get("caffe").apply(pixels)
    kernels = np.asarray(layer.kernel)

    def right(pairs):
        changed = kernels.copy()
        for c, kernel in pairs:
            changed[..., c] = kernel
        layer.kernel.assign(changed)
        return model.predict(inputs, batch_size=50, verbose=0).argmax(axis=1) == truth

    rows = {"0/all": right([])}
    by_group = {group: kernel_partners(kernels, transforms) for group, transforms in GROUPS.items()}
    for count in REPLACED:
        for group, pairs in by_group.items():
            if len(pairs) >= count:
                rows[f"{count}/{group}"] = right(pairs[:count])
        replaced = [c for c, _ in by_group["both"][:count]]
        for seed in range(3):
            rows[f"{count}/random {seed}"] = right(random_partners(kernels, replaced, seed))
        rows[f"{count}/zeros"] = right([(c, 0.0) for c in replaced])
    layer.kernel.assign(kernels)
    return rows


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


def print_fewer(rows):
    names = ("identity", "rotation", "color", "both", "random", "zeros")
    whole = rows["0/all"]
    title = f"Accuracy on {len(whole)} photos with filters of conv1 replaced; {whole.mean():.3f} with all 64"
    table = Table("replaced", *names, "both − all", "both − random", title=title)
    for count in REPLACED:
        drawn = np.mean([rows[f"{count}/random {seed}"] for seed in range(3)], axis=0)
        by_name = {name: rows.get(f"{count}/{name}") for name in names} | {"random": drawn}
        cells = ["–" if values is None else f"{np.mean(values):.3f}" for values in by_name.values()]
        differences = [with_interval(by_name["both"] - other.astype(float)) for other in (whole, drawn)]
        table.add_row(str(count), *cells, *differences)
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
