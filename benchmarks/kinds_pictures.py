"""Draw the pictures of the networks that signal_maps.py, volume_maps.py and small_vit.py have stored.

    python benchmarks/kinds_pictures.py DATA RUNS -o docs/pages/pictures/kinds

DATA holds the folders signals, volumes and tiny_imagenet10, RUNS those networks. Of the photos only means of maps are
drawn, no photo itself. A picture whose network is missing is skipped and reported.
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
import signal_maps
import small_vit
import volume_maps
from map_scores import shuffled, use_one_thread
from PIL import Image

from kerasal import images
from kerasal.files import atomic_write

import keras

WIDTH = 1000
GESTURES = {0: "draws a gun", 1: "points with a finger"}


def open_pair(path: pathlib.Path, seed: int = 0) -> dict[str, keras.Model]:
    """Return the network of a file and the same with shuffled weights."""
    model = keras.models.load_model(path)
    return {"trained": model, "shuffled": shuffled(model, seed)}


def draw_gunpoint(data: pathlib.Path, runs: pathlib.Path) -> np.ndarray:
    """Return two gestures: the holster interval as a map, then a row per method."""
    arrays = signal_maps.load(data / "signals" / "gunpoint.npz")
    x, y = arrays["x_test"], arrays["y_test"]
    numbers = [np.flatnonzero(y == label)[0] for label in GESTURES]
    intervals = [np.logical_or(*signal_maps.holster_interval(x[number, :, 0])) for number in numbers]
    found = signal_maps.compute_maps(open_pair(runs / "gunpoint_0.keras"), x[numbers], y[numbers])
    rows = {"at the hip, as the protocol says": np.float32(intervals)}
    rows |= {name: found[name] for name in ("gradcam", "occlusion", "gradcam, shuffled weights")}
    pictures = [
        images.signal(x[number], maps[place], signed=False, width=520)
        for maps in rows.values()
        for place, number in enumerate(numbers)
    ]
    return images.grid(
        pictures,
        columns=2,
        row_labels=list(rows),
        column_labels=list(GESTURES.values()),
        legend=[("signal", "no evidence", "the strongest evidence of a map")],
        tile=420,
        page_width=WIDTH,
    )


def draw_volumes(data: pathlib.Path, runs: pathlib.Path) -> np.ndarray:
    """Return the middle slices of three patches: image, gray matter, and the maps of both tasks."""
    x, gray = volume_maps.Brain(data / "volumes").scored(40)
    outside = (x[:, :, :, volume_maps.HALF, 0] == 0).mean(axis=(1, 2))
    chosen = np.flatnonzero((outside > 0.1) & (outside < 0.4))[:3]  # patches of the surface, where the cortex is
    columns, pictures = ["T1 image", "gray matter"], []
    maps = {}
    for task in ("center", "amount"):
        found = volume_maps.compute_maps(open_pair(runs / f"{task}_0.keras"), x[chosen], 0)
        for method in ("gradcam", "occlusion"):
            maps[task, method] = found[method]
            columns.append(f"{method}: {'is the center gray?' if task == 'center' else 'is there much gray?'}")
    for place, number in enumerate(chosen):
        slices = [enlarge(volume[:, :, volume_maps.HALF]) for volume in (x[number, ..., 0], gray[number])]
        pictures += slices
        for values in maps.values():
            middle = np.maximum(values[place], 0)[:, :, volume_maps.HALF]
            pictures.append(images.overlay(slices[0], enlarge(middle, as_map=True), signed=False))
    legend = [("overlay", "weak evidence, without a color where there is none", "the strongest evidence of a map")]
    return images.grid(
        pictures, columns=len(columns), column_labels=columns, legend=legend, tile=180, page_width=WIDTH, lines=3
    )


def enlarge(values: np.ndarray, as_map: bool = False) -> np.ndarray:
    """Return a slice (13, 13) ten times as large, turned upright, as gray values or as the numbers they are."""
    large = np.kron(np.asarray(values, np.float32).T[::-1], np.ones((12, 12), np.float32))
    return large if as_map else np.repeat(np.uint8(255 * large)[..., None], 3, axis=-1)


def draw_halves(data: pathlib.Path, runs: pathlib.Path) -> np.ndarray:
    """Return the mean maps of both classes over images made of two halves, a column per method."""
    folder = data / "tiny_imagenet10"
    wnids = pd.read_csv(folder / "classes.csv")["wnid"].tolist()
    photos, labels, _ = small_vit.read_images(folder, wnids, "val", 50)
    models = open_pair(runs / "vit_0.keras")
    mixed, first, second = small_vit.halves(photos, labels, 100)
    columns = ["gradcam", "layercam", "transformer_relevance", "attention_rollout", "gradcam, shuffled weights"]
    means = [small_vit.all_maps(models, mixed, classes) for classes in (first, second)]
    pictures = []
    for maps in means:
        for values in (maps[name] for name in columns):
            scaled = np.mean([part / part.sum() for part in np.maximum(values, 0) if part.any()], axis=0)
            pictures.append(images.heatmap(images.resize(scaled, (192, 192)), signed=False))
    rows = ["for the class at the left", "for the class at the right"]
    return images.grid(
        pictures,
        columns=len(columns),
        column_labels=[name.replace("_", " ") for name in columns],
        row_labels=rows,
        legend=[("heat", "no evidence", "the most evidence in the mean of a method's maps")],
        tile=160,
        page_width=WIDTH,
        lines=3,
    )


DRAWINGS = {"gunpoint": draw_gunpoint, "volumes": draw_volumes, "halves": draw_halves}
NEEDED = {"gunpoint": "gunpoint_0.keras", "volumes": "amount_0.keras", "halves": "vit_0.keras"}


def main(words=None) -> None:
    """Write the pictures as JPEG files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=pathlib.Path, help="folder with signals, volumes and tiny_imagenet10")
    parser.add_argument("runs", type=pathlib.Path, help="folder of the networks")
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True, help="folder of the pictures")
    parser.add_argument("--only", nargs="+", choices=list(DRAWINGS), default=list(DRAWINGS))
    arguments = parser.parse_args(words)
    for name in arguments.only:
        if not (arguments.runs / NEEDED[name]).is_file():
            print(f"{name} skipped: {arguments.runs / NEEDED[name]} is missing")
            continue
        picture = Image.fromarray(DRAWINGS[name](arguments.data, arguments.runs))
        picture.thumbnail((WIDTH, WIDTH))
        with atomic_write(arguments.output / f"{name}.jpg") as temporary:
            picture.save(temporary, quality=75)
        print(arguments.output / f"{name}.jpg")


if __name__ == "__main__":
    use_one_thread()
    main()
