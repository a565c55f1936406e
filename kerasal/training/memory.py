"""How much memory a training step takes, estimated before it is tried: the system kills what takes too much."""

import math
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from kerasal import hooks

_BYTES = 4


def check_memory(net, batch_size: int, slots: int, there: Sequence = (), machines: int = 1) -> None:
    """Refuse a batch that will not fit into the main memory, and say which would.

    Args:
        net: a built model.
        batch_size: images a step.
        slots: arrays of the optimizer for each weight.
        there: the variables that exist by now, weights and slots.
        machines: between which a batch is split.

    Raises:
        ValueError: the estimate is above what is free.
    """
    free = free_memory()
    if free is None:
        return
    fixed, each = step_memory(net, slots)
    more = max(0, fixed - _BYTES * sum(int(np.prod(variable.shape)) for variable in there))
    needed = more + math.ceil(batch_size / machines) * each
    if needed <= free:
        return
    fits = machines * max(0, int((free - more) // each))
    advice = f"A batch of {fits} would fit (--batch-size {fits})." if fits else "Not even one image would fit."
    raise ValueError(
        f"Training {net.name} in batches of {batch_size} takes about {needed / 1e9:.1f} GB more memory; "
        f"{free / 1e9:.1f} GB are free. {advice}"
    )


def step_memory(net, slots: int) -> tuple[int, int]:
    """Estimate the bytes of a training step: the fixed ones of the weights, and those of one image.

    A weight is there with its gradient, its slots, and once more while it is updated. An output is kept for the way
    back, and then has a gradient. Sides that are not known count as 1, so that nothing is refused by mistake.
    """
    weights = sum(int(np.prod(variable.shape)) for variable in net.trainable_variables)
    outputs = 0
    for _, layer in hooks.layers(net):
        if not getattr(layer, "layers", None):
            outputs += sum(int(np.prod([side or 1 for side in shape[1:]])) for shape in _output_shapes(layer))
    return _BYTES * weights * (3 + slots), _BYTES * 2 * max(1, outputs)


def free_memory() -> int | None:
    """Return the bytes of main memory that can be had, by the system and by the container's limit; None if unknown."""
    found = []
    try:
        lines = pathlib.Path("/proc/meminfo").read_text().splitlines()
        found.append(next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")))
    except (OSError, StopIteration, ValueError):
        try:  # other systems: what is not in use at this moment is not told, so what there is
            found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
        except (ValueError, OSError, AttributeError):
            return None
    try:
        group = pathlib.Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text())
        found.append(limit - int((group / "memory.current").read_text()))
    except (OSError, ValueError):  # "max": no limit
        pass
    return min(found)


def _output_shapes(layer) -> list[tuple]:
    try:
        output = layer.output
    except (AttributeError, ValueError):  # never called by itself, or used in several places
        return []
    return [tuple(one.shape) for one in (output if isinstance(output, (list, tuple)) else [output])]
