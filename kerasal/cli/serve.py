"""``kerasal serve``: TensorFlow Serving, started on an export."""

import os
import pathlib
from typing import Annotated

import typer

from kerasal.cli.session import remark, results


def serve(
    folder: Annotated[pathlib.Path, typer.Argument(help="What kerasal export wrote into.", show_default=False)],
    name: Annotated[str | None, typer.Option(help="Which model, where the folder has several.")] = None,
    port: Annotated[int, typer.Option(help="For REST.", min=1, max=65535)] = 8501,
    grpc_port: Annotated[int, typer.Option(help="For gRPC.", min=1, max=65535)] = 8500,
    all_interfaces: Annotated[
        bool, typer.Option("--all-interfaces", help="Let a bare server be reached from the network.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the Docker command, and start nothing.")] = False,
) -> None:
    """Serve an export with TensorFlow Serving, on this machine alone; or say what to install.

    kerasal has no server of its own: this starts Docker's tensorflow/serving if its image is here (nothing is
    downloaded), or the installed tensorflow_model_server.
    """
    from kerasal.serving import server

    model = server.find_model(folder, name)
    if dry_run:
        results().print(" ".join(server.docker_command(model, port, grpc_port)), markup=False, soft_wrap=True)
        return
    command = server.choose_command(model, port, grpc_port, everywhere=all_interfaces)
    remark(f"http://127.0.0.1:{port}/v1/models/{model.name}:predict  (Ctrl-C ends it)")
    remark(" ".join(command))
    os.execvp(command[0], command)
