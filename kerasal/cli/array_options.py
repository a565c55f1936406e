"""The options of inputs that are arrays: signals, volumes and videos."""

from typing import Annotated, Any, Literal

from typer import Option

from kerasal.cli.flags import Sets

ARRAY_OPTIONS: dict[str, tuple[Any, Any]] = {
    "array": (
        Annotated[str | None, Option(help="Name of the array in an .npz file that holds several.", show_default=False)],
        None,
    ),
    "sampling_rate": (
        Annotated[
            float | None,
            Option(help="Samples or frames per second, for axes in seconds.", show_default=False),
            Sets("rate"),
        ],
        None,
    ),
    "channel_names": (
        Annotated[
            str | None,
            Option(help="Names of the channels of a signal, separated by commas.", show_default=False),
            Sets("names"),
        ],
        None,
    ),
    "view": (
        Annotated[
            Literal["planes", "frames"] | None,
            Option(
                help="Draw an input of three axes as a volume (planes) or as a video (frames). Default: a video if it "
                "has three channels.",
                show_default=False,
            ),
        ],
        None,
    ),
}


def read_labels(values: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of ``Explanation.label_axes`` from the values of the options."""
    names = values["channel_names"]
    return {
        "rate": values["sampling_rate"],
        "names": None if names is None else [name.strip() for name in names.split(",")],
        "view": values["view"],
    }
