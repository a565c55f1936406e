"""Draw every attribution method for the page of methods: ``pages/pictures/methods/NAME.jpg``.

    python docs/pictures.py [NAME ...] [--transformer FILE --photos FOLDER]

Each picture has three tiles: a cup for its top class, and a photo of a cat beside the cup for the class of the cat and
for the class of the cup. The photos are those that are installed with the package (public domain), the model is the
zoo's ``efficientnet_lite0``. Coarse maps are laid on the photo; maps with a value per pixel are drawn alone, because
their grain would cover it.

Methods over attentions are drawn for a transformer: FILE defines ``dinov2_small(image_size)``, and FOLDER holds a photo
per class of ImageNet (``images/0954_n07753592.jpg``), whose class tokens become the rows of a linear head. Without
these arguments, such methods are left out.
"""

import argparse
import importlib.util
import io
import pathlib

import numpy as np
from PIL import Image

import kerasal
from kerasal import attribution, images
from kerasal.attribution.method_comparison import QUICK

import keras

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "pages" / "pictures" / "methods"
MODEL = "efficientnet_lite0"
SIDE = 240
LARGEST = 25_000  # bytes of a picture, if its grain allows it
CLASSES = ("espresso", "Egyptian cat", "espresso")
CAPTIONS = ["for espresso", "for Egyptian cat", "for espresso"]
TRANSFORMER = "mean=124/116/104,std=58"  # how DINOv2 takes photos
COARSE = ("cam", "attention", "perturbation")  # families whose maps are laid on the photo


def photos() -> tuple[np.ndarray, np.ndarray]:
    """Return the cup, and the middle of the cat beside the middle of the cup, both uint8 (240, ., 3)."""
    cat, cup = (images.read(ROOT / "kerasal" / "assets" / f"{name}.jpg") for name in ("cat", "coffee"))
    return cup, np.hstack([cat[:, 100:220], cup[:, 100:220]])


def make_transformer(path: str, folder: str, labels: list[str]) -> kerasal.models.ImageModel:
    """Return the transformer of a file, with the class tokens of a photo per class as the rows of a linear head."""
    spec = importlib.util.spec_from_file_location("transformer", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    backbone = module.dinov2_small((224, 224))
    tokens = kerasal.open_model(keras.Model(backbone.input, backbone.output[:, 0]), preprocessing=TRANSFORMER)
    files = sorted(pathlib.Path(folder, "images").glob("*.jpg"))
    features = np.concatenate([tokens.keras_model(tokens.inputs(files[i : i + 20])) for i in range(0, len(files), 20)])
    head = keras.layers.Dense(len(files), use_bias=False)
    model = keras.Model(backbone.input, head(tokens.keras_model.output))
    head.set_weights([(features / np.linalg.norm(features, axis=1, keepdims=True)).T])
    return kerasal.open_model(model, preprocessing=TRANSFORMER, labels=labels)


def main() -> None:
    """Write the pictures of the named methods, or of all, and photograph.jpg."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--transformer", help="a file that defines dinov2_small")
    parser.add_argument("--photos", help="a folder with a photo per class")
    arguments = parser.parse_args()
    model = kerasal.open_model(MODEL)
    cup, both = photos()
    cases = [(photo, model.labels.index(name)) for photo, name in zip((cup, both, both), CLASSES, strict=True)]
    _write("photograph", [model.show(photo)[0] for photo in (cup, both)], [_top(model, photo) for photo in (cup, both)])
    transformer = None
    if arguments.transformer and arguments.photos:
        transformer = make_transformer(arguments.transformer, arguments.photos, model.labels)
    for name in arguments.names or attribution.list_methods():
        drawn = transformer if attribution.method_spec(name).needs else model
        if drawn is not None:
            _write(name, [_draw(drawn, name, *case) for case in cases], CAPTIONS)
            print(name, flush=True)  # noqa: T201


def _draw(model, name: str, photo: np.ndarray, class_index: int) -> np.ndarray:
    spec, options = attribution.method_spec(name), dict(QUICK.get(name, {}))
    picture, inputs = model.show(photo, scale=256 / 224) if spec.any_size else model.show(photo)
    result = attribution.method_function(name)(model.keras_model, inputs, class_index, **options)
    values = spec.to_pixels((result[0] if isinstance(result, tuple) else result)[0], picture.shape[:2], options)
    drawn, over = attribution.draw_map(spec, picture, values, options=options, bgr=model.preprocessing.bgr)
    return over if _is_coarse(name) else drawn


def _is_coarse(name: str) -> bool:
    return name == "xrai" or attribution.method_spec(name).family in COARSE


def _top(model, photo: np.ndarray) -> str:
    """Return the scores of the two classes in percent."""
    scores = model.scores(photo, top=1000).set_index("label").score
    return ", ".join(f"{name} {scores[name]:.0%}" for name in ("espresso", "Egyptian cat"))


def _write(name: str, tiles: list[np.ndarray], captions: list[str]) -> None:
    page = images.grid([images.resize(tile, (SIDE, SIDE)) for tile in tiles], captions, columns=3, tile=SIDE)
    image = Image.fromarray(page)
    for quality in range(80, 20, -10):
        data = io.BytesIO()
        image.save(data, "JPEG", quality=quality)
        if data.tell() <= LARGEST:
            break
    (FOLDER / f"{name}.jpg").write_bytes(data.getvalue())


if __name__ == "__main__":
    main()
