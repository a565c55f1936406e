"""Tune a VGG for gaze at full width, and compare its patterns before and after (He & Pugeault 2017, section 4).

    python benchmarks/deep_saliency.py OSIE_FOLDER VGG16.npz -o RUNS [--models NAME ...] [--only NAME ...]
    python benchmarks/deep_saliency.py --small -o RUNS

VGG16.npz holds the convolutions of a VGG-16, such as ``block1_conv1/kernel``. ``deep_saliency`` is trained with the
recipe ``he_pugeault`` up to ``block5_pool``, on 450 training images of OSIE: twice from these weights, with different
orders of the images, and once from random weights. A stopped run continues where it was; finished runs, patterns and
scores are read. ``--small`` is a trial in seconds, with a narrow random model and generated images.

The tables are printed as Markdown, with the mean and the 95 % bootstrap interval over images or channels. They are also
written to RUNS/tables.md, and the pictures to RUNS. A finished experiment is only printed.
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd

import kerasal
from kerasal import gaze, images, receptive_field, training
from kerasal.datasets import GazeDataset, open_gaze
from kerasal.digests import digest
from kerasal.files import atomic_write
from kerasal.metrics.summary import summarize
from kerasal.receptive_field.patterns.pattern_pages import render_tiles
from kerasal.store import reading_arrays, write_arrays

import keras

LAYERS = [f"block{number}_pool" for number in range(1, 6)]
STARTS = {"before": True, "random": False}  # name -> from the pretrained weights
RUNS = {"tuned": (True, 0), "tuned again": (True, 1), "from scratch": (False, 0)}  # name -> pretrained, seed
PAIRS = [("before", "tuned"), ("before", "tuned again"), ("tuned", "tuned again"), ("random", "from scratch")]
PARTS = {"blocks 1–3 tuned": {1, 2, 3}, "blocks 4–5 tuned": {4, 5}, "block 5 tuned": {5}}
COLUMNS = {"nss": "NSS", "cc": "CC", "auc_judd": "AUC (Judd)", "auc_shuffled": "shuffled AUC"}


def generate_data(count, seed):
    """Return images with one bright square, and fixations around it."""
    random, generated, points = np.random.default_rng(seed), [], []
    for _ in range(count):
        x, y = random.integers(12, 52), random.integers(10, 38)
        image = random.integers(0, 60, (48, 64, 3), np.uint8)
        image[y - 4 : y + 5, x - 4 : x + 5] = 230
        generated.append(image)
        points.append(np.clip(random.normal((x, y), 2, (20, 2)), 0, (63, 47)))
    return GazeDataset(generated, points)


def interval(values):
    """Return the mean and its 95 % bootstrap interval as text; values that are not numbers are left out."""
    values = np.asarray(values, float)
    row = summarize(pd.DataFrame({"": values[np.isfinite(values)]})).iloc[0]
    return f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


_printed = []


def print_lines(*lines):
    """Print lines, and keep them for tables.md."""
    _printed.extend(lines)
    print(*lines, sep="\n", flush=True)


def print_table(title, rows):
    """Print {row: {column: text}} as a Markdown table below its title."""
    columns = list(next(iter(rows.values())))
    lines = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(str(row[column]) for column in columns)} |" for name, row in rows.items()]
    print_lines("", f"### {title}", "", *lines)


class Experiment:
    """The models of the experiment, their patterns and their scores, all kept in a folder."""

    def __init__(self, arguments):
        self.folder, self.small, self.epochs = arguments.output, arguments.small, arguments.epochs
        self.count, self.weights = arguments.channels, arguments.backbone
        self.size = (48, 64) if self.small else tuple(arguments.size)
        self.layers = LAYERS[1:3] if self.small else LAYERS
        if self.small:
            train, self.test, self.epochs = generate_data(10, 0), generate_data(6, 1), 1
        else:
            train, self.test = (open_gaze(arguments.osie, split) for split in ("train", "test"))
        self.fit, self.validation = train.split(0.9, 0)
        self.models, self.histories = {}, {}
        self.folder.mkdir(parents=True, exist_ok=True)

    def create_model(self, pretrained):
        keras.utils.set_random_seed(0)
        options = {"width": 1 / 16, "from_layer": self.layers[-1]} if self.small else {}
        weights = self.weights if pretrained and not self.small else None
        shape = (*self.size, 3)
        return kerasal.create_model(
            "deep_saliency", backbone="vgg16", backbone_weights=weights, input_shape=shape, **options
        )

    def train(self, name):
        """Train a model, or read it if its run is finished."""
        pretrained, seed = RUNS[name]
        result = training.train_gaze(
            self.create_model(pretrained),
            self.fit,
            self.validation,
            "he_pugeault",
            self.folder / name.replace(" ", "-"),
            preprocessing="caffe",
            epochs=self.epochs,
            batch_size=10,
            validate_every=1,
            keep="best",
            mirror="half",
            seed=seed,
        )
        self.models[name], self.histories[name] = result.model, result.history

    def scores(self, name):
        """Return the scores of a model on the test images, one row per image."""
        path = self.folder / f"scores-{_digest(self.models[name])}.csv"
        if not path.is_file():
            table = gaze.evaluate(gaze.Predictor(self.models[name], "caffe"), self.test, seed=0)
            with atomic_write(path) as temporary:
                table.to_csv(temporary, index=False)
        return pd.read_csv(path)

    def patterns(self, model, layer, count=None):
        """Return the patterns of the first channels of a layer, signed; they are computed once per model."""
        count = min(count or self.count, model.get_layer(layer).output.shape[-1])
        path = self.folder / "patterns" / f"{layer}-{count}-{_digest(model)}.npz"
        if not path.is_file():
            path.parent.mkdir(exist_ok=True)
            found = receptive_field.patterns(model, layer, range(count), final_relu=False)
            write_arrays(path, {"patterns": found})
        with reading_arrays(path) as arrays:
            return arrays["patterns"]

    def with_weights(self, weights_of):
        """Return a model whose k-th convolution has the weights ``weights_of(k)``."""
        model = self.create_model(False)
        for number, layer in enumerate(convolutions(model)):
            layer.set_weights(weights_of(number))
        return model


def _digest(model):
    return digest(*model.get_weights())[:12]


def convolutions(model):
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D) and layer.name != "readout"]


def flatten(patterns):
    """Return the rectified patterns as rows of length 1; an empty one stays 0."""
    rows = np.maximum(patterns, 0).reshape(len(patterns), -1)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths, lengths, 1)


def cosines(left, right):
    """Return the cosine of each pair of rectified patterns, NaN where one is empty."""
    left, right = flatten(left), flatten(right)
    empty = ~left.any(axis=1) | ~right.any(axis=1)
    return np.where(empty, np.nan, (left * right).sum(axis=1))


def other_channels(patterns):
    """Return the mean cosine of each pattern with those of the other channels."""
    rows = flatten(patterns)
    rows = rows[rows.any(axis=1)]
    return (rows @ rows.T)[~np.eye(len(rows), dtype=bool)].reshape(len(rows), -1).mean(axis=1)


def recognized(left, right):
    """Return, per channel, whether its pattern minus the mean is most similar to that of the same channel."""
    left, right = (rows - rows.mean(axis=0) for rows in (flatten(left), flatten(right)))
    left = left / np.linalg.norm(left, axis=1, keepdims=True)
    return (right @ left.T).argmax(axis=1) == np.arange(len(left))


def report_gaze(experiment):
    """Print how well the maps of the models predict gaze."""
    rows, count = {}, len(experiment.test)
    for name in experiment.models:
        table = experiment.scores(name)
        rows[name] = {title: interval(table[key]) for key, title in COLUMNS.items()}
    for prefix, name in (("center_", "a centered Gaussian"), ("mean_", "mean map of the other images")):
        rows[name] = {title: interval(table[prefix + key]) for key, title in COLUMNS.items()}
    print_table(f"Gaze, {count} test images", rows)
    rows = {
        name: {str(epoch): f"{-loss:.3f}" for epoch, loss in zip(run["epoch"], run["val_loss"], strict=True)}
        for name, run in experiment.histories.items()
    }
    print_table(f"NSS on {len(experiment.validation)} validation images, by epoch", rows)


def report_similarity(experiment, found):
    """Print how similar the patterns of the models are, and draw them side by side."""
    models = experiment.models
    start, end = ([layer.get_weights() for layer in convolutions(models[name])] for name in ("before", "tuned"))
    few = max(2, experiment.count // 4)
    noisy, rows, colors = experiment.with_weights(_noise(start, end)), {}, {}
    for layer in experiment.layers:
        row = {
            f"{a} – {b}": interval(cosines(found[a][layer], found[b][layer])) for a, b in PAIRS if {a, b} <= set(found)
        }
        noise = experiment.patterns(noisy, layer, few)
        row["before – noise"] = interval(cosines(found["before"][layer][:few], noise))
        row["before – other channel"] = interval(other_channels(found["before"][layer]))
        row["recognized after tuning"] = interval(recognized(found["before"][layer], found["tuned"][layer]))
        rows[layer] = row
        sums = {name: np.maximum(found[name][layer], 0).sum(axis=(0, 1, 2))[::-1] for name in found}
        colors[layer] = {name: " / ".join(f"{share:.0%}" for share in rgb / rgb.sum()) for name, rgb in sums.items()}
    print_table("Cosine of the patterns of the same channel", _transpose(rows))
    print_table("Shares of red / green / blue in the patterns", _transpose(colors))

    kernels = [[np.linalg.norm(weights[0]) for weights in model] for model in (start, _differences(start, end))]
    names = [layer.name for layer in convolutions(models["before"])]
    shares = {name: {"change": f"{b / a:.3f}"} for name, a, b in zip(names, *kernels, strict=True)}
    print_table("Change of the kernels by tuning, relative to their length", _transpose(shares))

    rows, blocks = {}, [int(name[5]) for name in names]
    for name, tuned in PARTS.items():
        mixed = experiment.with_weights(lambda k, tuned=tuned: (end if blocks[k] in tuned else start)[k])
        layer = experiment.layers[-1]
        rows[name] = {layer: interval(cosines(found["before"][layer][:few], experiment.patterns(mixed, layer, few)))}
    print_table(f"Cosine with the patterns from before if only some blocks are tuned ({few} channels)", rows)


def _noise(start, end):
    """Return the weights before with noise of the norm of what the training changed."""
    random = np.random.default_rng(0)

    def weights_of(number):
        weights = []
        for old, new in zip(start[number], end[number], strict=True):
            noise = random.normal(size=old.shape)
            weights.append(old + noise * np.linalg.norm(new - old) / np.linalg.norm(noise))
        return weights

    return weights_of


def _differences(start, end):
    return [[new - old for old, new in zip(*pair, strict=True)] for pair in zip(start, end, strict=True)]


def _transpose(rows):
    return {column: {name: row[column] for name, row in rows.items()} for column in next(iter(rows.values()))}


def report_scores(experiment, found):
    """Print the center-surround scores, and draw the channels with the highest."""
    shapes = {
        name: {layer: [receptive_field.center_surround(p) for p in values] for layer, values in by_layer.items()}
        for name, by_layer in found.items()
    }
    for measure in ("score", "symmetry", "contrast"):
        rows = {}
        for layer in experiment.layers:
            values = {name: np.array([getattr(s, measure) for s in shapes[name][layer]]) for name in found}
            row = {name: interval(value) for name, value in values.items()}
            for a, b in (("tuned", "before"), ("tuned again", "before"), ("from scratch", "random")):
                if a in found:
                    row[f"{a} − {b}"] = interval(values[a] - values[b])
            if measure == "score":
                row |= {f"share above .3, {name}": f"{(values[name] > 0.3).mean():.3f}" for name in found}
            rows[layer] = row
        print_table(f"Center-surround, {measure}", _transpose(rows))
    for layer in experiment.layers:
        scores = {name: np.array([shape.score for shape in shapes[name][layer]]) for name in found}
        best = np.argsort(-scores["tuned"])[:8]
        tiles = [tile for name in ("tuned", "before") for tile in render_tiles(found[name][layer][best], bgr=True)]
        labels = [f"{channel}: {scores[name][channel]:.2f}" for name in ("tuned", "before") for channel in best]
        title = f"{layer}: the channels with the highest center-surround score after tuning"
        grid = images.grid(
            tiles,
            labels,
            columns=len(best),
            row_labels=["tuned", "before"],
            title=title,
            note="Labels: channel and score. Patterns before the final ReLU, from the smallest to the largest value.",
        )
        images.write(experiment.folder / f"highest-{layer}.jpg", grid)


def report_validation(experiment, found):
    """Print whether a pattern activates its own channel, and draw the responses to the first pattern."""
    rows, last = {}, experiment.layers[-1]
    for layer in experiment.layers:
        for name in found:
            rectified = np.maximum(found[name][layer], 0)
            table = receptive_field.validate_patterns(
                experiment.models[name], layer, range(len(rectified)), patterns=rectified, rescale=128
            )
            total = experiment.models[name].get_layer(layer).output.shape[-1]
            rows[f"{layer}, {name}"] = {
                "channels": f"{len(table)} of {total}",
                "own channel first": interval((table["rank"] == 1) & (table["activation"] > 0)),
                "own channel silent": interval(table["activation"] == 0),
                "any channel silent": interval(table["silent"] / total),
                "median rank": f"{table['rank'].median():g}",
            }
    print_table("Patterns as inputs, scaled to a maximum of 128", rows)
    rows = {}
    for name in found:
        for scale in (None, 32, 128, 512):
            pattern = np.maximum(found[name][last][0], 0)
            frame = receptive_field.validate_pattern(experiment.models[name], last, 0, pattern, rescale=scale)
            own = float(frame["activation"].to_numpy()[0])
            rows[f"{name}, {'as it is' if scale is None else f'maximum {scale}'}"] = {
                "largest value": f"{pattern.max():.3g}" if scale is None else str(scale),
                "own response": f"{own:.3g}",
                "rank": "silent" if own == 0 else f"{frame.attrs['rank']} of {len(frame)}",
                "more": frame.attrs["above"],
                "silent": frame.attrs["silent"],
            }
            if scale == 128:
                title = f"{name}: the response of {last} to the pattern of its first channel"
                chart = receptive_field.draw_validation(frame, title=title)
                images.write(experiment.folder / f"validation-{name.replace(' ', '-')}.jpg", chart)
    print_table(f"The first pattern of {last} as an input (figure 4.7)", rows)
    for name in ("before", "tuned"):
        spread = receptive_field.propagation(experiment.models[name], last, 0)
        title = f"{name}: the pattern of the first channel of {last}, as its value grows"
        picture = receptive_field.draw_propagation(spread, title=title, bgr=True)
        images.write(experiment.folder / f"propagation-{name}.jpg", picture)


def draw_pairs(experiment, found):
    """Draw the patterns of each layer before and after."""
    for layer in experiment.layers:
        left, right = (np.maximum(found[name][layer], 0) for name in ("before", "tuned"))
        table = pd.DataFrame({"similarity": cosines(left, right)})
        comparison = receptive_field.Comparison(np.arange(len(left)), left, right, table)
        title = f"{layer}: {left.shape[1]} × {left.shape[2]} pixels"
        sheet = receptive_field.draw_comparison(comparison, ("before", "tuned for gaze"), title=title, bgr=True)
        images.write(experiment.folder / f"patterns-{layer}.jpg", sheet)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("osie", type=pathlib.Path, nargs="?", help="folder of OSIE: images and fixations.npz")
    parser.add_argument("backbone", type=pathlib.Path, nargs="?", help="weights of VGG-16's convolutions, .npz")
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True, help="folder of the runs and pictures")
    parser.add_argument("--epochs", type=int, default=4, help="epochs of each training (default 4)")
    parser.add_argument("--size", type=int, nargs=2, default=(96, 128), help="height and width (default 96 128)")
    parser.add_argument("--channels", type=int, default=64, help="patterns per layer (default 64)")
    parser.add_argument("--only", nargs="+", choices=RUNS, help="train these models and stop")
    parser.add_argument("--models", nargs="+", choices=RUNS, default=list(RUNS), help="trainings (default: all three)")
    parser.add_argument("--small", action="store_true", help="a trial in seconds without data")
    arguments = parser.parse_args()
    if "tuned" not in arguments.models:
        parser.error("--models must contain tuned, which is compared with the model before.")
    if not arguments.small and None in (arguments.osie, arguments.backbone):
        parser.error("OSIE_FOLDER and VGG16.npz are required without --small.")
    experiment = Experiment(arguments)
    if arguments.only:
        for name in arguments.only:
            experiment.train(name)
        return
    experiment.models = {name: experiment.create_model(pretrained) for name, pretrained in STARTS.items()}
    height, width = experiment.size
    settings = (
        f"{experiment.models['before'].count_params():,} parameters, {len(experiment.fit)} training images of {height}"
        f" × {width}, {experiment.epochs} epochs; the first {experiment.count} channels of each layer"
    )
    if arguments.models != list(RUNS):
        settings += f"; only {', '.join(arguments.models)}"
    tables = experiment.folder / "tables.md"
    if tables.is_file():
        text = tables.read_text(encoding="utf-8")
        if not text.startswith(settings + "\n"):
            raise SystemExit(f"{tables} is of other settings: {text.splitlines()[0]}. Choose another folder.")
        print(text, end="")
        return
    print_lines(settings)
    for name in arguments.models:
        experiment.train(name)
    report_gaze(experiment)
    found = {
        name: {layer: experiment.patterns(model, layer) for layer in experiment.layers}
        for name, model in experiment.models.items()
    }
    draw_pairs(experiment, found)
    report_similarity(experiment, found)
    report_scores(experiment, found)
    report_validation(experiment, found)
    with atomic_write(tables) as temporary:
        temporary.write_text("\n".join(_printed) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
