"""``kerasal export``, a model with its explanations as a SavedModel; ``serve``, TensorFlow Serving of the export."""

import os
from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, BadParameter, Option

from kerasal.cli import completion
from kerasal.cli.flags import Formerly, Sets
from kerasal.cli.json_output import record, with_json
from kerasal.cli.model_argument import Load, with_model
from kerasal.cli.options import Output
from kerasal.cli.session import load_tensorflow, remark, results, say

_SIGNATURE_HELP = (
    r"A signature to export, \[NAME=]KIND\[:option=value,…]; repeatable. KIND: serving_default, predict_image, "
    "predict_bytes, an attribution method, maximize or gaze. Options: those of the method, and on=inputs|image|bytes, "
    "target=top|class|NUMBER, top=5, fit=crop|stretch, size=HxW, logits, output."
)


@with_json
@with_model("preprocessing", "labels", "weights")
def export(
    load: Load,
    folder: Annotated[
        Path | None,
        Argument(help="The folder of all exported models: FOLDER/NAME/VERSION is written.", show_default=False),
    ] = None,
    output: Annotated[Path | None, Output(help="The same as the argument FOLDER.")] = None,
    signature: Annotated[
        list[str] | None,
        Option("--signature", "-s", help=_SIGNATURE_HELP, autocompletion=completion.signatures),
    ] = None,
    name: Annotated[str | None, Option(help="Name of the exported model. Default: the model's name.")] = None,
    format: Annotated[
        Literal["saved_model", "onnx"],
        Option(
            "--format",
            "-f",
            help="saved_model; or onnx, a file per signature: only scores, occlusion, ablation, hsic and scorecam, "
            "since ONNX has no gradients.",
        ),
    ] = "saved_model",
    model_version: Annotated[
        int | None,
        Option(help="Version of the exported model. Default: the last version plus 1.", min=1),
        Formerly("--version"),
        Sets("version"),
    ] = None,
) -> None:
    """Export a model with its explanations for TensorFlow Serving: maps are served next to the predictions.

    Without --signature, the export has serving_default, class_saliency and, if the preprocessing is known,
    predict_image and predict_bytes. It runs with TensorFlow, without kerasal.
    """
    target = folder or output
    if target is None or (folder and output):
        raise BadParameter("Exactly one of FOLDER and --output must be set.")
    if format == "onnx" and model_version is not None:
        raise BadParameter("--model-version can only be used with --format saved_model. For onnx, use --name.")
    load_tensorflow()  # here, so that the messages of its start are hidden
    from kerasal.serving.signatures import make_signatures

    if signature:
        make_signatures(signature)  # before a large model is opened, so that mistakes are reported at once
    model = load()
    from rich.table import Table

    from kerasal.serving import exporter, onnx
    from kerasal.serving.assets import read_description

    if format == "onnx":
        paths = list(onnx.write(model, target, signature or ["serving_default"], name))
        record(files=paths)
        for path in paths:
            size = path.stat().st_size / 1e6
            say(f"{path}  {size:.1f} MB, same results in onnxruntime and TensorFlow")
        return
    if model.preprocessing is None and signature is None:
        remark("Exported without predict_image and predict_bytes, which need --preprocessing.")
    path = exporter.write(model, target, signature, model_version, name)
    table = Table("signature", "inputs", "outputs")
    signatures = read_description(path)["signatures"]
    record(output=path, signatures=signatures)
    for key, tensors in signatures.items():
        table.add_row(key, _describe_tensors(tensors["inputs"]), _describe_tensors(tensors["outputs"]))
    results().print(table)
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    say(f"{path}  {size / 1e6:.1f} MB. Next: kerasal serve {target}")


def _describe_tensors(tensors: dict) -> str:
    lines = []
    for name, tensor in tensors.items():
        sides = ", ".join(["N", *(str(side or "any") for side in tensor["shape"][1:])])
        lines.append(f"{name} {tensor['dtype']} ({sides})")
    return "\n".join(lines)


def serve(
    folder: Annotated[Path, Argument(help="The folder that kerasal export has written.", show_default=False)],
    name: Annotated[str | None, Option(help="Name of the exported model, for a folder with several.")] = None,
    port: Annotated[int, Option(help="Port of the REST interface.", min=1, max=65535)] = 8501,
    grpc_port: Annotated[int, Option(help="Port of the gRPC interface.", min=1, max=65535)] = 8500,
    all_interfaces: Annotated[
        bool,
        Option("--all-interfaces", help="Let other machines reach a server that runs without Docker."),
        Sets("everywhere"),
    ] = False,
    dry_run: Annotated[bool, Option("--dry-run", help="Only print the Docker command.")] = False,
) -> None:
    """Serve an export with TensorFlow Serving on this machine, or report what must be installed.

    kerasal has no server of its own: it starts the Docker image tensorflow/serving, if it is installed (nothing is
    downloaded), or an installed tensorflow_model_server.
    """
    load_tensorflow()
    from kerasal.serving import server

    model = server.find_model(folder, name)
    if dry_run:
        say(" ".join(server.docker_command(model, port, grpc_port)))
        return
    command = server.choose_command(model, port, grpc_port, everywhere=all_interfaces)
    remark(f"http://127.0.0.1:{port}/v1/models/{model.name}:predict  (stop with Ctrl-C)")
    remark(" ".join(command))
    os.execvp(command[0], command)
