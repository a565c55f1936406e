"""Where an ascent starts: ``init -> parameters (K, ...)``."""

import numpy as np

from kerasal.hooks.model_inputs import check_channels_last
from kerasal.maximization.parameterization import Fourier, Pixels, value_range
from kerasal.preprocessing import Preprocessing


def input_shape(model, size: tuple[int, int] | None) -> tuple[int, int, int]:
    """Return (H, W, C) of the image that the model takes; a free size is ``size``, or 224 × 224.

    Raises:
        ValueError: the model has not exactly one image input, or takes its channels first.
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
    if len(shapes[0]) == 3:
        check_channels_last(model, shapes[0])
    height, width = size or (224, 224)
    found = (shapes[0][0] or height, shapes[0][1] or width, *shapes[0][2:])
    if None in found:
        raise ValueError(f"{model.name!r} leaves its number of channels open, shape {shapes[0]}.")
    return found


def start_parameters(
    init,
    count: int,
    *,
    copies: int,
    into: Pixels | Fourier,
    convention: Preprocessing | None,
    gray_level: np.ndarray,
    seed: int,
) -> np.ndarray:
    """Return the parameters (K, ...) to start from, ``copies`` of each of the objectives one after the other.

    Random ones are the same for every objective, and different for every copy.

    Raises:
        ValueError: an unknown start, an array that does not fit, or copies that would all be the same.
    """
    shape = into.shape
    if isinstance(init, str) and init == "normal":
        starts = [into.noise(np.random.default_rng((seed, copy) if copy else seed)) for copy in range(copies)]
        return np.tile(np.stack(starts), (count, *(1,) * starts[0].ndim))
    if copies > 1 and np.ndim(init) <= len(shape):
        raise ValueError(
            'Copies of one objective differ by where they start: with copies, init is "normal", or an array of '
            f"{count * copies} starts. Received: {init if isinstance(init, str) else f'one of shape {np.shape(init)}'}."
        )
    return into.start(_inputs(init, count * copies, shape, convention) / gray_level)


def _inputs(init, count: int, shape: tuple, convention: Preprocessing | None) -> np.ndarray:
    """Return the model inputs (K, H, W, C) that an ``init`` other than noise means."""
    low, high = (np.broadcast_to(bound, shape) for bound in value_range(convention))
    if isinstance(init, str):
        if init not in ("zero", "mean"):
            raise ValueError(f'init is "normal", "zero", "mean" or an array of model inputs. Received: {init!r}.')
        start = np.zeros(shape) if init == "zero" else (low + high) / 2
    else:
        start = np.asarray(init, dtype=np.float32)
        if start.shape not in (shape, (count, *shape)) or not np.isfinite(start).all():
            raise ValueError(
                f"init expects finite model inputs of shape {shape} or {(count, *shape)}. Received shape {start.shape}."
            )
    return np.array(np.broadcast_to(start, (count, *shape)), dtype=np.float32)
