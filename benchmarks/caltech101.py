"""Compare frozen features, random features and training from scratch on all classes of Caltech-101.

    python benchmarks/caltech101.py features caltech101 MODELS -o RUNS [--only dinov2_small ...]
    python benchmarks/caltech101.py scratch caltech101 -o RUNS [--folds 5] [--first-fold 0]
    python benchmarks/caltech101.py table -o RUNS [--picture FILE]

After Zeiler & Fergus 2014, tables 4 and 7. Each of five random splits takes 15 or 30 images of each class for training
and all others for the test (the folder has at most 45 images per class; the paper tests on up to 50 others). Accuracies
are means over the classes, and the standard deviation is over the splits.

``features`` trains linear classifiers (``kerasal probe``) on layers of three ImageNet models of the folder MODELS and
of copies with random weights: SqueezeNet 1.1, EfficientNet-Lite0, and DINOv2 ViT-S/14, which was trained without labels
on images from the web. Maps are averaged to ``--pool`` × ``--pool`` cells, tokens to ``--pool`` groups. ``scratch``
trains a small ZFNet with batch normalization (``small_zfnet.py``, 64 × 64 pixels) on the training images
of each split alone, for a fixed number of epochs. ``table`` prints all stored results beside those of the paper.

Features and results are stored in RUNS; a stopped run continues where it was, and ``table`` may be called at any time.
"""

import argparse
import importlib.util
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from rich.console import Console
from rich.table import Table

import kerasal
from kerasal import images, preprocessing, probe, store
from kerasal.probe.classifiers import draw_splits

COUNTS = (15, 30)
NETWORKS = {
    "squeezenet": (
        "squeezenet_v1_1_imagenet_q8.keras",
        "caffe",
        ["pool1", "pool3", "pool5", "fire7_concat", "fire9_concat"],
    ),
    "efficientnet_lite0": (
        "efficientnet_lite0_imagenet.keras",
        "mean=127,std=128",
        ["stem_relu6", "block2_add", "block7_add", "block10_add", "block14_add", "avg_pool"],
    ),
    "dinov2_small": (
        "dinov2_small.py",
        "mean=124/116/104,std=58",
        ["patches", "block1_add2", "block3_add2", "block5_add2", "block8_add2", "norm"],
    ),
}
WEIGHTS = ("pretrained", "random")
PAPER = {  # Zeiler & Fergus 2014, tables 4 and 7
    "PAPER: ZFNet, ImageNet weights": ["83.8 ± 0.5", "86.5 ± 0.5"],
    "PAPER: ZFNet, trained on Caltech-101 alone": ["22.8 ± 1.5", "46.5 ± 1.7"],
}
PAPER_SVM = {"1": 44.8, "2": 66.2, "3": 72.3, "4": 76.6, "5": 86.2, "7": 85.5}


def open_network(models, name, side):
    """Return the model of a network; that of a Python file is built by the function of the file's name."""
    path = models / NETWORKS[name][0]
    if path.suffix == ".keras":
        return kerasal.load_model(path)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, path.stem)((side, side))


def probe_network(options, name, weights, files, labels):
    """Store the accuracies of the layers of a network, with its own or with random weights."""
    model = open_network(options.models, name, options.side)
    _, convention, layers = NETWORKS[name]
    if weights == "random":
        model = probe.randomize_weights(model, seed=options.seed)
    settings = {
        "folds": options.folds,
        "pool": options.pool,
        "preprocessing": convention,
        "cache": options.output / "features",
        "seed": options.seed,
        "progress": True,
    }
    svm = probe.layer_probe(model, layers, files, labels, per_class=options.counts, c=options.c[0], **settings)
    rows = svm.drop(columns="features").to_dict("records")
    if weights == "pretrained":  # as in the paper's table 7, softmax on the last layers alone
        settings |= {"classifier": "softmax", "per_class": options.counts[-1], "c": options.c[1]}
        rows += (
            probe.layer_probe(model, layers[-2:], files, labels, **settings).drop(columns="features").to_dict("records")
        )
    return rows


