"""``kerasal batch METHOD MODEL IMAGES OUT``: a method over many images, in this process or on several workers."""

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, BadParameter, Exit, Option

from kerasal.cli import options
from kerasal.cli.session import remark, say, when_stopped

_NAMED = 10

_METHOD = Annotated[
    str, Argument(help="predict, gaze, localize, or an attribution method such as class_saliency.", show_default=False)
]
_IMAGES = Annotated[
    Path, Argument(help="A folder, searched at any depth, or a Parquet list of paths.", show_default=False)
]
_OUT = Annotated[Path, Argument(help="The folder for the results; begun ones are gone on with.", show_default=False)]


@options.taking("how", options.opening("preprocessing", "labels", "weights", "net_option", "fit"))
def batch(
    method: _METHOD,
    model: options.Model,
    images: _IMAGES,
    out: _OUT,
    how: dict,
    workers: Annotated[int, Option("--workers", "-n", help="Processes, on Ray; 0: this one, without Ray.", min=0)] = 0,
    address: Annotated[
        str | None, Option(help="Of a Ray cluster, or 'auto'. Default: one of this machine, for the time.")
    ] = None,
    format: Annotated[
        Literal["parquet", "npz", "png"], Option("--format", "-f", help="Tables of raw maps, or pictures.")
    ] = "parquet",
    option: Annotated[
        list[str] | None,
        Option("--option", "-O", help="An option of the method as KEY=VALUE, such as samples=20; repeat it."),
    ] = None,
    class_: Annotated[
        str | None, Option("--class", "-c", help="For this class, a name or number; default: the top ones.")
    ] = None,
    channel: Annotated[str | None, Option(help="Attribution of this channel instead, as LAYER:NUMBER.")] = None,
    logits: options.Logits = True,
    model_output: options.ModelOutput = None,
    column: Annotated[
        str | None, Option(help="Of the Parquet list, with the paths. Default: image, path or file.")
    ] = None,
    shard_size: Annotated[int, Option(help="Images in a file of results.", min=1)] = 32,
    threads: Annotated[
        int, Option(help="That compute in each process, on its CPU; 0: as TensorFlow likes, on a GPU too.", min=0)
    ] = 1,
    retry: Annotated[bool, Option("--retry", help="Also try again what could not be read.")] = False,
) -> None:
    """Run a method over a folder of images: Parquet, NPZ or pictures, and a manifest, in OUT.

    For example: kerasal batch gradcam MODEL.keras PHOTOS/ maps/ --workers 4. The same command goes on where it was
    stopped, and later does only what has been added. Results are the same bytes for any number of workers. What cannot
    be read is a dead letter in the manifest, and makes the exit code 1.
    """
    if class_ and channel:
        raise BadParameter("give --class or --channel, not both")
    own = options.options_of(option, "--option", "samples=20")
    from kerasal.batch import run

    with when_stopped():
        found = run(
            method,
            model,
            images,
            out,
            workers=workers,
            address=address,
            format=format,
            options=own,
            column=column,
            shard_size=shard_size,
            threads=threads or None,
            retry=retry,
            progress=True,
            class_=class_,
            channel=options.one_channel(channel),
            logits=logits,
            output=model_output,
            model_options=tuple(how.pop("net_option") or ()),
            **how,
        )
    _report(found)


def _report(found) -> None:
    """Say what was done; dead letters make the exit code 1, and nothing but dead letters is an error."""
    for text in found.remarks[:_NAMED]:
        remark(text)
    for letter in found.dead_letters[:_NAMED]:
        remark(f"{letter['image']}: {letter['reason']}")
    total = found.results + len(found.dead_letters)
    before = f" ({total - found.new} images were done before)" if found.new < total else ""
    count = len(found.dead_letters)
    dead = f"; {count} dead letter{'s' if count > 1 else ''}" if count else ""
    say(f"{found.folder}  {found.results} of {total} images{before}{dead}; manifest.json lists them")
    if found.dead_letters and not found.results:
        raise ValueError("Nothing could be done for any of the images; the remarks above say why.")
    if found.dead_letters:
        raise Exit(1)
