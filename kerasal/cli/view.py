"""``kerasal view``: a live page of a model in the browser."""

import sys
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from kerasal.cli.flags import Sets
from kerasal.cli.model_argument import Load, with_model
from kerasal.cli.session import remark_when_stopped, say


@with_model("preprocessing", "labels", "weights", "fit")
def view(
    load: Load,
    images: Annotated[
        list[Path] | None,
        Argument(
            help="Photos, or folders of photos, to choose from. Bundled photos are listed too.", show_default=False
        ),
    ] = None,
    port: Annotated[
        int | None,
        Option(help="Port of the page. Default: 8600, or another that is free.", min=1, max=65535, show_default=False),
    ] = None,
    no_browser: Annotated[
        bool, Option("--no-browser", help="Print the address only; open no browser."), Sets("browser")
    ] = False,
) -> None:
    r"""Open a live page: drop a photo, choose class, layer and method, and see the map and where people will look.

    For example: kerasal view MODEL.keras PHOTOS/. The page is served to this machine only and loads nothing from the
    network; Ctrl-C ends it. It needs python -m pip install "kerasal\[view]".
    """
    from kerasal.viewer import page_server

    page_server.need_streamlit()  # before the model, so that what is missing is reported at once
    page_server.list_photos(images or None)

    def print_address(address: str) -> None:
        say(f"{address}  (stop with Ctrl-C)")
        sys.stdout.flush()

    model = load()
    with remark_when_stopped("Stopped."):
        page_server.view(model, images or None, port=port, browser=not no_browser, started=print_address)
