"""Do the attribution maps of a model mark what people look at: by method, by layer, by model.

    python benchmarks/gaze_alignment.py DATA -o RUNS [--images 100] [--only osie crowd]
        [--models SqueezeNet …] [--methods gradcam …] [--stored]

DATA holds osie, crowd, and models/ with efficientnet_lite0_imagenet.keras, squeezenet_v1_1_imagenet_q8.keras and
dinov2_small.py. Scored are the first test images of each set. The classifiers explain their top class. DINOv2 has no
classes, so its score is the length of the class token; attentions have no target at all. All photos are stretched to
the input of the model; see ``kerasal.attribution.alignment`` for what is scored and beside which controls.

Each row is a method, at a layer where it is named. "NSS" is that of the map, blurred by the width that was best on the
other half of the images. Then follow paired differences: from the map of another image (what is specific to the
image), from shuffled weights (what the training adds), from the center alone, and of the map times the center from the
center (what the map adds to the habit of looking at the middle). Intervals are 95 % bootstrap intervals over images,
each for itself: of many rows a few differ from 0 by chance. The scores of each row are stored in RUNS, and a stopped
run continues there; ``--stored`` prints what is there. ``--small`` uses generated images and an untrained network, to
try the script.
"""

import argparse
import dataclasses
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
from dinov2_classifier import PREPROCESSING, load_backbone
from map_scores import use_one_thread
from markdown_tables import interval

import kerasal
from kerasal import attribution
from kerasal.datasets import GazeDataset, open_gaze
from kerasal.files import atomic_write

import keras
import tensorflow as tf

