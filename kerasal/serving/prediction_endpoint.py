"""The model itself as an endpoint: scores, or the top few with their names."""

from kerasal import hooks
from kerasal.models.image_model import ImageModel
from kerasal.serving.served_model import count_classes, run_model

import tensorflow as tf

_FEW = 5  # the default; a model of fewer classes shows all


def predict(model: ImageModel, inputs: list[tf.Tensor], *, output: str | int | None, top: int) -> dict[str, tf.Tensor]:
    """Return all outputs as the model gives them; or with ``top`` the largest scores of one, their classes and names.

    Returns:
        ``scores`` (N, classes), or each of several outputs by its name; or ``scores``, ``classes`` and, where the
        classes have names, ``labels``, (N, top) each, the largest first.
    """
    outputs = run_model(model, inputs)
    if not top:
        if output is None:
            return outputs
        return {"scores": hooks.select_output(model.keras_model, outputs, output)}
    only = next(iter(outputs.values()))
    scores = only if len(outputs) == 1 else hooks.select_output(model.keras_model, outputs, output)
    if scores.shape.rank != 2:
        raise ValueError(f"top= needs scores (N, classes); {model.name!r} gives {scores.shape}. Say top=0.")
    count = count_classes(model, output)
    if top > max(count, _FEW):
        raise ValueError(f"There are {count} classes. Received: top={top}.")
    values, classes = tf.math.top_k(tf.cast(scores, tf.float32), k=min(top, count))
    labels = {"labels": tf.gather(tf.constant(model.labels), classes)} if model.labels else {}
    return {"scores": values, "classes": classes, **labels}
