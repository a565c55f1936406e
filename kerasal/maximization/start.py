"""Where an ascent starts: ``init -> model inputs (K, H, W, C)``."""

import numpy as np

from kerasal.preprocessing import Preprocessing


def input_shape(model, size: tuple[int, int] | None) -> tuple[int, int, int]:
    """Return (H, W, C) of the image that the model takes; a free size is ``size``, or 224 × 224.

    Raises:
        ValueError: the model has not exactly one image input, or takes another size.
    """
    declared = getattr(model, "inputs", None)
    shapes = [tuple(tensor.shape[1:]) for tensor in declared] if declared else []
    if not shapes and getattr(model, "input_shape", None):
        shapes = [tuple(model.input_shape[1:])]
    if not shapes and size is not None:
        shapes = [(None, None, 3)]
    if not shapes:
        raise ValueError(f"{model.name!r} does not declare its input. Give size=(height, width) for 3-channel images.")
    if len(shapes) != 1 or len(shapes[0]) not in (2, 3):
        raise ValueError(f"Expected a model with one image input (H, W, C). {model.name!r} takes {shapes}.")
    height, width = size or (224, 224)
    found = (shapes[0][0] or height, shapes[0][1] or width, *shapes[0][2:])
    if size is not None and tuple(size) != found[:2]:
        raise ValueError(f"{model.name!r} takes images of {found[0]} × {found[1]}. Received size={size!r}.")
    if None in found:
        raise ValueError(f"{model.name!r} leaves its number of channels open, shape {shapes[0]}.")
    return found


def start_images(init, count: int, shape: tuple, convention: Preprocessing, seed: int) -> np.ndarray:
    """Return the model inputs (K, H, W, C) to start from; random ones are the same for every objective."""
    low, high = (np.broadcast_to(bound, shape) for bound in convention.value_range())
    if isinstance(init, str):
        if init == "normal":
            start = np.random.default_rng(seed).standard_normal(shape) * (high - low) / 255.0
        elif init == "zero":
            start = np.zeros(shape)
        elif init == "mean":
            start = (low + high) / 2
        else:
            raise ValueError(f'init is "normal", "zero", "mean" or an array of model inputs. Received: {init!r}.')
    else:
        start = np.asarray(init, dtype=np.float32)
        if start.shape not in (shape, (count, *shape)) or not np.isfinite(start).all():
            raise ValueError(
                f"init expects finite model inputs of shape {shape} or {(count, *shape)}. Received shape {start.shape}."
            )
    return np.array(np.broadcast_to(start, (count, *shape)), dtype=np.float32)
