"""A loss of attribution maps, which lets a training decide where a model looks."""

from collections.abc import Callable
from typing import Any

from kerasal.checks import check_choice, check_number
from kerasal.losses.scores import cc

import keras
import tensorflow as tf

TRUTHS = {"reasons": "forbidden", "gaze": "gaze", "smoothness": None}
"""The terms of ``AttributionPrior``, and the name of the array that each needs; None if it needs none."""
TARGETS = ("log_probabilities", "label", "output")


@keras.saving.register_keras_serializable(package="kerasal")
class AttributionPrior(keras.losses.Loss):
    """Loss of the maps of a model, (N, *positions, channels), which is added to the loss of its predictions.

    ``kerasal.training.PriorModel`` adds it in ``fit``, and ``kerasal.training.AttributionPenalty`` in a training step
    of your own; both compute the maps. They are input gradients, or with ``layer`` class activation maps.

    * ``"reasons"``, right for the right reasons: the sum of ``(forbidden · map)²`` of each image. ``forbidden`` is a
      mask, 1 where the model must not look and 0 elsewhere, (N, *positions) or with channels. Source: Ross, Hughes &
      Doshi-Velez 2017, the term of the loss for the right reasons.
    * ``"gaze"``: ``loss`` between ``gaze`` (N, H, W) and the map, by default the negated correlation with densities of
      fixations. Of input gradients, the magnitudes are summed over the channels. The map is averaged to the size of
      ``gaze``, for which a small one is enough.
    * ``"smoothness"``: the total variation, which is the sum of the magnitudes of all differences between neighbors
      along the axes of positions. Source: Erion et al. 2021, "Improving performance of deep learning models with
      axiomatic attribution priors and expected gradients", section "Pixel attribution prior"; there for expected
      gradients.

    "reasons" and "smoothness" also fall when all gradients of a model shrink. With ``normalize`` they do not: they are
    then relative to the sum of all squares ("reasons": the share of the squared gradient in the mask, 0..1) or of all
    magnitudes ("smoothness").

    Args:
        term: ``"reasons"``, ``"gaze"`` or ``"smoothness"``.
        weight: factor of the term, from 0; the logs of a training have the weighted term.
        target: the score that the maps explain. ``"log_probabilities"`` is the sum of the log probabilities of all
            classes, as in Ross et al.; ``"label"`` the logit of the label, or the labels' weighted sum of logits if
            they are one-hot; ``"output"`` the sum of all outputs, for a regression. A function of the logits
            (N, classes) that returns scores (N,) is possible, but not saved. The default is ``"log_probabilities"`` for
            "reasons" and ``"label"`` for the others.
        layer: name or path of a layer for class activation maps (Grad-CAM without its final ReLU) instead of input
            gradients.
        loss: for "gaze", a loss of ``(gaze, maps)`` such as ``NSSLoss()``, where ``gaze`` are fixation counts;
            ``CCLoss()`` if None.
        normalize: divide "reasons" and "smoothness" by the size of the map.
        name: name of the term in the logs of a training; by default the term.
        **options: options of ``keras.losses.Loss``.

    Raises:
        ValueError: an unknown term or target, a negative or infinite weight, or options that the term does not use.
    """

    def __init__(
        self,
        term: str = "reasons",
        weight: float = 1.0,
        *,
        target: str | Callable[[tf.Tensor], tf.Tensor] | None = None,
        layer: str | None = None,
        loss: Any = None,
        normalize: bool = False,
        name: str | None = None,
        **options: Any,
    ):
        super().__init__(name=name or check_choice("term", term, TRUTHS), **options)
        self.term = check_choice("term", term, TRUTHS)
        self.weight = check_number("weight", weight, minimum=0)
        default = "log_probabilities" if term == "reasons" else "label"
        self.target: Any = default if target is None else target
        if not callable(self.target):
            check_choice("target", self.target, TARGETS, remedy="A function of the logits is possible, too.")
        self.layer = layer
        if loss is not None and term != "gaze":
            raise ValueError(f"loss must be None for the term {term!r}, got {loss!r}. It is an option of 'gaze'.")
        if normalize and term == "gaze":
            raise ValueError("normalize must be False for the term 'gaze', got True. Its losses normalize maps.")
        self.loss: Any = None if loss is None else keras.losses.get(loss)
        self.normalize = bool(normalize)

    @property
    def truth(self) -> str | None:
        """Name of the array that the term needs for every image: "forbidden", "gaze" or None."""
        return TRUTHS[self.term]

    def call(self, y_true: Any, y_pred: Any) -> tf.Tensor:
        """Return the weighted term of each image, (N,) float32; ``y_true`` is not used for "smoothness".

        Raises:
            ValueError: shapes that do not fit.
            tf.errors.InvalidArgumentError: a mask has values outside 0..1 (not checked under XLA).
        """
        maps = tf.cast(y_pred, tf.float32)
        if maps.shape.rank is None or maps.shape.rank < 3:
            raise ValueError(f"Maps must have the shape (N, *positions, channels), got {tuple(maps.shape)}.")
        if self.term == "reasons":
            value = forbidden_mass(y_true, maps, normalize=self.normalize)
        elif self.term == "smoothness":
            value = total_variation(maps, normalize=self.normalize)
        else:
            value = self._gaze(y_true, maps)
        return self.weight * value

    def _gaze(self, gaze: Any, maps: tf.Tensor) -> tf.Tensor:
        gaze = tf.cast(gaze, tf.float32)
        tf.debugging.Assert(  # effective eagerly and in graphs, but not under XLA
            tf.reduce_all(tf.math.is_finite(gaze) & (gaze >= 0)),
            ["gaze must be finite and at least 0: densities or counts of fixations."],
        )
        gaze = tf.squeeze(gaze, -1) if gaze.shape.rank == 4 and gaze.shape[-1] == 1 else gaze
        if maps.shape.rank != 4 or gaze.shape.rank != 3:
            raise ValueError(
                "gaze must have the shape (N, H, W), and maps (N, H, W, channels), got "
                f"{tuple(gaze.shape)} and {tuple(maps.shape)}."
            )
        saliency = tf.reduce_sum(maps if self.layer else tf.abs(maps), axis=-1, keepdims=True)
        saliency = tf.squeeze(_resize(saliency, gaze), -1)
        if self.loss is None:
            return -cc(gaze, saliency)
        loss = self.loss.call if isinstance(self.loss, keras.losses.Loss) else self.loss
        values = loss(gaze, saliency)
        return tf.reduce_mean(tf.reshape(values, (tf.shape(gaze)[0], -1)), axis=1)

    def get_config(self) -> dict[str, Any]:
        if callable(self.target):
            raise ValueError("target must be one of " + ", ".join(TARGETS) + " to be saved, got a function.")
        config = {name: getattr(self, name) for name in ("term", "weight", "target", "layer", "normalize")}
        loss = None if self.loss is None else keras.losses.serialize(self.loss)
        return {**super().get_config(), **config, "loss": loss}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        loss = config.get("loss")
        return cls(**{**config, "loss": loss if loss is None else keras.losses.deserialize(loss)})


