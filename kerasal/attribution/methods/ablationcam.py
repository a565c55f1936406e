"""Ablation-CAM: the channels of a late layer, weighted by how much the score drops without each."""

import functools

from kerasal.attribution.channel_scores import channel_bar, channel_order, channel_scores
from kerasal.attribution.method import method
from kerasal.attribution.method_parts import (
    NO_EVIDENCE,
    WeightedLayer,
    class_activation_map,
    position_axes,
    weighted_maps,
)
from kerasal.hooks.layer_maps import LayerMap

import tensorflow as tf


def _check(view) -> None:
    """Raise an error if the model has no map, or it is not the output of a layer."""
    for target in weighted_maps(view)[1]:
        _check_layer(target)


def _check_layer(target: LayerMap) -> None:
    if target.run is None:
        raise ValueError(
            f"ablationcam must set channels of a layer's output to 0, but {target.path!r} is an operation inside a "
            "layer. Name a layer, such as the normalization before the last attention, or use gradcam."
        )


@method(
    reference="Desai & Ramaswamy 2020, WACV, pages 972 to 980",
    family="cam",
    passes="1 forward pass, and 1 from the layer on per channel",
    compared=False,
    if_zero=NO_EVIDENCE,
    check=_check,
    run_context=channel_bar,
    question="region",
    trust="Trust it where the gradient is misleading, as at a saturated score: it measures what each channel is worth.",
    with_positions=True,
)
def ablationcam(
    view, *, layer: str | None = None, resize: bool = True, channels: int | None = None, progress: bool = False
):
    """Location of the evidence: late channels weighted by the drop of the score without each (Desai & Ramaswamy 2020).

    Each channel in turn is set to 0 in the layer, and the rest of the model runs again: the weight of the channel is
    the score minus the score without it. The paper divides the weights by the score, which would turn the map around
    where that is negative, as a logit may be; this factor of all values of an image is left out here. Without a target,
    the top class of the whole model is explained.

    Args:
        view: the model and its inputs in the graph.
        layer: name or path of the layer whose channels are ablated; by default the last layer with a value per
            position on which the target depends; in a transformer the tensor that the last attention reads.
        resize: resize each map to its input's height and width, bilinearly; otherwise it keeps the layer's size.
        channels: number of channels to ablate, those whose gradient predicts the largest change of the score; by
            default all. The others get the weight 0. Fewer take less time.
        progress: show a progress bar.

    Returns:
        float32 (N, *positions), such as (N, H, W), at least 0, in units of score × activation; with ``resize=False`` of
        the layer's size. The attribute ``layer`` of the result is the path of the layer.

    Raises:
        ValueError: as in ``gradcam``; ``channels`` is not a positive integer; or the map is not the output of a layer,
            as of an attention that is written out in a custom layer.
    """
    view = view.pin()
    return class_activation_map(view, layer, resize, functools.partial(_weights, channels, progress))


def _weights(
    channels: int | None, progress: bool, maps: tf.Tensor, gradients: tf.Tensor, weighted: WeightedLayer
) -> tf.Tensor:
    """Return the drop of the score without each channel, (N, 1, …, C); 0 for channels that are not used."""
    view, target, count = weighted.view, weighted.target, weighted.channels
    _check_layer(target)
    axes = position_axes(maps)
    order = channel_order(tf.abs(tf.reduce_sum(gradients * maps, axis=axes)), channels)
    places = [1] * len(target.positions.axes)
    places[0], places[target.positions.channel_axis] = -1, count

    def ablated_scores(chosen, repeated, repeat):
        kept = 1 - tf.one_hot(tf.reshape(chosen, [-1]), count, dtype=target.tensor.dtype)
        ablated = repeat(target.tensor) * tf.reshape(kept, places)

        def replace(output: tf.Tensor, run: int) -> tf.Tensor:
            return tf.ensure_shape(ablated, output.shape) if run == target.run else output

        inputs = [repeat(x) for x in view.inputs]
        replacements = {target.path: replace}
        return repeated.score(repeated.run(inputs, taps=[target.path], runs={}, replacements=replacements))

    without = channel_scores(weighted, order, [target.tensor], ablated_scores, progress)
    ablated = tf.reduce_sum(tf.one_hot(order, count), axis=1)  # 1 for channels that are used
    drops = (weighted.scores[:, None] - without) * ablated
    return tf.reshape(drops, [-1, *[1] * len(axes), count])
