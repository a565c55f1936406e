"""Do the maps of a 1-D network lie where the hand meets the holster?

    python benchmarks/signal_maps.py signals -o RUNS [--seeds 3]

GunPoint of the UCR archive, 50 signals to train and 150 to test, each the horizontal place of a hand at 150 times. An
actor draws a gun from a holster at the hip, points it for about a second and puts it back, or does all this with the
finger alone (Ratanamahatana & Keogh 2005). By these instructions the classes differ in what the hand does at the hip,
before it rises and after it sinks, and not while it points. The holster interval is found from each signal alone,
without labels, maps or a network: the 30 samples before the signal first rises through half of its range and the 30
after it last falls through it (half between the 10 % and the 90 % quantile). It is where the actors were told to
differ, not a proof that nothing else differs: "nearest neighbor" classifies test signals by the interval alone and by
the rest alone.

The network has three convolutions, global average pooling and one dense layer, after Wang, Yan & Oates 2017 ("FCN"),
with a quarter of their channels, trained from scratch once per seed. Its maps are those of the true class. "lift" is
the share of a map's positive sum in the interval, divided by the interval's share of the signal: 1 is chance. "gun" and
"finger" are the signals of one class; "drawing" and "putting back" are the two parts of the interval, in the second of
which Ye & Keogh 2009 found the most telling piece of the signals. "lift, 20" and "lift, 40" take as many samples
instead of 30. "hit" is the pointing game.

Controls: a random smooth map; the speed of the hand; the height of the hand below half, a map that only knows where the
hand is low; and the same network with shuffled weights.

Networks and scores are stored in RUNS, and a stopped run continues there. ``--small`` uses few signals and epochs.
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
    interval,
    lift,
    occlusion,
    print_rows,
    shuffled,
    smooth_noise,
    stored_model,
    use_one_thread,
)
from sklearn.neighbors import KNeighborsClassifier

from kerasal import attribution

import keras
from keras import layers

METHODS = {
    "gradcam": attribution.gradcam,
    "integrated_gradients": attribution.integrated_gradients,
    "occlusion": lambda model, x, target: occlusion(model, x, target, window=15, stride=3),
    "gradient_x_input": attribution.gradient_x_input,
    "class_saliency": attribution.class_saliency,
}
CLASSES = ("gun", "finger")
SHUFFLED = ("gradcam", "integrated_gradients", "occlusion")  # also computed with shuffled weights


def network(steps: int, channels: int, classes: int) -> keras.Model:
    """Return an untrained network of signals (steps, channels)."""
    parts = []
    for width, kernel in ((32, 8), (64, 5), (32, 3)):
        parts += [layers.Conv1D(width, kernel, padding="same"), layers.BatchNormalization(), layers.ReLU()]
    ending = [layers.GlobalAveragePooling1D(), layers.Dense(classes)]
    return keras.Sequential([keras.Input((steps, channels)), *parts, *ending], name="fcn")


def train(x: np.ndarray, y: np.ndarray, classes: int, seed: int, epochs: int) -> keras.Model:
    """Return a network trained on all signals, as a function of the seed."""
    keras.utils.set_random_seed(seed)
    model = network(*x.shape[1:], classes)
    rate = keras.optimizers.schedules.CosineDecay(2e-3, epochs * -(-len(x) // 16))
    model.compile(keras.optimizers.Adam(rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, batch_size=16, epochs=epochs, verbose=0)
    return model


def holster_interval(signal: np.ndarray, reach: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Return where the hand is at the hip before it rises and after it sinks, two boolean arrays (steps,)."""
    low, high = np.quantile(signal, [0.1, 0.9])
    above, steps = np.flatnonzero(signal > (low + high) / 2), np.arange(len(signal))
    before = (steps >= above[0] - reach) & (steps < above[0])
    return before, (steps > above[-1]) & (steps <= above[-1] + reach)


