"""Finer-CAM: Grad-CAM of what tells a class from the classes whose scores are closest."""

import dataclasses
from collections.abc import Sequence

from kerasal.attribution.method import method
from kerasal.attribution.method_parts import NO_EVIDENCE, class_activation_map, position_axes, weighted_maps
from kerasal.checks import check_int, check_number
from kerasal.hooks.run import Run, output_key
from kerasal.hooks.view import View
from kerasal.objectives.expression import names_outputs, scored_outputs, walk

import tensorflow as tf

# The leaves of a target whose score belongs to a class or channel, which has others beside it.
_COMPARABLE = ("class", "top", "channel", "neuron", "neuron_center", "region", "callable")


@dataclasses.dataclass(frozen=True)
class ContrastView(View):
    """A view whose score is that of the target minus ``gamma`` × the mean score of the ``classes`` closest classes."""

    gamma: float = 0.6
    classes: int = 3

    def score(self, at: "Run | Sequence[tf.Tensor] | None" = None) -> tf.Tensor:
        """Return the contrast (N,) for a run or for inputs (by default the view's inputs).

        The other classes are scored like that of the target: with the same weights of the positions.
        """
        run = at if isinstance(at, Run) else self.run(at)
        scores = super().score(run)
        name, tensor = self._compared_tensor(run)
        count = self.layout.last(name, tensor).shape[-1]
        if count is None or count < 2:
            raise ValueError(
                "target must be one of several classes or channels for finer_cam, which compares them, got one of "
                f"{count or 'an unknown number'}. Use gradcam."
            )
        (gradient,) = tf.gradients(scores, [tensor], unconnected_gradients="zero")
        values, weights = (
            tf.reshape(tf.cast(self.layout.last(name, x), tf.float32), [run.rows, -1, count])
            for x in (tensor, tf.stop_gradient(gradient))
        )
        own = tf.one_hot(tf.argmax(tf.reduce_sum(tf.abs(weights), axis=1), axis=-1), count)
        rivals = tf.einsum("npc,nc,npd->nd", weights, own, values)
        distances = tf.abs(rivals - tf.reduce_sum(own * rivals, axis=-1, keepdims=True))
        distances = tf.where(own > 0, float("inf"), distances)
        closest = tf.math.top_k(-distances, min(self.classes, count - 1)).indices
        return scores - self.gamma * tf.reduce_mean(tf.gather(rivals, closest, batch_dims=1), axis=-1)

    def _compared_tensor(self, run: Run) -> tuple[str | None, tf.Tensor]:
        """Return the tensor with the classes or channels of the target, and its name in the layout."""
        leaves = [node for node in walk(self.structure) if node[0] != "constant"]
        if len(leaves) != 1 or leaves[0][0] not in _COMPARABLE:
            raise ValueError(
                "target must be a single class or channel for finer_cam, which compares it with others. Use gradcam "
                "for other targets, such as a difference of classes."
            )
        if self.layers:
            return self.layers[0], run.layers[self.layers[0]]
        if names_outputs(self.structure):
            key = run.outputs.key(next(iter(scored_outputs(self.structure))))
            return output_key(key), run.outputs.values[key]
        if run.output is None:
            raise ValueError(
                "output must be set for finer_cam with a function as the target, because the model has several outputs."
            )
        return None, run.output


def _contrast(view: View, gamma: float, classes: int) -> ContrastView:
    fields = {field.name: getattr(view, field.name) for field in dataclasses.fields(View)}
    return ContrastView(**fields, gamma=gamma, classes=classes)


def _check(view: View) -> None:
    """Raise an error if the target has no other classes to be compared with, or the model no map."""
    weighted_maps(_contrast(view, 0.6, 3))


@method(
    reference="Zhang et al. 2025, CVPR, arXiv:2501.11309",
    family="cam",
    passes="1 pass, backward to the layer",
    compared=False,
    if_zero=NO_EVIDENCE,
    check=_check,
    question="region",
    trust="Trust it for what tells the class from the next ones; what they share is left out, however important.",
    with_positions=True,
)
def finer_cam(view, *, layer: str | None = None, resize: bool = True, gamma: float = 0.6, classes: int = 3):
    """Location of what tells the class from similar ones: Grad-CAM of the difference of scores (Zhang et al. 2025).

    The score is that of the class minus gamma × the mean score of the classes whose scores are closest to it. What
    speaks for all of them cancels, more so for a larger gamma. A hidden channel is compared with the other channels of
    its layer. A function of the output is taken to be the score of the class by which its gradient is largest.

    Args:
        view: the model and its inputs in the graph.
        layer: name or path of the layer whose channels are weighted; by default the last layer with a value per
            position on which the target depends; in a transformer the tensor that the last attention reads.
        resize: resize each map to its input's height and width, bilinearly; otherwise it keeps the layer's size.
        gamma: weight of the other classes, at least 0; with 0 the map is that of Grad-CAM.
        classes: number of other classes, a positive integer; all if the model has fewer.

    Returns:
        float32 (N, *positions), such as (N, H, W), at least 0; with ``resize=False`` of the layer's size. The attribute
        ``layer`` of the result is the path of the layer.

    Raises:
        ValueError: as in ``gradcam``; the target is not the score of a class or channel that has others beside it;
            ``gamma`` is negative, or ``classes`` no positive integer.
    """
    contrast = _contrast(view, check_number("gamma", gamma, minimum=0), check_int("classes", classes))
    return class_activation_map(contrast, layer, resize, _weights)


def _weights(maps, gradients, *_):
    return tf.reduce_mean(gradients, axis=position_axes(maps), keepdims=True)
