"""The folder in which the blocks of a page run: small real files under the names that the pages use."""

import pathlib
import shutil

import numpy as np
from page_blocks import EXAMPLES, ROOT
from page_needs import data_folder

ASSETS = ROOT / "kerasal" / "assets"
PHOTOGRAPHS = [ASSETS / f"{name}.jpg" for name in ("cat", "coffee", "rocket", "admiral")]


def prepare(folder: pathlib.Path, text: str) -> None:
    """Write what the ``text`` of the blocks names, and nothing that it does not."""
    made = {
        "PHOTO.jpg": lambda path: shutil.copy(PHOTOGRAPHS[0], path),
        "coffee.jpg": lambda path: shutil.copy(PHOTOGRAPHS[1], path),
        "FOLDER": lambda path: _photographs(path, 2),
        "photos/": lambda path: _photographs(path, 2),
        "boxes.csv": _boxes,
        "annotations/": _annotations,
        "MODEL.keras": lambda path: small_net(0).save(path),
        "TUNED.keras": lambda path: small_net(1).save(path),
        "MODEL_OF_MAPS.keras": lambda path: _net_of_maps().save(path),
        "names.txt": _names,
        "PHOTOS/few": lambda path: _photographs(path, 2),
        "PHOTOS": lambda path: _classes(path, ("goldfish", "lemon", "ostrich"), 6, 64),
        "CLASSES/": lambda path: _classes(path, ("round", "square"), 18, 32),
        "caltech20/": lambda path: _classes(path, ("chair", "lamp"), 33, 24),
        "mnist.npz": _mnist,
        "osie": _gaze,
        "MAPS": _maps,
        "FIXATIONS": _fixations,
        "LIST.parquet": _list,
    }
    for name, make in made.items():
        if name in text and not (folder / name).exists():
            make(folder / name)


def link(folder: pathlib.Path, need: str) -> None:
    """Put the real data or the package that a block needs into its folder."""
    kind, _, what = need.partition(" ")
    if kind == "data" and not (folder / pathlib.Path(what).name).exists():
        (folder / pathlib.Path(what).name).symlink_to(data_folder() / what)
    if kind == "package":
        shutil.copy(EXAMPLES / f"{what}.py", folder)
        information = folder / "documented-0.dist-info"
        information.mkdir(exist_ok=True)
        (information / "METADATA").write_text("Metadata-Version: 2.1\nName: documented\nVersion: 0\n")
        (information / "entry_points.txt").write_text("[kerasal.models]\nmine = own_model\n")


def small_net(seed):
    """Build a net with the names of layers that the pages use, and the thousand classes of ImageNet."""
    import keras

    keras.utils.set_random_seed(seed)
    layers = keras.layers
    image = tensor = keras.Input((224, 224, 3), name="image")
    for name, filters, size, step in (
        *(("conv1", 8, 7, 4), ("pool1", 0, 2, 2), ("block1_conv1", 64, 3, 1), ("conv2", 16, 3, 1)),
        *(("block3_conv1", 64, 3, 1), ("block3_pool", 0, 2, 2), ("conv5", 24, 3, 1), ("pool5", 0, 2, 2)),
        ("block5_conv3", 24, 3, 1),
    ):
        options = {"strides": step, "padding": "same", "name": name}
        make = (
            layers.Conv2D(filters, size, activation="relu", **options) if filters else layers.MaxPooling2D(2, **options)
        )
        tensor = make(tensor)
    tensor = layers.Dense(1000, activation="softmax", name="predictions")(layers.GlobalAveragePooling2D()(tensor))
    return keras.Model(image, tensor, name="small")


def _net_of_maps():
    import keras

    inputs = keras.Input((48, 64, 3))
    tensor = keras.layers.Conv2D(4, 3, strides=4, padding="same", activation="relu")(inputs)
    return keras.Model(inputs, keras.layers.Conv2D(1, 1)(tensor))


def _photographs(folder, count):
    folder.mkdir(parents=True)
    for path in PHOTOGRAPHS[:count]:
        shutil.copy(path, folder)


def _list(path):
    import pandas as pd

    pd.DataFrame({"image": list(map(str, PHOTOGRAPHS[:3]))}).to_parquet(path)


def _boxes(path):
    path.write_text(
        "image,class,x_min,y_min,x_max,y_max\ncat.jpg,tiger cat,20,10,300,230\ncoffee.jpg,espresso,60,10,300,220\n"
    )


def _annotations(folder):
    folder.mkdir()
    box = "<xmin>21</xmin><ymin>11</ymin><xmax>300</xmax><ymax>230</ymax>"
    (folder / "cat.xml").write_text(
        f"<annotation><filename>cat.jpg</filename><object><name>cat</name><bndbox>{box}</bndbox></object></annotation>"
    )


def _names(path):
    from kerasal import labels

    path.write_text("\n".join(labels.load("imagenet")) + "\n", encoding="utf-8")


def _classes(folder, names, each, size):
    """Write a folder a class of pieces of the photographs, one photograph a class."""
    from kerasal import images

    random = np.random.default_rng(0)
    for name, path in zip(names, PHOTOGRAPHS, strict=False):
        photograph = images.read(path)
        for number in range(each):
            y, x = (int(random.integers(0, side - 100)) for side in photograph.shape[:2])
            images.write(
                folder / name / f"{number}.jpg", images.resize(photograph[y : y + 100, x : x + 100], (size, size))
            )


def _mnist(path):
    from kerasal import datasets

    digits, truth = datasets.digits()
    train = {"x_train": np.tile(digits, (6, 1, 1)), "y_train": np.tile(truth, 6)}
    np.savez(path, **train, x_test=digits, y_test=truth)


def _gaze(folder):
    """Write eight photographs with a bright spot, at which people look, as ``images/`` beside ``fixations.csv``."""
    from kerasal import images

    random = np.random.default_rng(0)
    rows = ["image,x,y,subject"]
    for number in range(8):
        x, y = random.integers(10, 54), random.integers(8, 40)
        picture = random.integers(0, 60, (48, 64, 3)).astype(np.uint8)
        picture[y - 4 : y + 5, x - 4 : x + 5] = 230
        images.write(folder / "images" / f"{number}.png", picture)
        spots = np.clip(random.normal((x, y), 3, (12, 2)), 0, (63, 47)).round()
        rows += [f"{number}.png,{spot[0]:.0f},{spot[1]:.0f},{index % 3}" for index, spot in enumerate(spots)]
    (folder / "fixations.csv").write_text("\n".join(rows) + "\n")


def _maps(folder):
    from kerasal import images

    random = np.random.default_rng(0)
    for number in range(3):
        images.write(folder / f"{number}.png", random.integers(0, 256, (48, 64), dtype=np.uint8))


def _fixations(folder):
    folder.mkdir()
    random = np.random.default_rng(1)
    for number in range(3):
        spots = "\n".join(f"{x},{y}" for x, y in zip(random.integers(0, 64, 9), random.integers(0, 48, 9), strict=True))
        (folder / f"{number}.csv").write_text(f"x,y\n{spots}\n")