def train_from_scratch(options, pixels, codes, count, fold, settings):
    """Train the small ZFNet on the images of a split; return its accuracy, the mean over the classes."""
    import small_zfnet

    import keras

    split = next(split for split in draw_splits(codes, [count], fold + 1, options.seed) if split.fold == fold)
    keras.utils.set_random_seed(fold)
    model = small_zfnet.build_model("batch_norm", options.filters, int(codes.max()) + 1)
    data = pixels[split.train], codes[split.train]
    checkpoint = options.output / "checkpoints" / f"{count}-{fold}"
    schedule = (options.epochs, options.batch, round(options.epochs * 3 / 4))
    model, training = small_zfnet.train(model, data, fold, *schedule, checkpoint=checkpoint, settings=settings)
    predicted = model.predict(small_zfnet.center_crops(pixels[split.test]), verbose=0).argmax(axis=1)
    right, expected = predicted == codes[split.test], codes[split.test]
    accuracy = float(np.mean([right[expected == code].mean() for code in np.unique(expected)]))
    return {"accuracy": accuracy, "training": training}


def run_features(options):
    files, labels = read_files(options)
    for weights in options.weights:
        for name in options.only or NETWORKS:
            file = options.output / f"{name}-{weights}.json"
            settings = {"folds": options.folds, "pool": options.pool, "c": options.c, "images": len(files)}
            settings |= {"counts": options.counts, "side": options.side, "seed": options.seed}
            if store.read_json(file).get("settings") != settings:
                rows = probe_network(options, name, weights, files, labels)
                store.write_json(file, {"settings": settings, "rows": rows})


def run_scratch(options):
    files, labels = read_files(options)
    codes = np.unique(labels, return_inverse=True)[1]
    pixels = np.stack([images.fit_image(images.read(file), (64, 64)) for file in files])
    pixels = preprocessing.get("mean=127,std=64").apply(pixels)
    settings = {"epochs": options.epochs, "filters": options.filters, "batch": options.batch, "seed": options.seed}
    for fold in range(options.first_fold, options.first_fold + options.folds):
        for count in options.counts:
            file = options.output / f"scratch-{count}-{fold}.json"
            if store.read_json(file).get("settings") != settings:
                result = train_from_scratch(options, pixels, codes, count, fold, settings)
                store.write_json(file, {"settings": settings, "per_class": count, **result})
                print(f"{count} per class, split {fold}: {result}", flush=True)


def read_files(options):
    """Return the files and the labels; with ``small``, of the first classes alone."""
    options.output.mkdir(parents=True, exist_ok=True)
    files, labels = probe.class_files(options.data)
    kept = sorted(set(labels))[: 3 if options.small else None]
    chosen = [i for i, label in enumerate(labels) if label in kept]
    return [files[i] for i in chosen], [labels[i] for i in chosen]


def percent(mean, std):
    return f"{100 * mean:.1f} ± {100 * std:.1f}" if np.isfinite(std) else f"{100 * mean:.1f}"


def run_table(options):
    console = Console(width=140)
    results = {}
    for path in sorted(options.output.glob("*-*.json")):
        if not path.name.startswith("scratch"):
            name, weights = path.stem.rsplit("-", 1)
            results[name, weights] = store.read_json(path)["rows"]
    counts = sorted({row["per_class"] for rows in results.values() for row in rows}) or list(COUNTS)
    summary = Table("accuracy, %", *[f"{count} per class" for count in counts], title="Last hidden layer, linear SVM")
    for (name, weights), rows in results.items():
        last = {
            row["per_class"]: row for row in rows if row["classifier"] == "svm" and row["layer"] == rows[-1]["layer"]
        }
        summary.add_row(f"{name}, {weights}", *[percent(last[n]["mean"], last[n]["std"]) for n in counts])
    runs = [store.read_json(path) for path in sorted(options.output.glob("scratch-*.json"))]
    if runs:
        found = [np.array([run["accuracy"] for run in runs if run["per_class"] == count]) for count in counts]
        cells = [
            percent(a.mean(), a.std(ddof=1) if len(a) > 1 else np.nan) + f" ({len(a)} splits)" for a in found if len(a)
        ]
        summary.add_row(f"small ZFNet from scratch, {runs[0]['settings']['epochs']} epochs", *cells)
    for name, cells in PAPER.items():
        summary.add_row(name, *cells)
    console.print(summary)
    for (network, weights), rows in results.items():
        layers = list(dict.fromkeys(row["layer"] for row in rows))
        depth = Table("", *layers, title=f"{network}, {weights}: accuracy in % by layer")
        for kind, count in dict.fromkeys((row["classifier"], row["per_class"]) for row in rows):
            found = {r["layer"]: r for r in rows if (r["classifier"], r["per_class"]) == (kind, count)}
            cells = [percent(found[name]["mean"], found[name]["std"]) if name in found else "–" for name in layers]
            depth.add_row(f"{kind}, {count} per class", *cells)
        console.print(depth)
    if options.picture:
        draw(results, counts[-1]).savefig(options.picture, dpi=110)


