"""Fewer filters: kernels of a layer replaced by transformed others, for ``filter_copies.py``."""

import itertools

import numpy as np
from rich.console import Console
from rich.table import Table

from kerasal import preprocessing

COLORS = list(itertools.permutations(range(3)))
TURNS = range(4)
GROUPS = {
    "identity": [(0, 0)],
    "rotation": [(turn, 0) for turn in TURNS],
    "color": [(0, color) for color in range(len(COLORS))],
    "both": [(turn, color) for turn in TURNS for color in range(len(COLORS))],
}
REPLACED = (8, 16, 32)


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


def bootstrap(values, draws=10_000):
    drawn = np.random.default_rng(0).integers(0, len(values), (draws, len(values)))
    return np.quantile(np.asarray(values)[drawn].mean(axis=1), (0.025, 0.975))


def with_interval(values):
    low, high = bootstrap(values)
    return f"{np.mean(values):.3f} [{low:.3f}, {high:.3f}]"


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