def forbidden_mass(forbidden: Any, maps: tf.Tensor, *, normalize: bool = False) -> tf.Tensor:
    """Return the sum of squares of each map inside its mask, (N,); with ``normalize`` its share of all squares.

    Args:
        forbidden: masks in 0..1, (N, *positions), or with a last axis of size 1 or of the channels.
        maps: (N, *positions, channels). Masks of images are averaged to the size of coarser maps.
        normalize: divide by the sum over the whole map; a map of zeros has the share 0.
    """
    mask = tf.cast(forbidden, tf.float32)
    tf.debugging.Assert(  # effective eagerly and in graphs, but not under XLA
        tf.reduce_all((mask >= 0) & (mask <= 1)),
        ["forbidden must be in 0..1, with 1 where the model must not look. Divide uint8 masks by 255."],
    )
    mask = mask[..., None] if mask.shape.rank == maps.shape.rank - 1 else mask
    if mask.shape.rank == maps.shape.rank == 4 and mask.shape[1:3] != maps.shape[1:3] and maps.shape[-1] == 1:
        mask = _resize(mask, maps)
    fits = mask.shape.rank == maps.shape.rank and mask.shape[-1] in (1, None, maps.shape[-1])
    sides = zip(mask.shape[1:-1], maps.shape[1:-1], strict=True) if fits else [(0, 1)]
    if any(None not in pair and pair[0] != pair[1] for pair in sides):
        raise ValueError(
            f"forbidden must have the positions of the maps, {tuple(maps.shape[:-1])}, with or without channels, got "
            f"{tuple(tf.convert_to_tensor(forbidden).shape)}."
        )
    inside = _sum(tf.square(mask * maps))
    return tf.math.divide_no_nan(inside, _sum(tf.square(maps))) if normalize else inside


def total_variation(maps: tf.Tensor, *, normalize: bool = False) -> tf.Tensor:
    """Return the sum of magnitudes of the differences between neighbors of each map, (N,).

    Args:
        maps: (N, *positions, channels); neighbors are along each axis of positions.
        normalize: divide by the sum of the map's magnitudes; a map of zeros has the variation 0.
    """
    total = tf.zeros(tf.shape(maps)[:1])
    for axis in range(1, maps.shape.rank - 1):
        size = tf.shape(maps)[axis]
        steps = tf.gather(maps, tf.range(1, size), axis=axis) - tf.gather(maps, tf.range(size - 1), axis=axis)
        total += _sum(tf.abs(steps))
    return tf.math.divide_no_nan(total, _sum(tf.abs(maps))) if normalize else total


def _resize(values: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Return values (N, H, W, C) as area averages at the height and width of ``like``.

    TensorFlow's own resizing by area has no gradient, and its antialiased one cannot be compiled by XLA.
    """
    for axis, equation in ((1, "oi,nihc->nohc"), (2, "oi,nhic->nhoc")):
        if values.shape[axis] is None or values.shape[axis] != like.shape[axis]:
            values = tf.einsum(equation, _overlaps(tf.shape(values)[axis], tf.shape(like)[axis]), values)
    return tf.ensure_shape(values, (None, *like.shape[1:3], None))


def _overlaps(size: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """Return the share of each of ``size`` pixels in each of ``wanted`` pixels over the same length, (wanted, size)."""
    size, wanted = tf.cast(size, tf.float32), tf.cast(wanted, tf.float32)
    starts, targets = tf.range(size) / size, tf.range(wanted)[:, None] / wanted
    overlaps = tf.nn.relu(tf.minimum(starts + 1 / size, targets + 1 / wanted) - tf.maximum(starts, targets))
    return overlaps * wanted


def _sum(values: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(values, axis=list(range(1, values.shape.rank)))
