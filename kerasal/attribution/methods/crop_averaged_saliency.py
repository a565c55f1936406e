"""Class saliency of a large image, averaged over ten crops of the model's size."""

from typing import Literal

from kerasal.attribution.method import method
from kerasal.attribution.method_parts import Reduction, crop_corners, reduce_channels, sums_channels
from kerasal.objectives.expression import walk

import tensorflow as tf


def _check_input(view) -> None:
    """Raise an error if no crops can be cut of the model's input, or if the target would not move with them."""
    if len(view.inputs) != 1 or view.inputs[0].shape.rank != 4:
        shapes = ", ".join(str(x.shape) for x in view.inputs)
        raise ValueError(f"model must have a single image input (N, H, W, C) for crop_averaged_saliency, got {shapes}.")
    fixed = sorted({node[0] for node in walk(view.structure)} & {"box", "neuron", "region"})
    if fixed:
        raise ValueError(
            "target must not have positions for crop_averaged_saliency, whose crops and mirror images move the image "
            f"under it, got {' and '.join(fixed)}. Use another method, such as class_saliency."
        )


def _check(view) -> None:
    """Raise the errors of the method for a model."""
    _check_input(view)
    view.gradient()


@method(
    reference="Simonyan, Vedaldi & Zisserman 2013, section 3.1",
    family="gradient",
    passes="10 passes on crops",
    compared=False,
    any_size=True,
    has_sign=sums_channels,
    check=_check,
    question="sensitivity",
    trust="Trust it over class_saliency near the center; fewer crops cover the borders.",
)
def crop_averaged_saliency(
    view,
    *,
    crop: tuple[int, int] | None = None,
    average: Literal["frame", "crops"] = "frame",
    channel_reduction: Reduction = "max_abs",
):
    """Class saliency averaged over ten crops: corners, center and their mirror images (Simonyan et al. 2013).

    The inputs may be larger than the model's input. The map of a mirrored crop is mirrored back. Without a target, the
    class with the largest sum of the ten crops' outputs is explained.

    Args:
        view: the model and its inputs in the graph.
        crop: (height, width) of each crop; by default the model's input size, or at most 224 × 224 for a model that
            takes any size.
        average: how the ten maps are combined: "frame" places each map where its crop was cut and divides each pixel
            by the number of crops that cover it; "crops" is the plain mean of the ten maps.
        channel_reduction: reduction of the gradient over the channels of a pixel: "max_abs" (the largest absolute
            value, as in the paper), "mean_abs" (the mean absolute value), "norm" (the Euclidean norm) or "sum" (the
            signed sum).

    Returns:
        float32 (N, H, W) of the inputs' size, or of the crop's size with ``average="crops"``. Pixels that no crop
        covers are 0.

    Raises:
        ValueError: the model has several inputs or none of images, the images are smaller than the crop, or the target
            has positions (a region, a box or a neuron at a position), which do not move with the crops; or the model
            does not take crops of this size.
    """
    _check_input(view)
    (x,) = view.inputs
    height, width = crop or _default_crop(view, x)
    if height < 1 or width < 1:
        raise ValueError(f"crop must be (height, width), two positive integers, got {crop!r}.")
    for actual, needed in zip(x.shape[1:3], (height, width), strict=True):
        if actual is not None and actual < needed:
            raise ValueError(
                f"inputs must be at least as large as a crop, {(height, width)}, got images of {x.shape[1:3]}. "
                "Enlarge them first, or pass a smaller crop."
            )
    rows, columns = tf.shape(x)[1], tf.shape(x)[2]
    bottom, right = rows - height, columns - width
    tops, lefts = (tf.stack(sides * 2) for sides in map(list, zip(*crop_corners(bottom, right), strict=True)))

    def crop_at(index):
        piece = x[:, tops[index] : tops[index] + height, lefts[index] : lefts[index] + width]
        piece = tf.ensure_shape(piece, (None, height, width, x.shape[3]))
        return tf.where(index >= 5, tf.reverse(piece, [2]), piece)

    _check_crop(view, crop_at(0), crop)

    def predict(index):
        return view.run([crop_at(index)], output=True).raw_output

    if view.structure == ("top",):
        step, start = lambda index, total: (index + 1, total + predict(index)), (1, predict(0))
        view = view.pin(tf.while_loop(lambda index, _: index < 10, step, start)[1])

    def explain(index, summed, covered):
        (gradient,) = view.gradient([crop_at(index)])
        saliency = reduce_channels(gradient, channel_reduction)
        saliency = tf.where(index >= 5, tf.reverse(saliency, [2]), saliency)
        if average == "crops":
            return index + 1, summed + saliency / 10, covered
        top, left = tops[index], lefts[index]
        margins = [[0, 0], [top, bottom - top], [left, right - left]]
        return index + 1, summed + tf.pad(saliency, margins), covered + tf.pad(tf.ones_like(saliency), margins)

    size = (height, width) if average == "crops" else (rows, columns)
    empty = tf.zeros(tf.stack([tf.shape(x)[0], *size]))
    open_shape = tf.TensorShape([None, None, None])
    _, summed, covered = tf.while_loop(
        lambda index, *_: index < 10,
        explain,
        (0, empty, empty),
        shape_invariants=(tf.TensorShape([]), open_shape, open_shape),
    )
    return [summed if average == "crops" else tf.math.divide_no_nan(summed, covered)]


def _default_crop(view, x) -> tuple[int, int]:
    """Return the input size that the model declares; for an undeclared side 224, or the images' side if smaller."""
    sizes = zip(_declared_size(view), x.shape.as_list()[1:3], strict=True)
    height, width = (size or min(actual or 224, 224) for size, actual in sizes)
    return height, width


def _declared_size(view) -> tuple[int | None, ...]:
    """Return (height, width) of the input that the model declares, None for a side that it leaves open."""
    declared = getattr(view.model, "inputs", None)
    if not declared:
        return None, None
    return tuple(size for axis, size in enumerate(declared[0].shape) if axis not in (0, view.layout.channels[0]))


def _check_crop(view, piece: tf.Tensor, crop: tuple[int, int] | None) -> None:
    """Raise an error if the model does not take crops of the size of this one, where it declares another or none."""
    size, declared = tuple(piece.shape[1:3]), _declared_size(view)
    if size == declared:
        return
    try:
        view.run([piece], output=True)
    except (ValueError, tf.errors.InvalidArgumentError) as error:
        if None not in declared:
            remedy = f"Its input has the size {declared}. Pass that, or omit crop."
        elif crop is None:
            remedy = "Pass crop=(height, width), the size for which it was built."
        else:
            remedy = "Pass a size for which it was built, or a larger one."
        raise ValueError(f"crop must be a size that {view.model.name!r} takes, got {size}. {remedy}") from error
