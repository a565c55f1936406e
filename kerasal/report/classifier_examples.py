"""Images for the report of a classifier: some of each class, and the best, median and worst of the test images."""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from kerasal import attribution, images
from kerasal.datasets import mnist
from kerasal.datasets.labeled_images import ClassImages, class_images
from kerasal.models.image_model import ImageModel
from kerasal.progress import progress_bar
from kerasal.report.report_content import Example, ExampleGroup
from kerasal.report.run_facts import RunFacts
from kerasal.training.training_inputs import Inputs

_EACH, _CLASSES = 4, 12  # images per group; classes with an image in the section about the data
_BATCH = 64


@dataclasses.dataclass(frozen=True)
class Examples:
    """The best, median and worst test images, and training images by class."""

    ranked: list[ExampleGroup]
    training: list[ExampleGroup]


def collect_examples(
    run: RunFacts, model: ImageModel, names: list[str], data: pathlib.Path | None, notes: list[str], *, progress: bool
) -> Examples:
    """Return the examples; if there are none, ``notes`` gets a sentence with the reason."""
    try:
        train, test = _open_parts(run, model, names, data, progress)
    except (ValueError, OSError) as error:
        notes.append(f"The report has no example images: {error}")
        return Examples([], [])
    outputs = []
    with progress_bar("Predicting", len(test), progress) as advance:
        for start in range(0, len(test), _BATCH):
            pixels = test.load_images(range(start, min(start + _BATCH, len(test))))
            outputs.append(model.outputs(model.to_inputs(pixels)))
            advance(len(pixels))
    probabilities = np.concatenate(outputs)
    own = probabilities[np.arange(len(test)), test.labels]
    order = np.argsort(-own, kind="stable")
    each = max(1, min(_EACH, len(order) // 3))
    middle = max(0, (len(order) - each) // 2)
    chosen = {"Best": order[:each], "Median": order[middle : middle + each], "Worst": order[len(order) - each :][::-1]}
    groups, reason = [], ""
    for title, index in chosen.items():
        pixels, predicted = test.load_images(index), probabilities[index].argmax(axis=1)
        try:
            maps = _explain(model, pixels, predicted)
        except ValueError as error:  # a model without convolutions
            maps, reason = [None] * len(index), f"The report has no Grad-CAM: {error}"
        examples = [
            _make_example(test, names, int(number), pixel, values, probabilities[number])
            for number, pixel, values in zip(index, pixels, maps, strict=True)
        ]
        groups.append(ExampleGroup(title, examples))
    notes += [reason] if reason else []
    first = [int(np.flatnonzero(train.labels == label)[0]) for label in range(min(len(names), _CLASSES))]
    pictures = [images.to_channels(pixel, 3) for pixel in train.load_images(first)]
    shown = [Example(name, [("", picture)]) for name, picture in zip(names, pictures, strict=False)]
    return Examples(groups, [ExampleGroup("A training image of each class, as the model sees it", shown)])


def _open_parts(run: RunFacts, model: ImageModel, names: list[str], data: pathlib.Path | None, progress: bool) -> Any:
    """Return the training and test images of the run; raise a ValueError if they are not those of the training."""
    folder = data or next(iter(run.facts.get("data") or ()), None)
    if folder is None or not names:
        raise ValueError("the run was trained on arrays, which are not recorded.")
    model.check_pixels()
    split = run.facts.get("split") or {}
    if not split.get("fit"):  # not class folders
        if folder == "MNIST":  # a download of the training, which a report does not repeat
            raise ValueError("data must be the path of mnist.npz, got none.")
        train, test = (
            ClassImages(names, [pathlib.Path(str(i)) for i in range(len(labels))], labels, (28, 28, 1), pixels=pixels)
            for pixels, labels in ((pixels[..., None], labels) for pixels, labels in mnist(folder))
        )
        return train, test
    reading = {"fit": split["fit"], "test_share": split.get("test_share") or 0.2, "seed": split.get("seed") or 0}
    train, test = class_images(folder, model.input_shape(), classes=names, progress=progress, **reading)
    if Inputs(test, model.preprocessing).digest() != run.part("test")["digest"]:
        raise ValueError(f"the test images in {folder} are not those of the training.")
    return train, test


def _explain(model: ImageModel, pixels: np.ndarray, predicted: np.ndarray) -> list[np.ndarray]:
    """Return the Grad-CAM maps of the predicted classes, drawn over the images, uint8 RGB."""
    spec = attribution.method_spec("gradcam")
    maps = attribution.gradcam(model.keras_model, model.to_inputs(pixels), predicted.tolist())
    pictures = [images.to_channels(pixel, 3) for pixel in pixels]
    return [attribution.draw_map(spec, picture, values)[1] for picture, values in zip(pictures, maps, strict=True)]


def _make_example(test: ClassImages, names: list[str], number: int, pixels, overlay, probabilities) -> Example:
    true, predicted = int(test.labels[number]), int(probabilities.argmax())
    picture = images.to_channels(pixels, 3)
    pictures = [(test.files[number].name, picture)]
    pictures += [] if overlay is None else [(f"Grad-CAM: {names[predicted]}", overlay)]
    percent = [f"{100 * probabilities[index]:.1f} %" for index in (true, predicted)]
    if true == predicted:
        caption = f"{names[true]}, right with {percent[0]}"
    else:
        caption = f"{names[true]} ({percent[0]}), taken for {names[predicted]} ({percent[1]})"
    return Example(caption, pictures)