GAZE_SIZE = 168, 224  # of DINOv2: 12 × 16 patches, with the aspect of the photos
BLURS = (0.0, 0.02, 0.04, 0.08)
CNN_METHODS = {
    "class_saliency": {},
    "smoothgrad": {"samples": 8},
    "integrated_gradients": {"steps": 8},
    "guided_backprop": {},
    "deconvnet": {},
    "gradcam": {},
    "layercam": {},
    "eigencam": {},
}
LAYERS = {
    "SqueezeNet": ("pool1", "fire3_concat", "fire5_concat", "fire7_concat", "fire9_concat"),
    "EfficientNet-Lite0": ("block0_project_bn", "block2_add", "block4_add", "block7_add", "block12_add"),
    "DINOv2": tuple(f"block{number}_attention" for number in (0, 3, 6, 9)),
}
TRANSFORMER_METHODS = {
    "class_saliency": {},
    "gradcam": {},
    "layercam": {},
    "transformer_relevance": {},
    "attention_rollout": {},
    "raw_attention": {},
}
FILES = {
    "SqueezeNet": ("squeezenet_v1_1_imagenet_q8.keras", "caffe"),
    "EfficientNet-Lite0": ("efficientnet_lite0_imagenet.keras", "mean=127,std=128"),
}
METRICS = ("nss", "auc_judd", "cc")
MAIN = ("guided_backprop", "transformer_relevance", "gradcam", "class_saliency", "raw_attention", "layercam")
"""The methods on the second data set, at their default layers."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """A row of the tables: a method of a model, at a layer, on a data set."""

    data: str
    model: str
    method: str
    layer: str = ""

    @property
    def label(self) -> str:
        """The name of the method, with the layer if it is named."""
        return f"{self.method}, {self.layer}" if self.layer else self.method

    def path(self, folder: pathlib.Path) -> pathlib.Path:
        """Return the file of the scores."""
        return folder / f"{self.data}-{self.model}-{self.method}-{self.layer or 'default'}.csv"


def class_token_length(tokens):
    """Return the length of the class token, the score of a model without classes."""
    return tf.norm(tokens[:, 0], axis=-1)


class Models(dict):
    """The models by name, each opened when it is first used."""

    def __init__(self, folder: pathlib.Path):
        super().__init__()
        self.folder = folder / "models"

    def __missing__(self, name: str):
        if name == "DINOv2":
            backbone = load_backbone(self.folder / "dinov2_small.py", GAZE_SIZE)
            self[name] = kerasal.open_model(backbone, preprocessing=PREPROCESSING)
        elif name in FILES:
            file, preprocessing = FILES[name]
            self[name] = kerasal.open_model(self.folder / file, preprocessing=preprocessing)
        else:
            raise KeyError(name)
        return self[name]


def small_study() -> tuple[dict, dict, list[Cell]]:
    """Return data, models and cells without any file: generated images and an untrained network."""
    random, photos, points = np.random.default_rng(0), [], []
    for _ in range(4):
        x, y = random.integers(12, 52), random.integers(12, 36)
        photo = random.integers(0, 60, (48, 64, 3)).astype(np.uint8)
        photo[y - 5 : y + 6, x - 5 : x + 6] = 250
        photos.append(photo)
        points.append(np.clip(random.normal((x, y), 3, (30, 2)), 0, (63, 47)).round())
    keras.utils.set_random_seed(0)
    layers = [keras.Input((32, 32, 3)), keras.layers.Conv2D(4, 3, activation="relu", name="conv")]
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, activation="softmax")]
    models = {"untrained": kerasal.open_model(keras.Sequential(layers), preprocessing="unit")}
    cells = [Cell("generated", "untrained", "class_saliency"), Cell("generated", "untrained", "layercam", "conv")]
    return {"generated": GazeDataset(photos, points)}, models, cells


def list_cells(only: list[str]) -> list[Cell]:
    """Return all rows: the methods and layers on OSIE, the main methods on the others, what matters most first."""
    main, layers, more = [], [], []
    for model, names in LAYERS.items():
        transformer = model == "DINOv2"
        for method in TRANSFORMER_METHODS if transformer else CNN_METHODS:
            for data in only:
                if method in MAIN:
                    main.append(Cell(data, model, method))
                elif data == "osie":
                    more.append(Cell(data, model, method))
        if "osie" in only:
            layers += [Cell("osie", model, "raw_attention" if transformer else "layercam", name) for name in names]
    main.sort(key=lambda cell: (only.index(cell.data), MAIN.index(cell.method)))
    return [*main, *layers, *more]


def measure(cell: Cell, model, data: GazeDataset, *, observers: bool, progress: bool) -> pd.DataFrame:
    """Return the scores of a row, one line per image and kind of map."""
    options = {**CNN_METHODS, **TRANSFORMER_METHODS}[cell.method]
    options = {**options, "layer": cell.layer} if cell.layer else options
    target = class_token_length if cell.model == "DINOv2" else None
    result = attribution.alignment(
        model,
        data,
        cell.method,
        target,
        blurs=BLURS,
        random_weights=True,
        observers=observers,
        progress=progress,
        **options,
    )
    for note in result.notes if observers else ():
        print(f"{cell.label}: {note}", file=sys.stderr)
    return result.scores


def run(
    cells: list[Cell], models: dict, data: dict, folder: pathlib.Path, *, progress: bool
) -> dict[Cell, pd.DataFrame]:
    """Return the scores of all rows; those in the folder are read, the others computed and stored there."""
    tables, seen = {}, set()
    for number, cell in enumerate(cells, 1):
        first, path = cell.data not in seen, cell.path(folder)  # observers are scored once per data set
        seen.add(cell.data)
        if not path.is_file():
            print(f"{number} of {len(cells)}: {cell.data}, {cell.model}, {cell.label}", file=sys.stderr, flush=True)
            scores = measure(cell, models[cell.model], data[cell.data], observers=first, progress=progress)
            with atomic_write(path) as temporary:
                scores.to_csv(temporary, index=False)
        tables[cell] = pd.read_csv(path, dtype={"image": str})
    return tables


def values(scores: pd.DataFrame, row: str, metric: str = "nss") -> pd.Series:
    """Return the scores of a kind of map by image."""
    return scores[scores["row"] == row].set_index("image")[metric].sort_index()


def print_references(tables: dict[Cell, pd.DataFrame], name: str) -> None:
    """Print what no model has a part in: the center, the mean map and the observers of a data set."""
    own = [scores for cell, scores in tables.items() if cell.data == name]
    scores = next((scores for scores in own if (scores["row"] == "other observers").any()), own[0])
    print("\n| | NSS | AUC (Judd) | CC |\n|---|---|---|---|")
    for row in ("center", "mean map", "one observer", "other observers"):
        if (scores["row"] == row).any():
            print(f"| {row} | {' | '.join(interval(values(scores, row, metric)) for metric in METRICS)} |")


def print_rows(tables: dict[Cell, pd.DataFrame], cells: list[Cell]) -> None:
    """Print a row per cell: NSS and the paired differences."""
    heads = ("NSS", "− other image", "− shuffled weights", "− center", "× center, − center", "blur, % of width")
    print(f"\n| | {' | '.join(heads)} |\n{'|---' * (len(heads) + 1)}|")
    for cell in cells:
        scores = tables[cell]
        own, center = values(scores, "map"), values(scores, "center")
        cells_of_row = [interval(own)]
        cells_of_row += [interval(own - values(scores, other)) for other in ("other image", "random weights", "center")]
        cells_of_row += [interval(values(scores, "map × center") - center)]
        cells_of_row += [f"{100 * scores[scores['row'] == 'map']['blur'].mean():.1f}"]
        print(f"| {cell.model}: {cell.label} | {' | '.join(cells_of_row)} |")


def print_models(tables: dict[Cell, pd.DataFrame], cells: list[Cell]) -> None:
    """Print the paired differences of each model's best row times the center from that of the first."""
    best = {}
    for model in dict.fromkeys(cell.model for cell in cells):
        own = [cell for cell in cells if cell.model == model]
        best[model] = max(own, key=lambda cell: values(tables[cell], "map × center").mean())
    print("\n| | map × center | − shuffled weights × center | share of the ceiling |\n|---|---|---|---|")
    ceiling = next((table for table in tables.values() if (table["row"] == "other observers").any()), None)
    for model, cell in best.items():
        own, shuffled = (values(tables[cell], f"{row} × center") for row in ("map", "random weights"))
        share = "–"
        if ceiling is not None and set(own.index) == set(values(ceiling, "center").index):
            center, people = values(ceiling, "center"), values(ceiling, "other observers")
            share = f"{(own - center).mean() / (people - center).mean():.2f}"
        print(f"| {model}: {cell.label} | {interval(own)} | {interval(own - shuffled)} | {share} |")
    names = list(best)
    for first, second in ((a, b) for number, a in enumerate(names) for b in names[number + 1 :]):
        gap = values(tables[best[first]], "map × center") - values(tables[best[second]], "map × center")
        print(f"\n{first} − {second}: {interval(gap)}")


