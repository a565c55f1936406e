"""``kerasal export`` and ``serve``: a model and its explanations as a SavedModel, and TensorFlow Serving on it."""

import os
from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

from kerasal.cli.opening import Load, loading
from kerasal.cli.session import remark, results, say

_SIGNATURE_HELP = (
    "[NAME=]KIND[:option=value,…]; repeat it. KIND: serving_default, predict_image, predict_bytes, an attribution "
    "method, maximize or gaze. Options: those of the method; on=inputs|image|bytes, target=top|class|NUMBER, top=5, "
    "fit=crop|stretch, size=HxW, logits, output."
)


@loading("preprocessing", "labels", "weights")
def export(
    load: Load,
    folder: Annotated[Path, Argument(help="The folder of the models: written is FOLDER/NAME/VERSION.")],
    signature: Annotated[list[str] | None, Option("--signature", "-s", help=_SIGNATURE_HELP)] = None,
    name: Annotated[str | None, Option(help="Of the model. Default: its own.")] = None,
    format: Annotated[
        Literal["saved_model", "onnx"],
        Option(help="onnx: a file a signature, for the scores, occlusion and scorecam; ONNX has no gradients."),
    ] = "saved_model",
    version: Annotated[int | None, Option(help="Of the model. Default: one more than the last.", min=1)] = None,
) -> None:
    """Export a model with its explanations for TensorFlow Serving: the map beside the prediction, gradients inside.

    Without --signature: serving_default, class_saliency and, where the preprocessing is known, predict_image and
    predict_bytes. Whoever loads it needs TensorFlow alone.
    """
    if format == "onnx" and version is not None:
        raise ValueError("--version is a SavedModel's; ONNX files are told apart by --name.")
    from kerasal.serving.signatures import make_signatures

    if signature:
        make_signatures(signature)  # what is mistyped is told before a large model is opened
    opened = load()
    from rich.table import Table

    from kerasal.serving import exporter, onnx
    from kerasal.serving.assets import read_description

    if format == "onnx":
        for path in onnx.write(opened, folder, signature or ["serving_default"], name):
            size = path.stat().st_size / 1e6
            say(f"{path}  {size:.1f} MB, the same as TensorFlow in onnxruntime")
        return
    if opened.preprocessing is None and signature is None:
        remark("No signatures on images: say --preprocessing for predict_image and predict_bytes.")
    path = exporter.write(opened, folder, signature, version, name)
    table = Table("signature", "takes", "gives")
    for key, one in read_description(path)["signatures"].items():
        table.add_row(key, _listed(one["inputs"]), _listed(one["outputs"]))
    results().print(table)
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    say(f"{path}  {size / 1e6:.1f} MB. Next: kerasal serve {folder}")


def _listed(tensors: dict) -> str:
    lines = []
    for name, one in tensors.items():
        sides = ", ".join(["N", *(str(side or "any") for side in one["shape"][1:])])
        lines.append(f"{name} {one['dtype']} ({sides})")
    return "\n".join(lines)


def serve(
    folder: Annotated[Path, Argument(help="What kerasal export wrote into.", show_default=False)],
    name: Annotated[str | None, Option(help="Which model, where the folder has several.")] = None,
    port: Annotated[int, Option(help="For REST.", min=1, max=65535)] = 8501,
    grpc_port: Annotated[int, Option(help="For gRPC.", min=1, max=65535)] = 8500,
    all_interfaces: Annotated[
        bool, Option("--all-interfaces", help="Let a bare server be reached from the network.")
    ] = False,
    dry_run: Annotated[bool, Option("--dry-run", help="Print the Docker command, and start nothing.")] = False,
) -> None:
    """Serve an export with TensorFlow Serving, on this machine alone; or say what to install.

    kerasal has no server of its own: this starts Docker's tensorflow/serving if its image is here (nothing is
    downloaded), or the installed tensorflow_model_server.
    """
    from kerasal.serving import server

    model = server.find_model(folder, name)
    if dry_run:
        say(" ".join(server.docker_command(model, port, grpc_port)))
        return
    command = server.choose_command(model, port, grpc_port, everywhere=all_interfaces)
    remark(f"http://127.0.0.1:{port}/v1/models/{model.name}:predict  (Ctrl-C ends it)")
    remark(" ".join(command))
    os.execvp(command[0], command)
