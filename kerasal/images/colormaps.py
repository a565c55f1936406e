"""The colors of maps: kerasal's own scales, and the sequential and diverging colormaps of matplotlib."""

import numpy as np

from kerasal.checks import check_choice
from kerasal.names import similar_names

DIVERGING = (
    *("PiYG", "PRGn", "BrBG", "PuOr", "RdGy", "RdBu", "RdYlBu", "RdYlGn", "Spectral", "coolwarm", "bwr", "seismic"),
)
"""Matplotlib's colormaps for values around zero; each also has a reversed form, such as ``RdBu_r``."""
SEQUENTIAL = (
    *("viridis", "plasma", "inferno", "magma", "cividis", "hot", "afmhot", "gist_heat", "copper", "bone", "gray"),
    *("Greys", "Purples", "Blues", "Greens", "Oranges", "Reds", "YlOrBr", "YlOrRd", "OrRd", "PuRd", "RdPu", "BuPu"),
    *("GnBu", "PuBu", "YlGnBu", "PuBuGn", "BuGn", "YlGn", "turbo", "jet"),
)
"""Matplotlib's colormaps from the lowest to the highest value; each also has a reversed form, such as ``hot_r``."""


def color_scale(name: str) -> np.ndarray:
    """Return 256 colors, uint8 (256, 3), of a scale of kerasal or matplotlib.

    Those of kerasal are "heat", "overlay" (heat up to yellow), "signal" and "text" (on white), "signed" and "gray".

    Raises:
        ValueError: neither one of these nor a sequential or diverging colormap of matplotlib.
    """
    if name.removesuffix("_r") in (*SEQUENTIAL, *DIVERGING) and name != "gray":
        import matplotlib

        return np.round(255 * matplotlib.colormaps[name](np.arange(256))[:, :3]).astype(np.uint8)
    return _COLORS[check_choice("name", name, tuple(_COLORS))]


def css_gradient(name: str) -> str:
    """Return the colors of a scale, from left to right, as a CSS gradient."""
    stops = color_scale(name)[np.linspace(0, 255, 13).round().astype(int)].tolist()
    return f"linear-gradient(to right, {', '.join(f'rgb({red} {green} {blue})' for red, green, blue in stops)})"


def check_colormap(name: str) -> bool:
    """Return whether a colormap of matplotlib is diverging.

    Raises:
        ValueError: matplotlib has no such colormap, or it is neither sequential nor diverging.
    """
    plain = name.removesuffix("_r")
    if plain not in (*SEQUENTIAL, *DIVERGING):
        remedy = "Use viridis, magma, gray or jet, or for signed maps coolwarm, RdBu_r or seismic."
        if near := similar_names(name, (*SEQUENTIAL, *DIVERGING)):
            remedy = f"Did you mean {', '.join(near)}?"
        raise ValueError(f"colormap must be a sequential or diverging colormap of matplotlib, got {name!r}. {remedy}")
    return plain in DIVERGING


def choose_colors(colormap: str | None, *, signed: bool, usual: str = "heat") -> np.ndarray:
    """Return 256 colors for a map: those of ``colormap``, or kerasal's own (``usual`` for maps without a sign).

    Raises:
        ValueError: an unknown colormap, a sequential colormap for a signed map, or a diverging one for another map.
    """
    if colormap is None:
        return color_scale("signed" if signed else usual)
    if check_colormap(colormap) != signed:
        if signed:
            raise ValueError(
                f"colormap must be diverging for a map with negative values, got {colormap!r}. Use coolwarm, RdBu_r or "
                "seismic, whose middle is zero."
            )
        raise ValueError(
            f"colormap must be sequential for a map without negative values, got {colormap!r}. Use viridis, magma or "
            "gray; the middle of a diverging colormap would look like zero."
        )
    return color_scale(colormap)


def _interpolate_colors(*stops: tuple[int, int, int]) -> np.ndarray:
    """Return 256 colors interpolated between color stops."""
    places = np.linspace(0, 255, len(stops))
    columns = [np.interp(np.arange(256), places, column) for column in zip(*stops, strict=True)]
    return np.stack(columns, axis=1).round().astype(np.uint8)


_HEAT = _interpolate_colors((0, 0, 0), (90, 10, 60), (190, 40, 40), (245, 140, 20), (255, 225, 90), (255, 255, 240))
_COLORS = {
    "heat": _HEAT,
    "overlay": _HEAT[np.arange(256) * 204 // 255],  # ends in yellow: white would hide the image where the map is strong
    # On white paper: what is weak is pale, what is strong is dark.
    "signal": _interpolate_colors((215, 215, 215), (250, 190, 110), (235, 95, 40), (170, 15, 40), (90, 0, 40)),
    "text": _interpolate_colors((255, 255, 255), (252, 215, 150), (245, 140, 75), (190, 40, 40), (100, 0, 35)),
    "gray": np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1),
    "signed": _interpolate_colors(
        (5, 48, 130), (60, 130, 200), (170, 210, 235), (250, 250, 250), (245, 180, 150), (215, 75, 65), (110, 0, 30)
    ),
}