def nearest_neighbor(data: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return for each test signal whether its nearest neighbor by the interval, or by the rest, has its class."""
    right = {}
    for name, inside in (("holster interval", True), ("rest", False)):
        parts = {}
        for split in ("train", "test"):
            pieces = []
            for signal in data[f"x_{split}"][..., 0]:
                chosen = signal[np.logical_or(*holster_interval(signal)) == inside]
                pieces.append(np.interp(np.linspace(0, 1, 60), np.linspace(0, 1, len(chosen)), chosen))
            parts[split] = np.stack(pieces)
        nearest = KNeighborsClassifier(1).fit(parts["train"], data["y_train"])
        right[name] = nearest.predict(parts["test"]) == data["y_test"]
    return right


def compute_maps(models: dict[str, keras.Model], x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """Return the maps of each row for the true classes, (N, steps)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", attribution.ZeroMap)
        maps = {name: method(models["trained"], x, y) for name, method in METHODS.items()}
        for name in SHUFFLED:
            maps[f"{name}, shuffled weights"] = METHODS[name](models["shuffled"], x, y)
    return maps


def score(models: dict[str, keras.Model], x: np.ndarray, y: np.ndarray, seed: int) -> list[dict]:
    """Return the scores of the maps of the true class by the holster intervals."""
    random, signals, scores = np.random.default_rng(seed), x[..., 0], []
    right = models["trained"].predict(x, verbose=0).argmax(axis=1) == y
    maps = compute_maps(models, x, y)
    maps["speed of the hand"] = np.abs(np.gradient(signals, axis=1))
    maps["height below half"] = np.quantile(signals, [0.1, 0.9], axis=1).mean(axis=0)[:, None] - signals
    maps["random map"] = np.stack([smooth_noise(signals[0].shape, (20,), random) for _ in x])
    for number, signal in enumerate(signals):
        reaches = {reach: holster_interval(signal, reach) for reach in (20, 30, 40)}
        before, after = reaches[30]
        for row, values in maps.items():
            measured = {"hit": float(np.logical_or(before, after)[values[number].argmax()])}
            measured["lift"] = lift(values[number], before | after)
            measured |= {f"lift, {reach}": lift(values[number], np.logical_or(*reaches[reach])) for reach in (20, 40)}
            measured |= {
                "lift, drawing": lift(values[number], before),
                "lift, putting back": lift(values[number], after),
            }
            shared = {"seed": seed, "signal": number, "row": row, "right": int(right[number])}
            scores.append(shared | measured | {"interval": np.logical_or(before, after).mean()})
    return scores


def print_results(table: pd.DataFrame, labels: np.ndarray, neighbors: dict[str, np.ndarray]) -> None:
    """Print the tables, means over the seeds with intervals over signals, and those of the two classes alone."""
    wide = by_row(table, "signal")
    first = next(iter(wide.values()))
    print(f"\n### gunpoint, {len(first)} test signals, {table['seed'].nunique()} seeds\n")
    print(f"Right class: {interval(first['right'])}; nearest neighbor by the", end=" ")
    print(", by the ".join(f"{name}: {interval(right)}" for name, right in neighbors.items()), end=". ")
    print(f"The interval is {first['interval'].mean():.3f} of a signal.")
    for row, part in wide.items():
        for label, name in enumerate(CLASSES):
            part[f"lift, {name}"] = part["lift"].where(labels[part.index] == label)
        if row in SHUFFLED:
            part["lift − shuffled"] = part["lift"] - wide[f"{row}, shuffled weights"]["lift"]
            part["lift − shuffled, gun"] = part["lift − shuffled"].where(labels[part.index] == 0)
    columns = ["hit", "lift", *(f"lift, {name}" for name in CLASSES), "lift, drawing", "lift, putting back"]
    print_rows(wide, columns, [])
    others = ("random map", "speed of the hand", "height below half")
    print_rows(wide, ["lift, 20", "lift, 40"], [("lift", other) for other in others])
    print_rows(wide, [], [("lift, gun", other) for other in others])
    print_rows({row: wide[row] for row in SHUFFLED}, ["lift − shuffled", "lift − shuffled, gun"], [])


def load(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file, with the channels of all signals standardized by the training signals."""
    with np.load(path) as archive:
        data = {name: archive[name] for name in archive.files}
    mean, deviation = (statistic(data["x_train"], axis=(0, 1)) for statistic in (np.mean, np.std))
    standard = {name: ((data[name] - mean) / deviation).astype(np.float32) for name in ("x_train", "x_test")}
    return data | standard | {name: data[name].astype(int) for name in ("y_train", "y_test")}


def trained(arguments, data: dict[str, np.ndarray], name: str, seed: int) -> dict[str, keras.Model]:
    """Return the network of a seed, trained or from its file, and the same with shuffled weights."""

    def train_seed():
        return train(data["x_train"], data["y_train"], len(data["classes"]), seed, arguments.epochs)

    model = stored_model(arguments.output / f"{name}_{seed}.keras", train_seed)
    return {"trained": model, "shuffled": shuffled(model, seed)}


def read_arguments(doc: str | None, words) -> argparse.Namespace:
    """Return the arguments of a script whose docstring this is."""
    summary, _, rest = (doc or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("signals", type=pathlib.Path, help="folder with gunpoint.npz and basicmotions.npz")
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True, help="folder of networks and scores")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=400)
    parser.add_argument("--small", action="store_true", help="few signals and epochs, to try the script")
    arguments = parser.parse_args(words)
    if arguments.small:
        arguments.seeds, arguments.epochs = 1, 2
    return arguments


def main(words=None) -> None:
    """Train, measure and print."""
    arguments = read_arguments(__doc__, words)
    data, rows = load(arguments.signals / "gunpoint.npz"), Rows(arguments.output / "gunpoint.csv", "seed")
    step = 20 if arguments.small else 1
    for seed in range(arguments.seeds):
        if str(seed) not in rows.done:
            models = trained(arguments, data, "gunpoint", seed)
            rows.add(score(models, data["x_test"][::step], data["y_test"][::step], seed))
    print_results(rows.table, data["y_test"][::step], nearest_neighbor(data))


if __name__ == "__main__":
    use_one_thread()
    main()
