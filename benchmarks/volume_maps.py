"""Do the maps of a 3-D network lie on what its task is about: the center of a patch, or its gray matter?

    python benchmarks/volume_maps.py volumes -o RUNS [--seeds 1]

The folder holds a T1 image of a brain and the gray-matter probability of its voxels, two files of NIfTI with t1 and gm
in their names (MNI ICBM 152 2009a). Patches of 13 × 13 × 13 voxels of 1 mm are the inputs of a network of three
convolutions and one dense layer, which keeps the places. It learns two tasks, whose evidence lies in known places:

``center``    Is the voxel at the center gray matter (probability above .6) or not (below .1)? The truth is the center.
``amount``    Is there more gray matter in the patch than in the median patch of its set? The truth is the gray matter,
              wherever it is in the patch.

Both tasks are scored on the same test patches, which have gray matter at the center and in 20 to 80 % of their voxels,
so that what the image alone tells is the same for both. Training patches are from the back of the brain and test
patches from the front, without a common voxel; left and right would not do, since the template is symmetric. Maps are
those of the score for gray matter, or for more of it.

"AUC" is the area under the ROC curve of the map's values for the voxels whose probability is above .5: the chance that
a voxel of gray matter has a higher value than another one. "lift, gray" and "lift, center" are the share of the map's
positive sum in the gray matter, or within 2 voxels of the center, divided by the share of the voxels; 1 is chance.
Controls: a random smooth map, a Gaussian at the center, the brightness and the edges of the image, and the same
network with shuffled weights. Integrated gradients start from black, and occlusion covers with black.

Networks and scores are stored in RUNS, and a stopped run continues there. ``--small`` uses few patches and epochs.
"""

import argparse
import os
import pathlib
import sys
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
from map_scores import (
    Rows,
    by_row,
    center,
    interval,
    lift,
    occlusion,
    print_rows,
    shuffled,
    smooth_noise,
    stored_model,
    use_one_thread,
)
from sklearn.metrics import roc_auc_score

from kerasal import attribution, images

import keras
from keras import layers

SIDE, HALF, BORDER = 13, 6, 130  # BORDER: training patches end before this coronal plane, test patches start there
METHODS = {
    "gradcam": attribution.gradcam,
    "layercam": attribution.layercam,
    "integrated_gradients": lambda model, x, target: attribution.integrated_gradients(model, x, target, steps=20),
    "occlusion": lambda model, x, target: occlusion(model, x, target, window=3, stride=2),
    "class_saliency": attribution.class_saliency,
}
SHUFFLED = ("gradcam", "integrated_gradients")  # also computed with shuffled weights


def network() -> keras.Model:
    """Return an untrained network of patches in 0..1 with one score."""
    parts = [
        layers.Conv3D(8, 3, strides=2, padding="same", activation="relu"),
        layers.Conv3D(16, 3, activation="relu"),
        layers.Conv3D(16, 3, padding="same", activation="relu"),
        layers.Flatten(),
        layers.Dropout(0.3),
        layers.Dense(1),
    ]
    return keras.Sequential([keras.Input((SIDE, SIDE, SIDE, 1)), *parts], name="patches")


