"""A model whose ``fit`` adds losses of its maps to the loss of its predictions."""

from collections.abc import Mapping, Sequence
from typing import Any

from kerasal.hooks.model_inputs import input_specs
from kerasal.losses import AttributionPrior
from kerasal.training.attribution_penalty import AttributionPenalty

import keras


class PriorModel(keras.Model):
    """A Keras model that trains another one with losses of its maps; ``compile``, ``fit`` and ``evaluate`` as usual.

    The model itself is trained: its weights are updated in place, and it is what you save and explain afterwards. What
    the terms need for each image travels with the inputs, so that labels and sample weights stay as they are::

        prior = losses.AttributionPrior("reasons", weight=10)
        trainer = training.PriorModel(model, prior)
        trainer.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        trainer.fit({"inputs": images, "forbidden": masks}, labels, validation_data=(test_images, test_labels))

    ``evaluate`` and ``predict`` take the inputs alone or such a dictionary, and leave the terms out. In ``fit`` each
    term is logged under its name, as the weighted mean that is part of the loss. Sample and class weights do not act on
    the terms.

    The maps come from a second pass in inference mode (see ``kerasal.training.AttributionPenalty``), so a step takes
    two to three times as long as an ordinary one.

    ``save``, ``export`` and ``ModelCheckpoint`` write the trained model, which loads without this package and is not
    compiled. ``save_weights`` and ``BackupAndRestore`` write the trainer with the state of its optimizer, for a trainer
    to load.

    Args:
        model: any built Keras model.
        priors: one or several ``kerasal.losses.AttributionPrior``.
        output: name or index of the output to explain, for a model with several.
        **options: options of ``keras.Model``.

    Raises:
        ValueError: the model is not built; see also ``AttributionPenalty``.
        TypeError: ``model`` is no Keras model, or a ``PriorModel``.
    """

    def __init__(
        self,
        model: keras.Model,
        priors: AttributionPrior | Sequence[AttributionPrior],
        *,
        output: str | int | None = None,
        **options: Any,
    ):
        super().__init__(**options)
        input_specs(model)  # checks that it is a built model
        if isinstance(model, PriorModel):
            raise TypeError(f"model must be the model to train, got the PriorModel {model.name!r}. Pass its .model.")
        self.model = model
        self.output_names = list(getattr(model, "output_names", None) or ["output_0"])  # of losses and metrics by name
        self._output = output
        self._penalty = AttributionPenalty(model, priors, output=output)
        self._trackers = {prior.name: keras.metrics.Mean(name=prior.name) for prior in self._penalty.priors}
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return the output of the model."""
        return self.model(_split(inputs)[0], training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True) -> Any:
        """Return the loss of the predictions; in training, plus the terms of the maps."""
        loss = super().compute_loss(x, y, y_pred, sample_weight, training=training)
        if not training:
            return loss
        inputs, truths = _split(x)
        for name, value in self._penalty(inputs, self._explained_labels(y), **truths).items():
            self._trackers[name].update_state(value)
            loss = loss + keras.ops.cast(value, loss.dtype)
        return loss

    def _explained_labels(self, y: Any) -> Any:
        """Return the labels of the output that the terms explain, of a model with several outputs."""
        if isinstance(y, Mapping):
            name = self.output_names[self._output] if isinstance(self._output, int) else self._output
            return y.get(name)
        if isinstance(y, (list, tuple)):
            known = self._output in self.output_names
            number = self.output_names.index(str(self._output)) if known else self._output
            return y[number] if isinstance(number, int) else None
        return y

    def save(self, *args: Any, **options: Any) -> None:
        """Save the model that is trained, without the terms; ``ModelCheckpoint`` therefore writes that model.

        The file has neither priors nor optimizer, and loads without this package.
        """
        self.model.save(*args, **options)

    def export(self, *args: Any, **options: Any) -> None:
        """Export the model that is trained, for serving."""
        self.model.export(*args, **options)

    def get_config(self) -> dict[str, Any]:
        """Raise an error: the trainer itself is not saved.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            f"PriorModel must be saved by its method save(path), which writes the trained model {self.model.name!r}. "
            "To continue, load that file and make a PriorModel of it."
        )

    def test_step(self, data: Any) -> dict[str, Any]:
        """Return the metrics of a batch without the terms, which are not measured outside of training."""
        return {name: value for name, value in super().test_step(data).items() if name not in self._trackers}


def _split(x: Any) -> tuple[Any, dict[str, Any]]:
    """Return the inputs of the model, and what the terms need by name."""
    if isinstance(x, Mapping) and "inputs" in x:
        return x["inputs"], {name: value for name, value in x.items() if name != "inputs"}
    return x, {}