def draw(results, count):
    """Return the chart of the accuracies over depth, with ImageNet weights and with random ones."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.4), layout="constrained")
    axes = figure.subplots()
    for number, name in enumerate(NETWORKS):
        for weights, style in zip(WEIGHTS, ("-o", "--o"), strict=True):
            rows = [r for r in results.get((name, weights), []) if r["classifier"] == "svm" and r["per_class"] == count]
            depth = np.linspace(0, 1, len(rows))
            label = f"{name}, {weights}"
            axes.errorbar(
                depth, [r["mean"] for r in rows], [r["std"] for r in rows], fmt=style, color=f"C{number}", label=label
            )
    paper = np.array([(int(layer) - 1) / 6 for layer in PAPER_SVM])
    axes.plot(paper, np.array(list(PAPER_SVM.values())) / 100, "k:s", label="ZFNet (the paper)")
    axes.axhline(1 / 101, color="0.6", linewidth=1, label="chance")
    axes.set(
        xlabel="depth: first to last layer that was probed", ylabel="test accuracy (mean over classes)", ylim=(0, 1)
    )
    axes.set_title(f"Caltech-101, {count} training images per class: linear SVM on frozen layers")
    axes.legend(fontsize=8, ncols=2)
    return figure


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, run in (("features", run_features), ("scratch", run_scratch), ("table", run_table)):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        command.add_argument("--output", "-o", type=pathlib.Path, default=pathlib.Path("runs/caltech101"))
        if name == "table":
            command.add_argument("--picture", type=pathlib.Path, help="file for a chart of the accuracies over depth")
            continue
        command.add_argument("data", type=pathlib.Path, help="the folder caltech101 with a folder per class")
        if name == "features":
            command.add_argument("models", type=pathlib.Path, help="the folder with the three models")
            command.add_argument("--only", nargs="+", choices=list(NETWORKS), help="probe these networks")
            command.add_argument("--weights", nargs="+", choices=WEIGHTS, default=WEIGHTS, help="probe these weights")
            command.add_argument("--pool", type=int, default=3, help="maps are averaged to POOL × POOL cells")
            command.add_argument("--side", type=int, default=112, help="side of the images for dinov2_small")
            command.add_argument("--c", type=float, nargs=2, default=[10.0, 100.0], help="C of SVM and softmax")
        else:
            command.add_argument("--first-fold", type=int, default=0, help="number of the first split")
            command.add_argument("--epochs", type=int, default=40)
            command.add_argument("--filters", type=int, nargs=5, default=[16, 32, 64, 64, 64])
            command.add_argument("--batch", type=int, default=32)
        command.add_argument("--folds", type=int, default=5, help="number of random splits")
        command.add_argument("--counts", type=int, nargs="+", default=list(COUNTS), help="training images per class")
        command.add_argument("--seed", type=int, default=0, help="of the splits and of the random weights")
        command.add_argument("--small", action="store_true", help="three classes alone, as a test")
    options = parser.parse_args(arguments)
    options.run(options)


if __name__ == "__main__":
    main()
