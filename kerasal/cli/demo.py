"""``kerasal demo``: examples of the main functions on digits and photos that are installed with the package."""

from pathlib import Path
from typing import Annotated

from kerasal.cli.options import Output
from kerasal.cli.outputs import check_writable
from kerasal.cli.session import load_tensorflow, results, say

_METHODS = ("class_saliency", "guided_backprop", "deconvnet")


def demo(output: Annotated[Path, Output(help="The folder for the pictures.")] = Path("kerasal-demo")) -> None:
    """Show where people will look in four photos, and what a small model sees in ten digits, within a minute."""
    check_writable(output / "gaze.png")  # fail before the work, not after it
    load_tensorflow()
    import numpy as np

    from kerasal import create_model, model_spec, preprocessing
    from kerasal.datasets import digits

    model = create_model("mnist_cnn", weights="kerasal")
    pictures, truth = digits()
    first = [int(np.flatnonzero(truth == digit)[0]) for digit in range(10)]
    pictures, truth = pictures[first], truth[first]
    inputs = preprocessing.get(model_spec("mnist_cnn").preprocessing).apply(pictures[..., None])
    probabilities = model(inputs, training=False).numpy()
    _print_table(truth, probabilities)
    for name, draw, what in (
        ("feature-maps.png", _feature_maps, "the outputs of both convolutions for a 7"),
        ("attribution.png", _attribution, "the pixels that the predicted digit depends on, by three methods"),
        ("class-models.png", _class_models, "the image that maximizes the score of each digit"),
    ):
        draw(model, pictures, inputs, output / name)
        say(f"{output / name}  {what}")
    _gaze(output / "gaze.png")
    say(f"{output / 'gaze.png'}  where people will look in four photos")
    say(_NEXT)


def _print_table(truth, probabilities) -> None:
    from rich.table import Table

    title = "Predictions of mnist_cnn for ten test digits of MNIST"
    table = Table("digit", "prediction", "confidence", title=title, title_justify="left")
    for digit, scores in zip(truth, probabilities, strict=True):
        table.add_row(str(digit), str(scores.argmax()), f"{scores.max():.1%}")
    results().print(table)


def _feature_maps(model, pictures, inputs, path) -> None:
    import numpy as np

    from kerasal import features, images

    sheets = [images.grid([images.heatmap(pictures[7])], ["input"], tile=132)]
    for layer, tile in (("conv1", 132), ("conv2", 56)):
        maps = features.feature_maps(model, inputs[7], layer)[0]
        title = f"{layer}: {maps.shape[2]} channels of {maps.shape[0]} × {maps.shape[1]}"
        sheets.append(features.draw_feature_maps(maps, scale="layer", title=title, tile=tile))
    height = max(sheet.shape[0] for sheet in sheets)
    padded = [np.pad(sheet, ((0, height - len(sheet)), (0, 12), (0, 0)), constant_values=255) for sheet in sheets]
    images.write(path, np.concatenate(padded, axis=1))


def _attribution(model, pictures, inputs, path) -> None:
    import numpy as np

    from kerasal import attribution, images

    tiles = [np.repeat(picture[..., None], 3, axis=2) for picture in pictures]
    for name in _METHODS:
        maps = getattr(attribution, name)(model, inputs)
        tiles += [
            images.heatmap(values if values.ndim == 2 else values[..., 0], signed=values.ndim == 3) for values in maps
        ]
    sheet = images.grid(
        tiles,
        columns=10,
        row_labels=["digit", *_METHODS],
        title="Which pixels the score of the predicted digit depends on, by three methods",
        note="Maps of class_saliency have no sign. Each map is scaled by its own largest values.",
        legend=[
            ("heat", "class_saliency: no effect", "strongest effect"),
            ("signed", "guided_backprop and deconvnet: lowers the score", "raises the score"),
        ],
        tile=84,
    )
    images.write(path, sheet)


def _class_models(model, pictures, inputs, path) -> None:
    from kerasal import images, maximize
    from kerasal.maximization import L2, Jitter, TotalVariation
    from kerasal.objectives import class_score

    maximized = maximize(
        model,
        [class_score(digit) for digit in range(10)],
        preset="simonyan",
        preprocessing="unit",
        # With the L2 term of the preset alone, this small model prefers grains of light and dark to strokes.
        regularizers=[L2(2e-3), TotalVariation(0.1)],
        transforms=[Jitter(2)],
        clip=True,
    )
    drawn = [images.heatmap(image[..., 0], signed=False) for image in maximized.raw]
    sheet = images.grid(
        drawn,
        [str(digit) for digit in range(10)],
        columns=5,
        title="The image that maximizes the score of each digit",
        note="Gradient ascent from an empty image: smoothed, shifted at each step, and limited to the range of pixels.",
        legend=[("heat", "paper", "ink")],
        tile=140,
    )
    images.write(path, sheet)


def _gaze(path) -> None:
    from kerasal import gaze, images
    from kerasal.models.opener import PHOTOGRAPHS

    photos = [images.read(file) for file in PHOTOGRAPHS]
    drawn = [gaze.overlay(photo, gaze.predict(photo).map) for photo in photos]
    sheet = images.grid(
        [images.fit_image(picture, (220, 220)) for picture in (*photos, *drawn)],
        columns=len(photos),
        row_labels=["photo", "prediction"],
        title="Where people will look, predicted by the gaze model that is installed with kerasal",
        note="A prediction: nobody's gaze was measured on these photos.",
        legend=[("overlay", "hardly looked at", "looked at most")],
        tile=220,
    )
    images.write(path, sheet)


_NEXT = """
Next, with a photo of your own:
  kerasal gaze predict PHOTO.jpg
and a model of your own (-p is how it expects its pixels, such as unit for 0..1; see kerasal attribute gradcam --help):
  kerasal attribute gradcam MODEL.keras PHOTO.jpg -p unit -o gradcam.png
  kerasal compare MODEL.keras PHOTO.jpg -p unit -o methods.html
  kerasal atlas MODEL.keras --images PHOTOS/ -p unit -o site
or in Python:
  model = kerasal.open_model("MODEL.keras", preprocessing="unit")
  explanation = kerasal.explain(model, "PHOTO.jpg", "gradcam")
kerasal --help lists all commands, and kerasal card mnist_cnn describes the model of the digits."""
