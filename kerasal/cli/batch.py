"""``kerasal batch METHOD MODEL IMAGES OUT``: a method over many images, in this process or on several workers."""

import shlex
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, BadParameter, Exit, Option
from typer.core import TyperCommand

from kerasal.cli import completion, options
from kerasal.cli.gaze_options import SHIPPED
from kerasal.cli.json_output import record, with_json
from kerasal.cli.method_flags import Smooth, SmoothNoise
from kerasal.cli.method_table import read_method
from kerasal.cli.session import remark, remark_when_stopped, say
from kerasal.names import count_noun

_MOST_LISTED = 10

_METHOD = Annotated[
    str,
    Argument(
        help="predict, gaze, localize, or an attribution method such as class_saliency.",
        show_default=False,
        autocompletion=completion.batch_methods,
    ),
]
_ARGUMENTS = Annotated[
    list[str],
    Argument(
        metavar="[MODEL] IMAGES OUT",
        help="MODEL (or --model): a zoo name, a model file or a folder; for gaze, by default the model installed with "
        "kerasal. IMAGES: a folder, searched at any depth, or a Parquet list of paths. OUT (or --output): the folder "
        "for the results, or that of a stopped run, which continues.",
        show_default=False,
        autocompletion=completion.models_and_files,
    ),
]


class BatchCommand(TyperCommand):
    """The command ``batch``: its error for an option of the method that is typed as a flag says how it is set."""

    def parse_args(self, ctx, args: list[str]) -> list[str]:
        """Read the arguments of the command line."""
        typed = list(args)
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            flag = vars(error).get("option_name") if type(error).__name__ == "NoSuchOption" else None
            if flag is not None and (remedy := _option_remedy(flag, typed)):
                ctx.fail(f"No such option: {flag}. {remedy}")
            raise


def _option_remedy(flag: str, typed: list[str]) -> str:
    """Return how the option of a flag is set for the method that was typed; empty if the method has no such option."""
    following = {word.partition("=")[0]: word.partition("=")[2] or after for word, after in pairwise([*typed, ""])}
    name, value = flag.lstrip("-").replace("-", "_"), following.get(flag) or "VALUE"
    if other := next((word for word in typed if word in ("gaze", "localize")), None):
        return f"If it is an option of {other}, set it with -O: -O {name}={shlex.quote(value)}."
    row = next((row for word in typed if (row := read_method(word)) is not None), None)
    name = {"max_channels": "channels"}.get(name, name)
    if row is None or name.removeprefix("no_") not in row.options:
        return ""
    if name not in row.options:
        name, value = name.removeprefix("no_"), "False"
    elif row.options[name].annotation is bool:
        value = "True"
    return f"Set options of {row.name} with -O: -O {name}={shlex.quote(value)}."


@with_json
@options.with_options("settings", options.model_options("preprocessing", "labels", "weights", "fit"))
def batch(
    method: _METHOD,
    arguments: _ARGUMENTS,
    settings: dict,
    model: Annotated[
        str | None,
        Option(help="The same as the argument MODEL.", show_default=False, autocompletion=completion.models),
    ] = None,
    output: Annotated[Path | None, options.Output(help="The same as the argument OUT.")] = None,
    workers: Annotated[
        int, Option("--workers", "-n", help="Number of Ray worker processes; 0 runs in this process.", min=0)
    ] = 0,
    address: Annotated[
        str | None, Option(help="Address of a Ray cluster, or 'auto'. Default: a temporary cluster on this machine.")
    ] = None,
    format: Annotated[
        Literal["parquet", "npz", "png"], Option("--format", "-f", help="Tables of raw maps, arrays, or pictures.")
    ] = "parquet",
    option: Annotated[
        list[str] | None,
        Option(
            "--option",
            "-O",
            metavar="KEY=VALUE",
            help="An option of the method, such as samples=20; repeatable.",
        ),
    ] = None,
    smooth: Smooth = None,
    smooth_noise: SmoothNoise = 0.15,
    class_: options.Class = None,
    channel: options.Channel = None,
    logits: options.Logits = True,
    model_output: options.ModelOutput = None,
    column: Annotated[
        str | None, Option(help="Column of the Parquet list with the paths. Default: image, path or file.")
    ] = None,
    shard_size: Annotated[int, Option(help="Number of images in each file of results.", min=1)] = 32,
    threads: Annotated[
        int,
        Option(help="CPU threads per process, without a GPU; 0: TensorFlow chooses the number, and uses a GPU.", min=0),
    ] = 1,
    retry: Annotated[bool, Option("--retry", help="Also retry images that could not be read before.")] = False,
) -> None:
    """Run a method over a folder of images; write Parquet, NPZ or pictures, and a manifest.

    For example: kerasal batch gradcam MODEL.keras PHOTOS/ maps/ --workers 4, or kerasal batch gaze PHOTOS/ maps/. The
    same command continues a stopped run, and later processes only images that were added. The result files are
    identical for any number of workers. Images that could not be read are listed in the manifest as dead letters; the
    exit code is then 1.
    """
    model, images, out = _read_arguments(method, arguments, model, output)
    if class_ and channel:
        raise BadParameter("--class and --channel must not be set together.")
    method_options = options.read_options(option, "--option", "samples=20")
    from kerasal.batch import run

    with remark_when_stopped():
        result = run(
            method,
            model,
            images,
            out,
            workers=workers,
            address=address,
            format=format,
            options=method_options,
            column=column,
            shard_size=shard_size,
            threads=threads or None,
            retry=retry,
            progress=True,
            smoothing=None if smooth is None else {"samples": smooth, "noise": smooth_noise},
            class_=class_,
            channel=options.read_channel(channel),
            logits=logits,
            output=model_output,
            model_options=tuple(settings.pop("model_option") or ()),
            **settings,
        )
    _report(result)


def _read_arguments(
    method: str, arguments: list[str], model: str | None, output: Path | None
) -> tuple[str, Path, Path]:
    """Return model, images and output folder from [MODEL] IMAGES [OUT], --model and --output."""
    places = list(arguments)
    out = Path(places.pop()) if output is None else output
    images = places.pop() if places else None
    if places and model is None:
        model = places.pop()
    if model is None and method == "gaze":
        model = SHIPPED
    if images is None or model is None or places:
        usual = "IMAGES OUT, or MODEL IMAGES OUT" if method == "gaze" else "MODEL IMAGES OUT"
        raise BadParameter(f"The arguments must be {method} {usual}, got {method} {' '.join(arguments)}.")
    return model, Path(images), out


def _report(result) -> None:
    """Print the counts; exit with code 1 if there are dead letters, and raise an error if there is no result."""
    for text in result.remarks[:_MOST_LISTED]:
        remark(text)
    for letter in result.dead_letters[:_MOST_LISTED]:
        remark(f"{letter['image']}: {letter['reason']}")
    total = result.results + len(result.dead_letters)
    record(output=result.folder, results=result.results, new=result.new, dead_letters=result.dead_letters)
    before = f" ({total - result.new} images were done before)" if result.new < total else ""
    dead = f"; {count_noun(len(result.dead_letters), 'dead letter')}" if result.dead_letters else ""
    say(f"{result.folder}  {result.results} of {count_noun(total, 'image')}{before}{dead}; manifest.json lists them")
    if result.dead_letters and not result.results:
        raise RuntimeError("None of the images could be processed. The remarks above give the reasons.")
    if result.dead_letters:
        raise Exit(1)
