"""``Explanation``: the attribution map of a single input with its class and score, to draw and to save."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from kerasal import images
from kerasal.attribution.array_pages import Axes, array_kind, describe_masked, draw_array, positions, text_html
from kerasal.attribution.method import MethodSpec, method_spec
from kerasal.attribution.pages import array_legend, attribution_page, draw_map, outline_areas
from kerasal.checks import check_choice
from kerasal.files import atomic_write
from kerasal.labels import format_score
from kerasal.models.image_model import ImageModel


@dataclasses.dataclass(frozen=True, eq=False)
class Explanation:
    """The attribution map of an image or another input, with its class and score.

    A notebook shows it as three images side by side: the image, the map, and the map over the image. The map of a
    signal is shown as colors of its line, that of a volume in planes, that of a video over its frames, that of a text
    behind its tokens.

    Attributes:
        map: the raw map as the method returns it, float32 (H, W), (T,) for a signal or text, (D, H, W) for a volume or
            video; with the channels of the input for a gradient.
        class_index: index of the class that is explained; None for an objective.
        label: name of the class, or "class 7" for a class without a name; the description of an objective.
        score: the model's output for the class, a probability if the model returns probabilities; or the value of the
            objective.
        method: name of the method.
        picture: the image as the model receives it, resized or cropped, uint8 RGB; or another input with its channels
            last, float32 (T, C) for a signal, (D, H, W, C) for a volume or video; the token indices (T,) of a text.
        layer: layer of a class activation map; None for other methods.
        options: the options that were passed to the method.
        photo: the original photo, uint8 RGB, of which the model may receive only a part.
        box: the part of ``photo`` that the model receives, (x_min, y_min, x_max, y_max) in pixels.
        gap: completeness gap of ``integrated_gradients`` with ``return_gap=True``; else None.
        standard_error: largest standard error of the map as a share of its largest absolute value, with
            ``return_error=True``; else None.
        axes: how the axes of a signal, volume or video are labeled and drawn, and the tokens of a text.
        areas: the regions and boxes that the target asks about, which are outlined in the drawings: masks (h, w) over
            ``picture``, and boxes (x_min, y_min, x_max, y_max) in shares of it.
        smoothing: the arguments of ``attribution.smooth`` with which the map was made; None without it.
    """

    map: np.ndarray = dataclasses.field(repr=False)
    class_index: int | None
    label: str
    score: float
    method: str
    picture: np.ndarray = dataclasses.field(repr=False)
    layer: str | None = None
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    _model: ImageModel | None = dataclasses.field(default=None, repr=False)
    photo: np.ndarray | None = dataclasses.field(default=None, repr=False)
    box: tuple[int, int, int, int] | None = None
    gap: float | None = None
    standard_error: float | None = None
    axes: Axes = dataclasses.field(default_factory=Axes)
    areas: Sequence[np.ndarray] = dataclasses.field(default=(), repr=False)
    smoothing: Mapping[str, Any] | None = None

    @property
    def spec(self) -> MethodSpec:
        """The method's entry in the list of methods, with its source and whether its maps are signed."""
        return method_spec(self.method)

    def heatmap(self) -> np.ndarray:
        """Return the map as an image, uint8 RGB (H, W, 3); negative values are blue if the method is signed."""
        drawing: dict[str, Any] = {"options": self.options, "bgr": self._bgr, "axes": self.axes}
        return draw_map(self.spec, self.picture, self._on_pixels(), **drawing)[0]

    def overlay(
        self,
        *,
        on: Literal["photo", "input"] = "photo",
        strength: float = 0.6,
        colormap: str | None = None,
        width: int | None = None,
    ) -> np.ndarray:
        """Return the map drawn over the image, uint8 RGB (H, W, 3); negative values of signed methods are blue.

        Args:
            on: ``"photo"`` draws on the original photo at its own resolution, and fades the parts that the model does
                not receive; ``"input"`` draws on the image as the model receives it.
            strength: opacity of the colors, 0..1.
            colormap: name of a colormap of matplotlib: diverging for a map with a sign, sequential for others.
            width: width of the drawing of a signal, volume, video or text in pixels, about.

        Raises:
            ValueError: an invalid argument, or a colormap that does not fit the sign of the map.
        """
        if self.picture.ndim != 3:
            values, look = self._on_pixels(), {"strength": strength, "colormap": colormap, "width": width}
            signed = array_kind(values, self.picture, self.spec.is_signed(self.options)) != "magnitude"
            return draw_array(self.picture, values, signed=signed, axes=self.axes, **look)
        photo, box = self._ground(on)
        picture = self.picture if photo is None else photo[box[1] : box[3], box[0] : box[2]]
        drawing: dict[str, Any] = {"options": self.options, "bgr": self._bgr}
        over = draw_map(self.spec, picture, self._on_pixels(), strength=strength, colormap=colormap, **drawing)[1]
        over = over if photo is None else images.place(photo, over, box)
        return outline_areas(over, self.areas, box)

    def page(
        self,
        *,
        on: Literal["photo", "input"] = "photo",
        strength: float = 0.6,
        colormap: str | None = None,
        tile: int | None = None,
    ) -> np.ndarray:
        """Return the image, the map and the map over the image side by side with titles, uint8 RGB.

        Args:
            on: what everything is drawn on; see ``overlay``.
            strength: opacity of the colors, 0..1.
            colormap: name of a colormap of matplotlib; see ``overlay``.
            tile: longer side of each image in pixels; by default that of the image, within 224..448. Width of the
                drawing of a signal, volume, video or text.
        """
        labels, names = (self._model.labels, [self._model.name]) if self._model else ((), [])
        layer = self.layer or (self.picture.ndim == 1 and self.options.get("layer"))
        smoothed = ["smoothed over noisy copies"] if self.smoothing is not None else []
        note = ", ".join([*names, *([f"layer {layer}"] if layer else []), *smoothed])
        photo, box = self._ground(on)
        return attribution_page(
            self.spec,
            self.picture,
            self.map,
            self.label,
            options=self.options,
            labels=labels,
            note=note,
            bgr=self._bgr,
            score=self.score,
            photo=photo,
            box=box if photo is not None else None,
            strength=strength,
            colormap=colormap,
            tile=tile,
            axes=self.axes,
            areas=self.areas,
            probable=self.class_index is not None,
        )

    def label_axes(
        self,
        *,
        rate: float | None = None,
        names: Sequence[str] | None = None,
        view: Literal["planes", "frames"] | None = None,
        mask: np.ndarray | None = None,
        separator: str | None = None,
    ) -> "Explanation":
        """Return the same explanation with other labels of the axes of a signal, volume or video, or of tokens.

        Args:
            rate: samples or frames per second, for axes and labels in seconds.
            names: names of the channels of a signal; the tokens of a text, one per position.
            view: ``"planes"`` draws an input of three positions as a volume, ``"frames"`` as a video. By default it is
                a video if it has three channels.
            mask: which tokens of a text are drawn, bool (T,), as to leave out padding.
            separator: what stands between two tokens of a text; by default a space.
        """
        check_choice("view", view or "planes", ("planes", "frames"))
        given = {"rate": rate, "names": names, "view": view, "mask": mask, "separator": separator}
        axes = dataclasses.replace(self.axes, **{name: value for name, value in given.items() if value is not None})
        return dataclasses.replace(self, axes=axes)

    def html(self, *, strength: float = 0.6, colormap: str | None = None) -> str:
        """Return the explanation of a text as an HTML page that needs no other file: its tokens in colors.

        Args:
            strength: opacity of the colors, 0..1.
            colormap: name of a colormap of matplotlib; see ``overlay``.

        Raises:
            ValueError: the explanation of another input than a text, or an invalid argument.
        """
        if self.picture.ndim != 1:
            raise ValueError(
                f"html draws the tokens of a text, got the explanation of an input {self.picture.shape}. Use page or "
                "save it as an image."
            )
        values = self._on_pixels()
        kind = array_kind(values, self.picture, self.spec.is_signed(self.options))
        _, low, high = array_legend(kind, self.picture)[0]
        score = format_score(self.score, named=True, probable=self.class_index is not None)
        return text_html(
            self.picture,
            values,
            self.axes,
            signed=kind != "magnitude",
            strength=strength,
            colormap=colormap,
            title=f"{self.method}: {self.label}, {score}",
            note=describe_masked(values, self.axes),
            legend=(low, high),
        )

    def save(self, path: str | os.PathLike, *, dpi: int | None = None, **drawing: Any) -> pathlib.Path:
        """Write the page to an image file, the raw map to ``.npy``, or a text to ``.html``, and return the path.

        Args:
            path: the file.
            dpi: dots per inch that are stored in the image file for printing; the pixels stay the same.
            **drawing: options of ``page``, or of ``html``.

        Raises:
            ValueError: the suffix is neither ``.npy`` nor that of an image format, nor ``.html`` for a text; or an
                option is invalid.
            OSError: the file cannot be written.
        """
        path = pathlib.Path(path)
        if path.suffix.lower() == ".npy":
            with atomic_write(path) as temporary, open(temporary, "wb") as file:
                np.save(file, np.asarray(self.map))
        elif path.suffix.lower() == ".html":
            page = self.html(**drawing)
            with atomic_write(path) as temporary:
                pathlib.Path(temporary).write_text(page, encoding="utf-8")
        else:
            images.write(path, self.page(**drawing), dpi=dpi)
        return path

    def _repr_png_(self) -> bytes:
        return images.encode_png(self.page())

    @property
    def _bgr(self) -> bool:
        convention = self._model.preprocessing if self._model else None
        return bool(convention is not None and convention.bgr)

    def _ground(self, on: str) -> tuple[np.ndarray | None, tuple[int, int, int, int]]:
        """Return the photo, or None to draw on the model's input, and the part that the model receives."""
        check_choice("on", on, ("photo", "input"))
        photo = self.photo if on == "photo" else None
        height, width, *_ = (*(self.picture if photo is None else photo).shape, 1)  # a text has one axis
        return photo, (self.box if photo is not None else None) or (0, 0, width, height)

    def _on_pixels(self) -> np.ndarray:
        return self.spec.to_pixels(self.map, positions(self.picture), self.options)
