"""A folder with everything that a command may be given, all of it small, and the commands that write something."""

import pathlib

import numpy as np

GAZE_NET = ("shallow_saliency", "--model-option", "filters=(2,3,4)", "--model-option", "hidden=8", "--batch-norm")


def prepare(folder: pathlib.Path, model) -> pathlib.Path:
    """Write a net of six classes, photographs, class folders, gaze data and maps; return the folder."""
    from PIL import Image

    from kerasal import images

    random = np.random.default_rng(0)
    model.save(folder / "net.keras")
    for number in range(3):
        images.write(folder / "photos" / f"{number}.png", random.integers(0, 255, (24, 30, 3), np.uint8))
    for label in range(6):
        for number in range(4):
            pixels = random.integers(0, 120, (8, 8, 3))
            pixels[label : label + 2] += 120
            images.write(folder / "classes" / f"c{label}" / f"{number}.png", pixels.astype(np.uint8))
    (folder / "boxes.csv").write_text(
        "image,class,x_min,y_min,x_max,y_max\n" + "".join(f"{n},{n},4,4,20,20\n" for n in range(3))
    )
    rows = ["image,x,y"]
    (folder / "gaze" / "images").mkdir(parents=True)
    (folder / "maps").mkdir()
    for number in range(6):
        pixels = random.integers(0, 255, (60, 80, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "gaze" / "images" / f"g{number}.png")
        Image.fromarray(pixels[..., 0]).save(folder / "maps" / f"g{number}.png")
        rows += [
            f"g{number},{x},{y}" for x, y in zip(random.integers(0, 80, 9), random.integers(0, 60, 9), strict=True)
        ]
    (folder / "gaze" / "fixations.csv").write_text("\n".join(rows) + "\n")
    return folder


def commands(given: pathlib.Path, photo: int, out: str) -> dict[str, list]:
    """Return every command that writes, on photograph number ``photo``, with its results in a folder ``out``."""
    net, photos = given / "net.keras", given / "photos"
    image, unit = photos / f"{photo}.png", ("-p", "unit")
    gaze, looks = given / "gaze", given / "gaze" / "fixations.csv"
    return {
        "attribute": ["attribute", "input_gradient", net, image, *unit, "-o", f"{out}/map.png"],
        "attribute, raw": ["attribute", "input_gradient", net, image, *unit, "-o", f"{out}/map.npy"],
        "compare": ["compare", net, image, *unit, "-o", f"{out}/page.html"],
        "maximize": [
            "maximize",
            net,
            *unit,
            "-c",
            photo,
            "--steps",
            2,
            "-o",
            f"{out}/m.png",
            "--history",
            f"{out}/h.csv",
        ],
        "feature-maps": ["feature-maps", net, image, *unit, "--layer", "conv1", "-o", f"{out}/maps.png"],
        "filters": ["filters", net, "--images", image, *unit, "-o", f"{out}/f.png", "--table", f"{out}/f.csv"],
        "localize": ["localize", net, image, *unit, "--top", 2, "-o", f"{out}/boxes.png"],
        "localize-score": ["localize-score", net, photos, given / "boxes.csv", *unit, "-o", f"{out}/{photo}.csv"],
        "patterns": ["patterns", net, "conv1", *unit, "-o", f"{out}/patterns.png"],
        "exemplars": [
            *("exemplars", net, "conv2", photos, *unit, "--channels", photo, "-k", 2),
            *("-o", f"{out}/page.png", "--table", f"{out}/all.csv"),
        ],
        "probe": [
            *("probe", net, given / "classes", "-l", "conv2", *unit, "--per-class", 2, "--folds", 1, "--seed", photo),
            *("-o", f"{out}/table.csv", "--cache", f"{out}/kept"),
        ],
        "score": ["score", given / "maps", looks, "-o", f"{out}/{photo}.csv", "-m", "nss", "--seed", photo],
        "gaze predict": ["gaze", "predict", "gaze", image, "-o", f"{out}/looks"],
        "export": ["export", net, f"{out}/models", *unit, "-s", "serving_default", "--name", "net"],
        "batch": ["batch", "input_gradient", net, photos, f"{out}/{photo}", *unit, "--shard-size", 2, "--threads", 0],
        "atlas": [
            "atlas",
            net,
            *unit,
            "--class",
            photo,
            "--layers",
            "conv1",
            "--max-channels",
            1,
            "-o",
            f"{out}/{photo}",
        ],
        "train": [
            *("train", net, "--data", given / "classes", *unit, "-o", f"{out}/{photo}"),
            *("--epochs", 2, "--batch-size", 6, "--seed", 1, "-q"),
        ],
        "gaze train": [
            *("gaze", "train", *GAZE_NET, "--data", gaze, "-o", f"{out}/{photo}"),
            *("--epochs", 2, "--batch-size", 3, "--seed", 3, "-q"),
        ],
    }
