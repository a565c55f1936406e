"""What ``deep_saliency.py`` prints and draws of its models: gaze, similarity of patterns, scores and validation."""

import numpy as np
import pandas as pd
from markdown_tables import interval, print_table, transpose

from kerasal import images, receptive_field
from kerasal.receptive_field.patterns.pattern_pages import render_tiles

import keras

PAIRS = [("before", "tuned"), ("before", "tuned again"), ("tuned", "tuned again"), ("random", "from scratch")]
PARTS = {"blocks 1–3 tuned": {1, 2, 3}, "blocks 4–5 tuned": {4, 5}, "block 5 tuned": {5}}
COLUMNS = {"nss": "NSS", "cc": "CC", "auc_judd": "AUC (Judd)", "auc_shuffled": "shuffled AUC"}


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
    print_table("Cosine of the patterns of the same channel", transpose(rows))
    print_table("Shares of red / green / blue in the patterns", transpose(colors))

    kernels = [[np.linalg.norm(weights[0]) for weights in model] for model in (start, _differences(start, end))]
    names = [layer.name for layer in convolutions(models["before"])]
    shares = {name: {"change": f"{b / a:.3f}"} for name, a, b in zip(names, *kernels, strict=True)}
    print_table("Change of the kernels by tuning, relative to their length", transpose(shares))

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
        print_table(f"Center-surround, {measure}", transpose(rows))
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
