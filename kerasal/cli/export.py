"""``kerasal export``: a model and its explanations as a SavedModel for TensorFlow Serving."""

import pathlib
from typing import Annotated, Literal

import typer

from kerasal.cli import options
from kerasal.cli.session import remark, results

_SIGNATURE_HELP = (
    "[NAME=]KIND[:option=value,…]; repeat it. KIND: serving_default, predict_image, predict_bytes, an attribution "
    "method, maximize or gaze. Options: those of the method; on=inputs|image|bytes, target=top|class|NUMBER, top=5, "
    "fit=crop|stretch, size=HxW, logits, output."
)


def export(
    model: options.Model,
    folder: Annotated[pathlib.Path, typer.Argument(help="The folder of the models: written is FOLDER/NAME/VERSION.")],
    signature: Annotated[list[str] | None, typer.Option("--signature", "-s", help=_SIGNATURE_HELP)] = None,
    preprocessing: options.Preprocessing = None,
    labels: options.Labels = None,
    weights: options.Weights = None,
    name: Annotated[str | None, typer.Option(help="Of the model. Default: its own.")] = None,
    format: Annotated[
        Literal["saved_model", "onnx"],
        typer.Option(help="onnx: a file a signature, for the scores, occlusion and scorecam; ONNX has no gradients."),
    ] = "saved_model",
    version: Annotated[int | None, typer.Option(help="Of the model. Default: one more than the last.", min=1)] = None,
    unsafe: options.Unsafe = False,
) -> None:
    """Export a model with its explanations for TensorFlow Serving: the map beside the prediction, gradients inside.

    Without --signature: serving_default, class_saliency and, where the preprocessing is known, predict_image and
    predict_bytes. Whoever loads it needs TensorFlow alone.
    """
    if format == "onnx" and version is not None:
        raise ValueError("--version is a SavedModel's; ONNX files are told apart by --name.")
    from kerasal.cli.opening import open_model
    from kerasal.serving.signatures import make_signatures

    if signature:
        make_signatures(signature)  # what is mistyped is told before a large model is opened
    opened = open_model(model, preprocessing=preprocessing, labels=labels, weights=weights, unsafe=unsafe)
    from rich.table import Table

    from kerasal.serving.assets import read_description
    from kerasal.serving.exporter import write

    opened = opened.image_model
    if format == "onnx":
        _write_onnx(opened, folder, signature, name)
        return
    if opened.preprocessing is None and signature is None:
        remark("No signatures on images: say --preprocessing for predict_image and predict_bytes.")
    path = write(opened, folder, signature, version, name)
    table = Table("signature", "takes", "gives")
    for key, one in read_description(path)["signatures"].items():
        table.add_row(key, _listed(one["inputs"]), _listed(one["outputs"]))
    results().print(table)
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    results().print(f"{path}  {size / 1e6:.1f} MB. Next: kerasal serve {folder}", markup=False, soft_wrap=True)


def _write_onnx(opened, folder: pathlib.Path, signature: list[str] | None, name: str | None) -> None:
    from kerasal.serving import onnx

    for path in onnx.write(opened, folder, signature or ["serving_default"], name):
        size = path.stat().st_size / 1e6
        results().print(f"{path}  {size:.1f} MB, the same as TensorFlow in onnxruntime", markup=False, soft_wrap=True)


def _listed(tensors: dict) -> str:
    return "\n".join(f"{name} {one['dtype']} ({_sides(one['shape'])})" for name, one in tensors.items())


def _sides(shape: list) -> str:
    return ", ".join(["N", *(str(side or "any") for side in shape[1:])])
