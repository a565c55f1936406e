"""Options for targets besides classes and channels: a region, a detection, another photo, the negative class.

A command has them with ``options.with_options("question", Target, Target)``.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from typer import BadParameter, Option

from kerasal.cli import completion

_BoxFormat = Literal["xyxy", "yxyx", "xywh", "center_xywh", "rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh"]
_BOXES, _SCORES = "boxes", "scores"


@dataclasses.dataclass(frozen=True)
class Target:
    """What a command explains besides a class or channel, as the options of the same names say; one kind per run."""

    region: Annotated[
        Path | None,
        Option(
            metavar="MASK",
            help="Explain --class over a region of a segmentation: the pixels of this image that are not black. It has "
            "the size of the photo.",
            show_default=False,
        ),
    ] = None
    box: Annotated[
        str | None,
        Option(
            metavar="X1,Y1,X2,Y2",
            help="Explain a detection: the score of --class times the overlap with this box, in pixels of the photo.",
            show_default=False,
        ),
    ] = None
    boxes_output: Annotated[
        str | None, Option(help="With --box: the output with the boxes. Default: boxes.", show_default=False)
    ] = None
    scores_output: Annotated[
        str | None, Option(help="With --box: the output with the class scores. Default: scores.", show_default=False)
    ] = None
    box_format: Annotated[
        _BoxFormat | None,
        Option(
            help="With --box: coordinates of the model's boxes, in pixels of its input or with rel_ in shares of it. "
            "Default: xyxy.",
            show_default=False,
        ),
    ] = None
    activation: Annotated[
        Literal["sigmoid", "softmax", "none"] | None,
        Option(
            help="With --box: what turns the scores into probabilities. Default: read from the model.",
            show_default=False,
        ),
    ] = None
    similar_to: Annotated[
        Path | None,
        Option(metavar="IMAGE", help="Explain the similarity (cosine) to another photo.", show_default=False),
    ] = None
    embedding: Annotated[
        str | None,
        Option(
            metavar="LAYER",
            help="With --similar-to: the layer that is compared. Default: the output.",
            show_default=False,
            autocompletion=completion.layers,
        ),
    ] = None
    negative: Annotated[
        bool, Option("--negative", help="Explain what speaks against --class, of a model with sigmoids.")
    ] = False

    @property
    def kind(self) -> str | None:
        """The flag of the target, or None if the target is a class or channel."""
        return next(iter(self._kinds()), None)

    def check(self, classes: Sequence[str], channel: str | None, model_output: str | None) -> None:
        """Raise an error for options that exclude each other or need another one."""
        kinds = [*self._kinds(), *["--channel"] * bool(channel)]
        if len(kinds) > 1:
            raise BadParameter(f"There must be one kind of target, got {' and '.join(kinds)}.")
        for flag in ("--channel", "--similar-to"):
            if classes and flag in kinds:
                raise BadParameter(f"--class and {flag} must not be set together.")
        parts = {name: "--box" for name in ("boxes_output", "scores_output", "box_format", "activation")}
        for name, flag in {**parts, "embedding": "--similar-to"}.items():
            if getattr(self, name) is not None and flag not in kinds:
                raise BadParameter(f"{_flag(name)} must be used with {flag}.")
        if model_output is not None and self.box:
            raise BadParameter("--model-output must not be set with --box. Use --boxes-output and --scores-output.")
        if self.region is not None and not self.region.is_file():
            raise BadParameter(f"--region must be an image file, got {str(self.region)!r}, which does not exist.")
        if self.box is not None:
            self._corners()

    def objectives(
        self, model, classes: Sequence[int], *, output: str | None, logits: bool
    ) -> Callable[[Any], list[Any]]:
        """Return a function from an input (``Example``) to its objectives, one per class.

        Raises:
            typer.BadParameter: no class is set for a model with several; a region or box does not fit the photo.
        """
        from kerasal import images, objectives
        from kerasal.hooks.engine import output_values

        settings: dict[str, Any] = {"output": output, "logits": logits}
        if self.similar_to is not None:
            target = objectives.similarity(self._embed(model, settings), self.embedding)
            target = dataclasses.replace(target, description=f"similarity to {self.similar_to.name}")
            return lambda example: [target]
        if self.box is not None:
            options = {"box_format": self.box_format or "xyxy", "activation": self.activation}
            scores = self.scores_output or _SCORES
            shape = model.output_shapes.get(scores, ())
            numbers = _require_classes(self.kind, classes, shape[-1] if shape else None)
            sources = {"boxes": self.boxes_output or _BOXES, "scores": scores}

            def make_boxes(example) -> list[Any]:
                corners = self._box_in(example)
                targets = [objectives.box(corners, number, **sources, **options) for number in numbers]
                names = [f"class {number} in the box {self.box}" for number in numbers]
                return [
                    dataclasses.replace(target, description=name) for target, name in zip(targets, names, strict=True)
                ]

            return make_boxes
        mask = images.read_mask(self.region) if self.region is not None else None

        def make(example) -> list[Any]:
            values = output_values(model.keras_model, [example.inputs], **settings)
            if mask is None:
                numbers = _require_classes(self.kind, classes, values.shape[-1])
                return [objectives.negative_class(number) for number in numbers]
            if values.ndim not in (3, 4):
                raise BadParameter(
                    f"--region needs a model with scores per position, but its output is {values.shape[1:]}."
                )
            count = 1 if values.ndim == 3 else values.shape[-1]
            fitted = self._fit_region(mask, example, values.shape[1:3], model.fit)
            numbers = _require_classes(self.kind, classes, count)
            return [objectives.region(fitted, number) for number in numbers]

        return make

    def _kinds(self) -> list[str]:
        return [_flag(name) for name in ("region", "box", "similar_to", "negative") if getattr(self, name)]

    def _corners(self) -> list[float]:
        try:
            corners = [float(part) for part in (self.box or "").split(",")]
        except ValueError:
            corners = []
        if len(corners) != 4 or not (corners[0] < corners[2] and corners[1] < corners[3]):
            raise BadParameter(
                f"--box must be X1,Y1,X2,Y2 with X1 < X2 and Y1 < Y2, such as 12,30,80,90, got {self.box!r}."
            )
        return corners

    def _box_in(self, example) -> list[float]:
        """Return the box in pixels of the model's input."""
        height, width = _photo_size(self.kind, example)
        left, top, right, bottom = example.box or (0, 0, width, height)
        corners = self._corners()
        inside = corners[0] < right and corners[1] < bottom and corners[2] > left and corners[3] > top
        if not inside:
            raise BadParameter(
                f"--box must overlap the part of the photo that the model sees, {left},{top},{right},{bottom}, got "
                f"{self.box}. With --fit stretch the model sees all of it."
            )
        rows, columns = example.picture.shape[:2]
        across, down = columns / (right - left), rows / (bottom - top)
        return [
            (corners[0] - left) * across,
            (corners[1] - top) * down,
            (corners[2] - left) * across,
            (corners[3] - top) * down,
        ]

    def _fit_region(self, mask, example, size, fit):
        """Return the region at the positions of the output."""
        from kerasal import images

        expected = _photo_size(self.kind, example)
        if mask.shape != expected:
            raise BadParameter(
                f"--region must have the size of the photo, {expected[1]} × {expected[0]} pixels (width × height), got "
                f"{mask.shape[1]} × {mask.shape[0]}."
            )
        if not mask.any():
            raise BadParameter(f"--region must hold at least one pixel that is not black, got none in {self.region}.")
        left, top, right, bottom = example.box or (0, 0, expected[1], expected[0])
        fitted = images.fit_mask(mask[top:bottom, left:right], size, "stretch")
        if not fitted.any():
            raise BadParameter(
                f"--region is empty at the {size[1]} × {size[0]} positions of the model's output: it is too small, or "
                "outside of the part of the photo that the model sees. Use a larger region, or --fit stretch."
            )
        return fitted

    def _embed(self, model, settings: dict[str, Any]):
        from kerasal import hooks
        from kerasal.hooks.engine import output_values

        inputs = model.inputs(self.similar_to)
        if self.embedding is not None:
            values = hooks.activations(model.keras_model, [self.embedding], inputs)[self.embedding]
        else:
            values = output_values(model.keras_model, [inputs], **settings)
        return values.mean(axis=tuple(range(1, values.ndim - 1)))[0] if values.ndim > 2 else values[0]


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _require_classes(flag: str | None, classes: Sequence[int], count: int | None) -> Sequence[int]:
    """Return the classes, or the only class of a model."""
    if classes or count == 1:
        return classes or [0]
    raise BadParameter(f"--class must be set with {flag}, since the model has {count or 'several'} classes.")


def _photo_size(flag: str | None, example) -> tuple[int, int]:
    """Return (height, width) of the photo, or of an input that is an image."""
    shown = example.picture if example.photo is None else example.photo
    if shown.ndim != 3:
        raise BadParameter(f"{flag} can only be used with images.")
    return shown.shape[:2]