def main(words=None) -> None:
    """Read the arguments, measure and print."""
    summary, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=pathlib.Path, nargs="?", help="folder with osie, crowd and models")
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True, help="folder of the scores")
    parser.add_argument("--images", type=int, default=100, help="test images of each data set")
    parser.add_argument("--only", nargs="+", choices=("osie", "crowd"), default=["osie", "crowd"])
    methods = sorted({*CNN_METHODS, *TRANSFORMER_METHODS})
    parser.add_argument("--methods", nargs="+", choices=methods, help="only these methods, at their default layers")
    parser.add_argument("--models", nargs="+", choices=list(LAYERS), help="only these models")
    parser.add_argument("--small", action="store_true", help="generated images, to try the script")
    parser.add_argument("--stored", action="store_true", help="print the rows that are stored, and compute nothing")
    parser.add_argument("--progress", action="store_true", help="show progress bars")
    arguments = parser.parse_args(words)
    if arguments.data is None and not arguments.small:
        parser.error("DATA is needed, or --small")
    arguments.output.mkdir(parents=True, exist_ok=True)
    use_one_thread()
    if arguments.small:
        data, models, cells = small_study()
    else:
        models, cells = Models(arguments.data), list_cells(arguments.only)
        data = {name: open_gaze(arguments.data / name, "test") for name in arguments.only}
        data = {name: part.subset(range(min(arguments.images, len(part)))) for name, part in data.items()}
    if arguments.models:
        cells = [cell for cell in cells if cell.model in arguments.models]
    if arguments.methods:
        cells = [cell for cell in cells if cell.method in arguments.methods and not cell.layer]
    if arguments.stored:
        cells = [cell for cell in cells if cell.path(arguments.output).is_file()]
        data = {name: part for name, part in data.items() if any(cell.data == name for cell in cells)}
    tables = run(cells, models, data, arguments.output, progress=arguments.progress)
    cells.sort(key=lambda cell: cell.model)  # for the tables; layers keep their order
    for name, part in data.items():
        print(f"\n### {name}, {len(part)} images")
        print_references(tables, name)
        plain = [cell for cell in cells if cell.data == name and not cell.layer]
        print(f"\n### {name}: methods")
        print_rows(tables, plain)
        layers = [cell for cell in cells if cell.data == name and cell.layer]
        if layers:
            print(f"\n### {name}: layers, from the first to the last")
            print_rows(tables, layers)
        print(f"\n### {name}: the best row of each model, times the center")
        print_models({cell: tables[cell] for cell in tables if cell.data == name}, plain + layers)


if __name__ == "__main__":
    main()
