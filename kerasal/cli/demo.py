"""``kerasal demo``: the whole line on digits that ship with the package, without a network."""

from pathlib import Path
from typing import Annotated

from kerasal.cli.options import Output
from kerasal.cli.outputs import check_writable
from kerasal.cli.session import load_tensorflow, results, say

_METHODS = ("class_saliency", "guided_backprop", "deconvnet")


def demo(output: Annotated[Path, Output(help="The folder for the pictures.")] = Path("kerasal-demo")) -> None:
    """Read ten handwritten digits with a trained net, and show what it sees. Works offline, in under a minute."""
    check_writable(output / "gaze.png")  # an unwritable folder is told before the work, not after
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
        ("feature-maps.png", _feature_maps, "what each channel of both convolutions makes of a 7"),
        ("attribution.png", _attribution, "which pixels decide, by three methods, for ten digits"),
        ("class-models.png", _class_models, "what each of the ten classes would most like to see"),
    ):
        draw(model, pictures, inputs, output / name)
        say(f"{output / name}  {what}")
    _gaze(output / "gaze.png")
    say(f"{output / 'gaze.png'}  where people will look in four photographs")
    say(_NEXT)


def _print_table(truth, probabilities) -> None:
    from rich.table import Table

    title = "mnist_cnn reads ten test digits of MNIST"
    table = Table("digit", "prediction", "confidence", title=title, title_justify="left")
    for digit, scores in zip(truth, probabilities, strict=True):
        table.add_row(str(digit), str(scores.argmax()), f"{scores.max():.1%}")
    results().print(table)


def _feature_maps(model, pictures, inputs, path) -> None:
    import numpy as np

    from kerasal import features, images

    sheets = [images.grid([images.heatmap(pictures[7])], ["the input"], tile=132)]
    for layer, tile in (("conv1", 132), ("conv2", 56)):
        maps = features.feature_maps(model, inputs[7], layer)[0]
        title = f"{layer}: {maps.shape[2]} channels of {maps.shape[0]} × {maps.shape[1]}; bright: active"
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
        tiles += [images.heatmap(one if one.ndim == 2 else one[..., 0], signed=one.ndim == 3) for one in maps]
    labels = [""] * 30 + [str(digit) for digit in range(10)]
    note = "class_saliency: the brighter, the more the score reacts. The others: red raises the score, blue lowers it."
    images.write(path, images.grid(tiles, labels, columns=10, row_labels=["the digit", *_METHODS], note=note, tile=84))


def _class_models(model, pictures, inputs, path) -> None:
    from kerasal import images, maximize
    from kerasal.maximization import L2, Jitter, TotalVariation
    from kerasal.objectives import class_score

    found = maximize(
        model,
        [class_score(digit) for digit in range(10)],
        preset="simonyan",
        preprocessing="unit",
        # With the preset's L2 alone this small net is pleased by grains of light and dark; so held, it draws strokes.
        regularizers=[L2(2e-3), TotalVariation(0.1)],
        transforms=[Jitter(2)],
        clip=True,
    )
    drawn = [images.heatmap(image[..., 0], signed=False) for image in found.raw]
    title = "the ink that each class would most like to see"
    note = "from an empty image; held smooth, shifted a little at each step, and kept to the range of real ink"
    digits = [str(digit) for digit in range(10)]
    images.write(path, images.grid(drawn, digits, columns=5, title=title, note=note, tile=140))


def _gaze(path) -> None:
    from kerasal import gaze, images
    from kerasal.models.opener import PHOTOGRAPHS

    photographs = [images.read(file) for file in PHOTOGRAPHS]
    drawn = [gaze.overlay(photograph, gaze.predict(photograph).map) for photograph in photographs]
    labels = ["a photograph"] * len(photographs) + ["where people will look"] * len(photographs)
    title = "where people will look, as the net that ships predicts it"
    note = "yellow: looked at most; without color: hardly; nobody was measured on these photographs"
    sheet = images.grid([*photographs, *drawn], labels, columns=len(drawn), title=title, note=note, tile=220)
    images.write(path, sheet)


_NEXT = """
Next, with photographs of your own:
  kerasal gaze predict PHOTO.jpg
and with a model:
  kerasal attribute class_saliency MODEL.keras PHOTO.jpg -o saliency.png
  kerasal compare MODEL.keras PHOTO.jpg -o page.html
  kerasal maximize MODEL.keras --channel LAYER:0-63 -o channels.png
  kerasal feature-maps MODEL.keras PHOTO.jpg --layer LAYER
or in Python:
  from kerasal import attribution
  maps = attribution.class_saliency(model, inputs)    # (N, H, W), any Keras model
kerasal --help lists the commands, kerasal card mnist_cnn tells about the net above."""
