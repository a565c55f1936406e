"""The estimated memory of a training step, checked before training: the system kills processes that use too much."""

import math
from collections.abc import Sequence

import numpy as np

from kerasal import hooks
from kerasal.process import free_memory

_BYTES = 4


def check_memory(model, batch_size: int, slots: int, variables: Sequence = (), machines: int = 1) -> None:
    """Raise a ValueError if a batch will not fit into main memory; the message has the largest batch size that fits.

    Args:
        model: a built model.
        batch_size: images per step.
        slots: number of arrays that the optimizer keeps per weight.
        variables: variables that are already allocated: weights and slots.
        machines: number of machines between which a batch is split.
    """
    free = free_memory()
    if free is None:
        return
    weight_bytes, image_bytes = step_memory(model, slots)
    missing = max(0, weight_bytes - _BYTES * sum(int(np.prod(variable.shape)) for variable in variables))
    needed = missing + math.ceil(batch_size / machines) * image_bytes
    if needed <= free:
        return
    fits = machines * max(0, int((free - missing) // image_bytes))
    remedy = f"Use batch_size={fits}." if fits else "Even batch_size=1 does not fit."
    raise ValueError(
        f"batch_size must fit into {free / 1e9:.1f} GB of free memory, got {batch_size}, which takes about "
        f"{needed / 1e9:.1f} GB to train {model.name}. {remedy}"
    )


def step_memory(model, slots: int) -> tuple[int, int]:
    """Return the estimated bytes of a training step: those of all weights, and those per image of the batch.

    A weight is counted with its gradient, its slots, and a copy while it is updated; a layer's output is counted with
    its gradient. Unknown sizes count as 1, so that no training is refused by mistake.
    """
    weights = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    outputs = 0
    for _, layer in hooks.layers(model):
        if not getattr(layer, "layers", None):
            outputs += sum(int(np.prod([side or 1 for side in shape[1:]])) for shape in _output_shapes(layer))
    return _BYTES * weights * (3 + slots), _BYTES * 2 * max(1, outputs)


def _output_shapes(layer) -> list[tuple]:
    try:
        output = layer.output
    except (AttributeError, ValueError):  # the layer was never called, or is shared
        return []
    return [tuple(tensor.shape) for tensor in (output if isinstance(output, (list, tuple)) else [output])]
