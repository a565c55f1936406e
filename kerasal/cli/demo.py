"""``kerasal demo``: examples of the main functions on photos and digits that are installed with the package."""

from pathlib import Path
from typing import Annotated

from kerasal.cli.options import Output
from kerasal.cli.outputs import check_writable
from kerasal.cli.session import load_tensorflow, results, say


def demo(output: Annotated[Path, Output(help="The folder for the pictures.")] = Path("kerasal-demo")) -> None:
    """Show what a classifier sees in a photo, where people will look, and what a small model sees in ten digits."""
    check_writable(output / "photo.png")  # fail before the work, not after it
    load_tensorflow()
    from kerasal import images, open_model
    from kerasal.cli import demo_digits, demo_photos

    model, photo = open_model("efficientnet_lite0", fit="stretch"), demo_photos.make_photo()
    images.write(output / "photo.png", photo)
    say(f"{output / 'photo.png'}  a photo with a cat and a cup of coffee")
    _print_classes(model, photo)
    for name, draw, what in (
        ("maps.png", lambda path: demo_photos.draw_maps(model, photo, path), "what in the photo speaks for each class"),
        ("channels.png", demo_photos.draw_channels, "what eight channels of a layer respond to"),
        ("five-classes.png", demo_photos.draw_class_models, "the image that maximizes each class of a small model"),
        ("gaze.png", demo_photos.draw_gaze, "where people will look in four photos"),
    ):
        draw(output / name)
        say(f"{output / name}  {what}")

    digit_model, pictures, inputs = demo_digits.open_digits()
    _print_digits(digit_model(inputs, training=False).numpy())
    for name, draw_digits, what in (
        ("feature-maps.png", demo_digits.draw_feature_maps, "the outputs of both convolutions for a 7"),
        ("attribution.png", demo_digits.draw_attribution, "the pixels that the predicted digit depends on"),
        ("class-models.png", demo_digits.draw_class_models, "the image that maximizes the score of each digit"),
    ):
        draw_digits(digit_model, pictures, inputs, output / name)
        say(f"{output / name}  {what}")
    say(_NEXT.format(photo=output / "photo.png"))


def _print_classes(model, photo) -> None:
    from rich.table import Table

    title = f"What {model.name} recognizes in the photo"
    table = Table("class", "probability", title=title, title_justify="left")
    for row in model.scores([photo]).head(4).itertuples():
        table.add_row(str(row.label), f"{row.score:.1%}")
    results().print(table)


def _print_digits(probabilities) -> None:
    from rich.table import Table

    title = "Predictions of mnist_cnn for ten test digits of MNIST"
    table = Table("digit", "prediction", "confidence", title=title, title_justify="left")
    for digit, scores in enumerate(probabilities):
        table.add_row(str(digit), str(scores.argmax()), f"{scores.max():.1%}")
    results().print(table)


_NEXT = """
Next, with a photo of your own (this works without a model of your own, too):
  kerasal attribute gradcam efficientnet_lite0 PHOTO.jpg -o gradcam.png
  kerasal gaze predict PHOTO.jpg
and with a model of your own; info says what kerasal recognizes in it:
  kerasal info MODEL.keras
  kerasal attribute gradcam MODEL.keras PHOTO.jpg -o gradcam.png
  kerasal compare MODEL.keras PHOTO.jpg -o methods.html
  kerasal atlas MODEL.keras --images PHOTOS/ -o site
or in Python:
  model = kerasal.open_model("MODEL.keras")
  explanation = kerasal.explain(model, "PHOTO.jpg", "gradcam")
kerasal --help lists all commands, and kerasal card efficientnet_lite0 describes the model of the photos."""
