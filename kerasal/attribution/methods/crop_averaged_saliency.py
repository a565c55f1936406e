"""Class saliency of a large image, averaged over ten crops of the model's size."""

from typing import Literal

from kerasal.attribution.method import method
from kerasal.attribution.method_parts import Reduction, reduce_channels

import tensorflow as tf


@method(reference="Simonyan, Vedaldi & Zisserman 2013, section 3.1", any_size=True)
def crop_averaged_saliency(
    view,
    *,
    crop: tuple[int, int] | None = None,
    average: Literal["frame", "crops"] = "frame",
    channel_reduction: Reduction = "max_abs",
):
    """Show class saliency, steadied over ten crops: the corners and the center, and the mirror image of each.

    The inputs may be larger than what the model takes. Each crop's map is turned back if it was mirrored. A target left
    open is the class that the ten crops together, their outputs added up, put first.

    Args:
        view: the model, watched.
        crop: (height, width) of a crop; by default what the model takes, or at most 224 × 224 where it takes
            any.
        average: ``"frame"`` lays each map where its crop was and divides by how many cover a pixel; ``"crops"`` is the
            plain mean of the ten maps.
        channel_reduction: as in ``class_saliency``.

    Returns:
        float32 (N, H, W) of the inputs' size, or of the crop's for ``"crops"``. Pixels that no crop covers are 0.

    Raises:
        ValueError: several inputs, no images, or images smaller than the crop.
    """
    if len(view.inputs) != 1 or view.inputs[0].shape.rank != 4:
        raise ValueError("crop_averaged_saliency needs a model with one image input (N, H, W, C).")
    (x,) = view.inputs
    height, width = crop or _own_size(view, x)
    if height < 1 or width < 1:
        raise ValueError(f"crop is (height, width), both from 1 on. Received: {crop!r}.")
    for have, want in zip(x.shape[1:3], (height, width), strict=True):
        if have is not None and have < want:
            raise ValueError(
                f"Images of {x.shape[1:3]} are smaller than a crop of {(height, width)}; enlarge them first."
            )
    rows, columns = tf.shape(x)[1], tf.shape(x)[2]
    bottom, right = rows - height, columns - width
    tops = tf.stack([0, 0, bottom, bottom, bottom // 2] * 2)
    lefts = tf.stack([0, right, 0, right, right // 2] * 2)

    def cut(number):
        piece = x[:, tops[number] : tops[number] + height, lefts[number] : lefts[number] + width]
        piece = tf.ensure_shape(piece, (None, height, width, x.shape[3]))
        return tf.where(number >= 5, tf.reverse(piece, [2]), piece)

    def predict(number):
        return view.run([cut(number)], output=True).raw_output

    if view.structure == ("top",):
        step, start = lambda number, total: (number + 1, total + predict(number)), (1, predict(0))
        view = view.pin(tf.while_loop(lambda number, _: number < 10, step, start)[1])

    def explain(number, summed, covered):
        (gradient,) = view.gradient([cut(number)])
        saliency = reduce_channels(gradient, channel_reduction)
        saliency = tf.where(number >= 5, tf.reverse(saliency, [2]), saliency)
        if average == "crops":
            return number + 1, summed + saliency / 10, covered
        top, left = tops[number], lefts[number]
        margins = [[0, 0], [top, bottom - top], [left, right - left]]
        return number + 1, summed + tf.pad(saliency, margins), covered + tf.pad(tf.ones_like(saliency), margins)

    size = (height, width) if average == "crops" else (rows, columns)
    empty = tf.zeros(tf.stack([tf.shape(x)[0], *size]))
    open_shape = tf.TensorShape([None, None, None])
    _, summed, covered = tf.while_loop(
        lambda number, *_: number < 10,
        explain,
        (0, empty, empty),
        shape_invariants=(tf.TensorShape([]), open_shape, open_shape),
    )
    return [summed if average == "crops" else tf.math.divide_no_nan(summed, covered)]


def _own_size(view, x) -> tuple[int, int]:
    """Return what the model declares; where it leaves that open, 224, or the images' own size if that is less."""
    declared = getattr(view.model, "inputs", None)
    axes = {1, 2, 3} - {view.layout.channels[0]}
    sizes = [declared[0].shape[axis] for axis in sorted(axes)] if declared else (None, None)
    height, width = (size or min(have or 224, 224) for size, have in zip(sizes, x.shape.as_list()[1:3], strict=True))
    return height, width
