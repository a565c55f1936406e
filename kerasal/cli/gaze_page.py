"""``kerasal gaze page``: a folder with a web page that predicts gaze in the browser."""

import shlex
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from kerasal.cli import completion, gaze_options, options
from kerasal.cli.json_output import record, with_json
from kerasal.cli.session import load_tensorflow, remark, say


@with_json
@options.with_options("settings", gaze_options.model_options())
def page(
    settings: dict,
    model: Annotated[
        str,
        Argument(
            help="A run of `gaze train`, a .keras or .h5 file, or a zoo name. Default: the model that is installed "
            "with kerasal.",
            show_default=False,
            autocompletion=completion.models,
        ),
    ] = gaze_options.SHIPPED,
    output: Annotated[Path, options.Output(help="The folder to write: new, empty, or that of an earlier page.")] = Path(
        "gaze-page"
    ),
    runtime: Annotated[
        Path | None,
        Option(
            help="A folder with the npm package onnxruntime-web, which runs the model in the browser. Default: npm "
            "fetches it.",
            show_default=False,
        ),
    ] = None,
    title: Annotated[str | None, Option(help="Heading of the page.", show_default=False)] = None,
    example: Annotated[
        list[Path] | None,
        Option(help="A photo that the page offers; repeatable. Default: four bundled photos.", show_default=False),
    ] = None,
) -> None:
    r"""Write a web page that predicts where people look in dropped photos and in the webcam, offline.

    The model runs in the browser, with the results of `gaze predict`; no photo leaves the device. A web server must
    serve the folder: that of Python will do. It needs python -m pip install "kerasal\[onnx]".
    """
    load_tensorflow()
    from kerasal.gaze_page import build, page_folder, web_runtime
    from kerasal.serving.onnx_graph import need_converter

    page_folder.check_folder(output)  # before the model, so that what is wrong is reported at once
    need_converter(".")
    web_runtime.check_runtime(runtime)
    if runtime is None:
        remark(f"npm provides {web_runtime.PACKAGE} {web_runtime.VERSION}. Use --runtime for a folder with it.")
    opened, predictor = gaze_options.open_gaze_model(model, **settings)
    written = build(
        output,
        predictor,
        runtime=runtime,
        title=title or page_folder.TITLE,
        examples=example,
        name=opened.name,
    )
    record(
        output=written.folder,
        files=written.files,
        bytes=written.size,
        runtime=written.runtime,
        difference=written.difference,
    )
    say(
        f"{written.folder}  {written.size / 1e6:.1f} MB, maps within {written.difference:.1g} of TensorFlow's. Next: "
        f"python -m http.server 8000 --directory {shlex.quote(str(written.folder))}, and open http://localhost:8000"
    )