def train(x: np.ndarray, y: np.ndarray, seed: int, epochs: int) -> keras.Model:
    """Return a network trained on all patches, as a function of the seed."""
    keras.utils.set_random_seed(seed)
    model = network()
    rate = keras.optimizers.schedules.CosineDecay(2e-3, epochs * -(-len(x) // 32))
    model.compile(keras.optimizers.Adam(rate), keras.losses.BinaryCrossentropy(from_logits=True))
    model.fit(x, y, batch_size=32, epochs=epochs, verbose=0)
    return model


class Brain:
    """A T1 image in 0..1 and the probability of gray matter, from which patches are cut."""

    def __init__(self, folder: pathlib.Path):
        volumes = []
        for name in ("t1", "gm"):
            (file,) = folder.glob(f"*_{name}_*.nii*")
            voxels = images.read_volume(file).voxels[..., 0].astype(np.float32)
            volumes.append(voxels / voxels.max())
        self.t1, self.gray = volumes

    def cut(self, volume: np.ndarray, centers: np.ndarray) -> np.ndarray:
        """Return the patches around centers, (N, 13, 13, 13)."""
        patches = np.lib.stride_tricks.sliding_window_view(volume, (SIDE, SIDE, SIDE))
        return patches[tuple((centers - HALF).T)]

    def centers(self, chosen: np.ndarray, front: bool, count: int, random: np.random.Generator) -> np.ndarray:
        """Return random voxels of the brain among the chosen ones, at the front or at the back, (count, 3)."""
        allowed = chosen & (self.t1 > 0)
        for axis in range(3):
            edges = np.moveaxis(allowed, axis, 0)
            edges[:HALF], edges[-HALF:] = False, False
        (allowed[:, : BORDER + HALF] if front else allowed[:, BORDER - HALF :])[:] = False
        places = np.flatnonzero(allowed)
        return np.stack(np.unravel_index(random.choice(places, count, replace=False), allowed.shape), axis=1)

    def task(self, name: str, front: bool, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return patches of a task, half of each class, float32 (count, 13, 13, 13, 1), and their classes."""
        random, kinds = np.random.default_rng(seed), (self.gray < 0.1, self.gray > 0.6)
        centers = np.concatenate([self.centers(kind, front, count // 2, random) for kind in kinds])
        y = np.repeat([0.0, 1.0], count // 2)
        if name == "amount":
            amounts = (self.cut(self.gray, centers) > 0.5).mean(axis=(1, 2, 3))
            y = (amounts > np.median(amounts)).astype(float)
        return self.cut(self.t1, centers)[..., None], y

    def scored(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return test patches with gray matter at the center and in 20 to 80 % of their voxels, and where it is."""
        centers = self.centers(self.gray > 0.6, True, 4 * count, np.random.default_rng(100))
        gray = self.cut(self.gray, centers) > 0.5
        share = gray.mean(axis=(1, 2, 3))
        chosen = np.flatnonzero((share > 0.2) & (share < 0.8))[:count]
        return self.cut(self.t1, centers[chosen])[..., None], gray[chosen]


def compute_maps(models: dict[str, keras.Model], x: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Return the maps of each row for the score, (N, 13, 13, 13)."""
    random, shape = np.random.default_rng(seed), (SIDE, SIDE, SIDE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", attribution.ZeroMap)
        maps = {name: method(models["trained"], x, 0) for name, method in METHODS.items()}
        for name in SHUFFLED:
            maps[f"{name}, shuffled weights"] = METHODS[name](models["shuffled"], x, 0)
    maps["brightness"] = x[..., 0]
    maps["edges"] = np.linalg.norm(np.gradient(x[..., 0], axis=(1, 2, 3)), axis=0)
    maps["random map"] = np.stack([smooth_noise(shape, (5, 5, 5), random) for _ in x])
    maps["center"] = np.stack([center(shape)] * len(x))
    return maps


def score(models: dict[str, keras.Model], x: np.ndarray, gray: np.ndarray, task: str, seed: int) -> list[dict]:
    """Return the scores of the maps by the gray matter and by the center."""
    axes = np.ogrid[-HALF : HALF + 1, -HALF : HALF + 1, -HALF : HALF + 1]
    middle = sum(axis**2 for axis in axes) <= 4
    scores = []
    for row, maps in compute_maps(models, x, seed).items():
        for number, (values, truth) in enumerate(zip(maps, gray, strict=True)):
            measured = {"AUC": roc_auc_score(truth.ravel(), values.ravel())}
            measured |= {"lift, gray": lift(values, truth), "lift, center": lift(values, middle)}
            scores.append({"task": f"{task} {seed}", "seed": seed, "patch": number, "row": row, **measured})
    return scores


def print_results(table: pd.DataFrame, accuracies: dict[str, list[float]]) -> None:
    """Print a table per task, means over the seeds with intervals over patches, and the differences of the tasks."""
    wide = {}
    for task, shares in accuracies.items():
        part = table[table["task"].str.startswith(task)]
        wide[task] = by_row(part, "patch")
        print(f"\n### {task}, {part['patch'].nunique()} test patches, {len(shares)} seeds\n")
        print(f"Right class of new patches, by seed: {', '.join(f'{share:.3f}' for share in shares)}.")
        print_rows(wide[task], ["AUC", "lift, gray", "lift, center"], [("AUC", "brightness"), ("AUC", "random map")])
    print("\n### amount − center\n\n| | AUC | lift, gray | lift, center |\n|---|---|---|---|")
    for row in METHODS:
        difference = wide["amount"][row] - wide["center"][row]
        print(f"| {row} | {' | '.join(interval(difference[name]) for name in ('AUC', 'lift, gray', 'lift, center'))} |")


def main(words=None) -> None:
    """Read the arguments, train, measure and print."""
    summary, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("volumes", type=pathlib.Path, help="folder with the T1 image and the gray-matter map")
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True, help="folder of networks and scores")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--patches", type=int, default=1200, help="training patches")
    parser.add_argument("--scored", type=int, default=50, help="test patches with maps")
    parser.add_argument("--small", action="store_true", help="few patches and epochs, to try the script")
    arguments = parser.parse_args(words)
    if arguments.small:
        arguments.seeds, arguments.epochs, arguments.patches, arguments.scored = 1, 1, 64, 3
    brain, rows = Brain(arguments.volumes), Rows(arguments.output / "volumes.csv", "task")
    x, gray = brain.scored(arguments.scored)
    accuracies = {"center": [], "amount": []}
    for task, shares in accuracies.items():
        x_test, y_test = brain.task(task, True, 400, 1000)
        for seed in range(arguments.seeds):

            def train_seed(task=task, seed=seed):
                return train(*brain.task(task, False, arguments.patches, seed), seed, arguments.epochs)

            model = stored_model(arguments.output / f"{task}_{seed}.keras", train_seed)
            shares.append(((model.predict(x_test, verbose=0)[:, 0] > 0) == y_test).mean())
            if f"{task} {seed}" not in rows.done:
                models = {"trained": model, "shuffled": shuffled(model, seed)}
                rows.add(score(models, x, gray, task, seed))
    print_results(rows.table, accuracies)


if __name__ == "__main__":
    use_one_thread()
    main()
