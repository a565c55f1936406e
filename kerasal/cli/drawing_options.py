"""The options of pictures that commands draw: size on the sheet, colors, opacity and dots per inch."""

from typing import Annotated, Any, Literal

from typer import Option

from kerasal.cli import completion

_DRAWING = {
    "on": (
        Annotated[
            Literal["photo", "input"],
            Option(help="Draw on the original photo, or on the photo as the model receives it."),
        ],
        "photo",
    ),
    "tile": (
        Annotated[int | None, Option(min=16, help="Longer side of each picture on the sheet, in pixels.")],
        None,
    ),
    "colormap": (
        Annotated[
            str | None,
            Option(
                help="Colors of the map: a colormap of matplotlib, such as viridis, or for signed maps coolwarm.",
                show_default=False,
                autocompletion=completion.colormaps,
            ),
        ],
        None,
    ),
    "strength": (
        Annotated[float, Option("--alpha", min=0, max=1, help="Opacity of the colors over the photo.")],
        0.6,
    ),
    "dpi": (
        Annotated[
            int | None,
            Option(min=1, help="Dots per inch stored in the file, for printing; its pixels stay the same."),
        ],
        None,
    ),
}


def drawing_options(*names: str) -> dict[str, tuple[Any, Any]]:
    """Return these of the options of drawings: ``on``, ``tile``, ``colormap``, ``strength`` (--alpha) and ``dpi``."""
    return {name: _DRAWING[name] for name in names}
