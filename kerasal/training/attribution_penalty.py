"""Maps of a model and losses of them, inside a training step whose tape differentiates them by the weights."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from kerasal import hooks
from kerasal.hooks.positions import channel_axes
from kerasal.hooks.softmax import LogitsInfo, find_logits
from kerasal.hooks.taps import differentiate
from kerasal.hooks.trace import RetracingFunction
from kerasal.losses import AttributionPrior

import keras
import tensorflow as tf

_REMEDY = "Unfreeze layers, or choose another target or layer."


class AttributionPenalty:
    """Losses of a model's maps, as a function ``(inputs, y, **truths) -> {name: scalar}`` for a training step.

    The maps come from ``kerasal.hooks.watched``, so they are those that ``kerasal.attribution`` shows after the
    training: the model runs in inference mode, without dropout and with the moving averages of batch normalization, and
    the map of an image does not depend on the other images of the batch. Call it inside the tape that differentiates
    the loss by the weights::

        penalty = training.AttributionPenalty(model, losses.AttributionPrior("reasons", weight=10))
        with tf.GradientTape() as tape:
            loss = data_loss(y, model(inputs, training=True))
            loss += tf.add_n(list(penalty(inputs, y, forbidden=masks).values()))
        gradients = tape.gradient(loss, model.trainable_variables)

    Args:
        model: any built Keras model of one input (maps at a ``layer`` work with any number).
        priors: one or several ``kerasal.losses.AttributionPrior``; terms with the same name are an error.
        output: name or index of the output to explain, for a model with several.

    Raises:
        ValueError: no prior, or two with the same name; an unknown layer or output.
    """

    def __init__(
        self,
        model: keras.Model,
        priors: AttributionPrior | Sequence[AttributionPrior],
        *,
        output: str | int | None = None,
    ):
        self.model, self.output = model, output
        self.priors = [priors] if isinstance(priors, AttributionPrior) else list(priors)
        if not self.priors or not all(isinstance(prior, AttributionPrior) for prior in self.priors):
            raise ValueError(f"priors must be kerasal.losses.AttributionPrior objects, got {priors!r}.")
        names = [prior.name for prior in self.priors]
        if len(set(names)) < len(names):
            raise ValueError(f"priors must have different names, got {', '.join(names)}. Pass name=.")
        self._layers = tuple(dict.fromkeys(prior.layer for prior in self.priors if prior.layer))
        options: Any = {"taps": self._layers, "output": output, "logits": False}
        self._watched = hooks.watched(model, **options)
        start: Any = True
        self._unchecked = {name: tf.Variable(start, trainable=False) for name in names}
        self._function = RetracingFunction(self._compute, None, model)

    @property
    def truths(self) -> tuple[str, ...]:
        """Names of the arrays that the terms need for every image: "forbidden", "gaze", both or none."""
        return tuple(dict.fromkeys(prior.truth for prior in self.priors if prior.truth))

    def __call__(self, inputs: Any, y: Any = None, **truths: Any) -> dict[str, tf.Tensor]:
        """Return the weighted mean over images of each term, by name.

        Args:
            inputs: a batch of inputs of the model.
            y: labels, (N,) integers or one-hot (N, classes); for terms with the target "label".
            **truths: ``forbidden`` and ``gaze``, as the terms need them; see ``kerasal.losses.AttributionPrior``.

        Raises:
            ValueError: a truth is missing or not used; labels or outputs that do not fit the target; a term whose maps
                depend on no trainable weight.
            NoGradient: the score does not depend on the input.
        """
        given = {name for name, value in truths.items() if value is not None}
        if given != set(self.truths):
            raise ValueError(
                f"The terms {', '.join(prior.name for prior in self.priors)} must get "
                f"{' and '.join(self.truths) or 'no truths'}, got {' and '.join(sorted(given)) or 'none'}."
            )
        y = tf.convert_to_tensor(y) if self._reads_labels() and y is not None and not isinstance(y, dict) else None
        truths = {name: tf.convert_to_tensor(value) for name, value in truths.items() if value is not None}
        inputs = keras.tree.map_structure(tf.convert_to_tensor, inputs)
        # The logits are found in a graph, so that a step that runs eagerly traces one for the maps.
        return (self._function.current() if tf.executing_eagerly() else self._compute)(inputs, y, truths)

    def _reads_labels(self) -> bool:
        return any(prior.target == "label" for prior in self.priors)

    def _compute(self, inputs: Any, y: Any, truths: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        weights = [variable.value for variable in self.model.trainable_variables]
        with tf.GradientTape(persistent=True) as check:
            maps = self._maps(inputs, y)
            values = {}
            for prior in self.priors:
                truth = truths[prior.truth] if prior.truth else None
                values[prior.name] = tf.reduce_mean(prior.call(truth, maps[prior.target, prior.layer]))
        for prior in self.priors:
            if prior.weight:
                # TensorFlow prunes these gradients from the graph; those of the first batch are computed once more.
                self._check_dependence(prior, check.gradient(values[prior.name], weights))
                self._check_effect(prior, values[prior.name], functools.partial(check.gradient, sources=weights))
        return values

    def _maps(self, inputs: Any, y: Any) -> dict[tuple, tf.Tensor]:
        """Return the maps (N, *positions, channels) of each pair of target and layer."""
        needed = dict.fromkeys((prior.target, prior.layer) for prior in self.priors)
        flat = [tf.cast(tensor, tf.float32) for tensor in keras.tree.flatten(inputs)]
        if any(layer is None for _, layer in needed):
            self._check_input(inputs)
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(flat)
            output, layers = self._watched(keras.tree.pack_sequence_as(inputs, flat))
            scores = {target: self._score(target, output, y) for target in dict.fromkeys(pair[0] for pair in needed)}
        maps = {}
        for target, layer in needed:
            source = flat[0] if layer is None else layers[layer]
            (gradient,) = differentiate(tape, scores[target], [source])
            maps[target, layer] = self._channels_last(gradient) if layer is None else self._cam(layer, source, gradient)
        return maps

    def _check_input(self, inputs: Any) -> None:
        tensors = keras.tree.flatten(inputs)
        if len(tensors) != 1:
            shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors)
            raise ValueError(
                f"The model must have one input for maps at the input, got {shapes}. Set the prior's layer."
            )

    def _channels_last(self, gradient: tf.Tensor) -> tf.Tensor:
        axis = channel_axes(self.model, [tuple(gradient.shape)])[0]
        if axis is None:
            return tf.expand_dims(gradient, -1)
        rank = gradient.shape.rank
        return tf.transpose(gradient, [*(i for i in range(rank) if i != axis % rank), axis % rank])

    def _cam(self, name: str, features: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        """Return the class activation map (N, *positions, 1): Grad-CAM before its ReLU."""
        rank = features.shape.rank
        first = any(getattr(layer, "data_format", None) == "channels_first" for _, layer in hooks.layers(self.model))
        if rank is None or rank < 3 or first:
            got = f"{tuple(features.shape)}{' in a model with channels first' if first else ''}"
            raise ValueError(
                f"layer must have an output (N, *positions, channels), channels last, got {name!r} with {got}. Choose "
                "a convolution, or omit layer."
            )
        weights = tf.reduce_mean(tf.cast(gradient, tf.float32), axis=list(range(1, rank - 1)), keepdims=True)
        return tf.reduce_sum(weights * tf.cast(features, tf.float32), axis=-1, keepdims=True)

    def _score(self, target: Any, output: tf.Tensor, y: Any) -> Any:
        info = find_logits(output)
        logits = output if info is None else output if info.logits is None else info.logits
        logits = tf.cast(logits, tf.float32)
        if callable(target):
            return target(logits)
        if logits.shape.rank != 2:
            raise ValueError(
                f"The output must have the shape (N, classes) for target={target!r}, got {tuple(logits.shape)}. Pass a "
                "function of the logits as target."
            )
        if info is not None and info.logits is None and target != "output":
            raise ValueError(f"{info.message().split('. The output')[0]}. Pass target='output' or a function.")
        if target == "output":
            return tf.reduce_sum(tf.cast(output, tf.float32), axis=-1)
        return _log_probabilities(logits, info) if target == "log_probabilities" else _label_score(logits, y)

    def _check_dependence(self, prior: AttributionPrior, gradients: Sequence[Any]) -> None:
        if all(gradient is None for gradient in gradients):
            raise ValueError(
                f"The maps of the term {prior.name!r} must depend on a trainable weight of {self.model.name!r}, but "
                f"they depend on none, so that training cannot change them. {_REMEDY}"
            )

    def _check_effect(self, prior: AttributionPrior, value: tf.Tensor, differentiate_value: Callable) -> None:
        """Check once, in the graph, that a value other than 0 has a gradient other than 0."""
        unchecked: Any = self._unchecked[prior.name]

        def check() -> tf.Tensor:
            gradients = [gradient for gradient in differentiate_value(value) if gradient is not None]
            changes = tf.reduce_any([tf.reduce_any(tf.convert_to_tensor(gradient) != 0) for gradient in gradients])
            message = (
                f"The maps of the term {prior.name!r} must change with a trainable weight of {self.model.name!r}, but "
                f"all its derivatives by the weights are 0: ReLUs have no second derivative. {_REMEDY}"
            )
            tf.debugging.Assert(changes | (value == 0), [message])
            unchecked.assign(~changes)
            return changes

        tf.cond(unchecked, check, lambda: tf.constant(True))


def _log_probabilities(logits: tf.Tensor, info: LogitsInfo | None) -> tf.Tensor:
    """Return the sum of the log probabilities of all classes, of a sigmoid also those of the complements, (N,)."""
    kind = "Softmax" if info is None and logits.shape[-1] != 1 else info.kind if info else ""
    if kind == "Sigmoid":
        return tf.reduce_sum(tf.math.log_sigmoid(logits) + tf.math.log_sigmoid(-logits), axis=-1)
    if kind not in ("Softmax", "LogSoftmax"):
        raise ValueError(
            "The output must be a softmax, sigmoids or the logits of several classes for target='log_probabilities', "
            f"got {tuple(logits.shape)} values of another kind. Pass target='output' for a regression, or a function."
        )
    return tf.reduce_sum(tf.nn.log_softmax(logits), axis=-1)


def _label_score(logits: tf.Tensor, y: Any) -> tf.Tensor:
    """Return the logit of each image's label, (N,); of a single sigmoid, the negative logit for the label 0."""
    if y is None:
        raise ValueError("y must be the labels of the images for target='label', got None or a dictionary.")
    classes = logits.shape[-1]
    if y.shape.rank == 2 and y.shape[-1] == classes and classes != 1:
        return tf.reduce_sum(tf.cast(y, tf.float32) * logits, axis=-1)
    if y.shape.rank not in (1, 2) or (y.shape.rank == 2 and y.shape[-1] != 1):
        raise ValueError(f"y must be labels (N,) or one-hot (N, {classes}) for target='label', got {tuple(y.shape)}.")
    y = tf.reshape(y, [-1])
    number = tf.cast(y, tf.float32)
    tf.debugging.Assert(  # effective eagerly and in graphs, but not under XLA
        tf.reduce_all((number >= 0) & (number < max(classes or 1, 2)) & (number == tf.floor(number))),
        [f"y must be labels from 0 to {max(classes or 1, 2) - 1} for target='label'."],
    )
    if classes == 1:
        return logits[:, 0] * (2 * tf.cast(y, tf.float32) - 1)
    return tf.gather(logits, tf.cast(y, tf.int32), axis=1, batch_dims=1)
