"""General patterns: a single unit of a layer is set to a constant and projected back to the pixels."""

from collections.abc import Sequence

import numpy as np

from kerasal import hooks
from kerasal.checks import check_number
from kerasal.hooks.backward_rules import overrides
from kerasal.hooks.engine import read_graph
from kerasal.hooks.image_shapes import image_shape
from kerasal.hooks.model_inputs import chunk_size
from kerasal.hooks.operations import POOLS, RELUS
from kerasal.hooks.taps import run_in_function
from kerasal.hooks.trace import cached_trace
from kerasal.progress import progress_bar
from kerasal.receptive_field.geometry.cone import can_run_cone, run_cone
from kerasal.receptive_field.geometry.field_geometry import no_map_message
from kerasal.receptive_field.geometry.route_reader import read_routes, route_between
from kerasal.receptive_field.patterns import pattern_canvas as canvases
from kerasal.receptive_field.patterns.pattern_canvas import Canvas

import keras
import tensorflow as tf

Side = str | int | tuple[int, int]


def patterns(
    model: keras.Model,
    layer: str,
    channels: int | Sequence[int] | None = None,
    constant: float = 1.0,
    *,
    canvas: Side = "auto",
    final_relu: bool = True,
    bias: bool = False,
    crop: bool = True,
    batch_size: int | None = None,
    progress: bool = False,
) -> np.ndarray:
    """Return the pattern of each channel: a single unit set to ``constant``, all others 0, projected back to pixels.

    Going down from the layer, every pooling repeats its values over its window, every convolution with filters F
    becomes the transposed convolution A = O * Fᵀ without bias, and every ReLU keeps the positive part of A. This equals
    the gradient of the clamped unit at a zero image, with sum pooling in place of max pooling and the deconvnet rule in
    place of each ReLU. Batch normalization multiplies by gamma / √(variance + epsilon), average pooling distributes
    values evenly, and any other activation keeps its gradient at the zero image.

    Without ``bias`` the pattern is positively homogeneous: pattern(c) = c · pattern(1) for every c > 0.

    Args:
        model: any built Keras model with a single image input; it is not changed.
        layer: name or path of a layer with a map (N, h, w, C).
        channels: index of a channel, or a sequence of indices; by default all channels of the layer.
        constant: the value c that the unit is set to, above 0.
        canvas: size of the image on which the pattern is computed. ``"auto"`` is the smallest image that contains the
            unit's receptive field, or the model's input size if the model runs on no other. A side or (height, width)
            sets the size; the most central unit is used.
        final_relu: keep only the positive part of the pattern.
        bias: use a variant that is not in the paper: each ReLU first subtracts the bias of its convolution,
            max(A - b, 0) where A > 0. The shape of the pattern then depends on ``constant``, and not only its strength.
        crop: crop the pattern to the unit's receptive field.
        batch_size: number of patterns per pass; by default it depends on the size of the canvas.
        progress: show a progress bar.

    Returns:
        float32 (K, h, w, C), in units of the model's input times those of the layer's output; non-negative with
        ``final_relu``, otherwise signed. The order of the color channels C is that of the model: blue, green, red for
        "caffe" preprocessing.

    Raises:
        ValueError: if the layer is unknown or has no spatial map, a channel does not exist, the constant is not above
            0, or the model cannot run on the canvas.

    Source: He & Pugeault 2017, section 3 and figure 3.2.
    """
    projector = PatternProjector(model, layer, canvas, final_relu=final_relu, bias=bias)
    wanted = projector.channels(channels)
    constants = np.full(len(wanted), check_number("constant", constant, above=0), np.float32)
    projected = projector.project(wanted, constants, batch_size=batch_size, progress=progress)
    return projector.canvas.crop(projected) if crop else projected


class PatternProjector:
    """Projects units of a layer back to the pixels of a canvas.

    ``path`` is the path of the layer, ``count`` its number of channels; ``canvas`` has the size and the unit.
    """

    def __init__(
        self, model: keras.Model, layer: str, canvas: Side = "auto", *, final_relu: bool = True, bias: bool = False
    ):
        self.model = model
        self.path, _ = hooks.find_layer(model, layer)
        routes = read_routes(model, [self.path])
        if self.path not in routes:
            raise ValueError(no_map_message(model, self.path))
        self.route, model_size = routes[self.path]
        self._options = {
            "layer": self.path,
            "rule": ("biased" if bias else "deconvnet") if self.route.kinds & set(RELUS) else "gradient",
            "pooling": "sum" if self.route.kinds & set(POOLS) else "max",
            "final_relu": bool(final_relu),
        }
        self.canvas, self.count, self._field_only = self._choose_canvas(canvas, model_size)

    def channels(self, channels: int | Sequence[int] | None) -> np.ndarray:
        """Return channel indices as an array (K,), by default all; raise an error for those the layer does not have."""
        chosen = np.arange(self.count) if channels is None else np.atleast_1d(np.asarray(channels))
        if chosen.ndim != 1 or chosen.size == 0 or chosen.dtype.kind not in "iu":
            raise TypeError(f"channels must be an integer or a sequence of integers, got {channels!r}.")
        outside = chosen[(chosen < 0) | (chosen >= self.count)]
        if outside.size:
            raise ValueError(
                f"channels must be in 0..{self.count - 1}, got {outside[0]}. Layer {self.path!r} has {self.count} "
                "channels."
            )
        return chosen

    def project(
        self, channels: np.ndarray, constants: np.ndarray, *, batch_size: int | None = None, progress: bool = False
    ) -> np.ndarray:
        """Return the patterns (K, H, W, C), float32, of the unit of each channel (K,) set to its constant (K,)."""
        plan = np.stack([channels, constants], axis=1).astype(np.float32)
        size = self.field_size if self._field_only else self.canvas.size
        image = np.broadcast_to(np.float32(0), (1, *size, self.shape[2]))
        rows = min(batch_size or chunk_size([image]), len(plan))
        parts = []
        with progress_bar("Computing patterns", len(plan), progress) as advance:
            for start in range(0, len(plan), rows):
                chunk = plan[start : start + rows]
                # The last chunk is padded, so that all chunks share a trace with static shapes.
                padded = np.concatenate([chunk, np.repeat(chunk[-1:], rows - len(chunk), axis=0)])
                parts.append(self._trace(rows)([padded], [])[0][: len(chunk)])
                advance(len(chunk))
        projected = np.concatenate(parts)
        if self._field_only:
            projected = self.canvas.place(projected)
        if not np.isfinite(projected).all():
            raise ValueError(
                f"The patterns of {self.path!r} must be finite, but they overflow to NaN or infinity. Check the "
                "weights of the model."
            )
        return projected

    @property
    def field_size(self) -> tuple[int, int]:
        """Height and width of the receptive field, cropped to the canvas."""
        left, top, right, bottom = self.canvas.box
        return bottom - top, right - left

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the canvas."""
        return image_shape(self.model, self.canvas.size)

    def _trace(self, rows: int):
        options = self._options | {"canvas": self.shape, "unit": self.canvas.unit, "rows": rows}
        options["cone"] = self.field_size if self._field_only else None
        return cached_trace(_project, self.model, [np.zeros((rows, 2), np.float32)], options=options, declared=False)

    def _choose_canvas(self, canvas: Side, model_size: tuple[int, int]) -> tuple[Canvas, int, bool]:
        """Return a canvas on which the model runs, the number of channels, and whether ``run_cone`` can be used."""
        if canvas == "auto":
            small = canvases.find_smallest(self.route, model_size)
            if small is not None:
                try:
                    return small, self._try_canvas(small), can_run_cone(self.route)
                except Exception:  # the model may run on its declared size only, which is tried below
                    pass
            height, width = model_size
        elif isinstance(canvas, str):
            raise ValueError(f'canvas must be "auto", a side in pixels, or (height, width), got {canvas!r}.')
        else:
            size = (int(canvas), int(canvas)) if isinstance(canvas, (int, np.integer)) else canvas
            height, width, _ = image_shape(self.model, size)
        if not (self.route.lengths(0, height) and self.route.lengths(1, width)):
            raise ValueError(
                f"canvas must be large enough for layer {self.path!r}, with equal map sizes where paths join, got "
                f'{height} × {width}. canvas="auto" chooses the smallest size.'
            )
        chosen = canvases.place_canvas(self.route, (height, width))
        return chosen, self._try_canvas(chosen), False

    def _try_canvas(self, canvas: Canvas) -> int:
        map_shape = _map_shape(self.model, self.path, image_shape(self.model, canvas.size))
        if map_shape[:2] != canvas.map_size:
            raise ValueError(
                f"On a canvas of {canvas.size}, layer {self.path!r} must have a map of {canvas.map_size}, but it has "
                f"{map_shape[:2]}, since {self.model.name!r} resizes its images. Leave canvas out."
            )
        return map_shape[2]


def _project(view, *, layer, rule, pooling, final_relu, canvas, unit, rows, cone):
    """Return patterns (rows, H, W, C) for rows of (channel, constant); with ``cone``, receptive fields (rows, h, w, C).

    All shapes are static, so that TensorFlow prunes the forward pass, on which the backward pass does not depend.
    """
    plan = tf.ensure_shape(view.inputs[0], (rows, 2))
    options = {"taps": [layer], "output": False, "rule": rule, "pooling": pooling, "partial": True, "any_size": True}

    def run_units(fields):
        image = tf.zeros((1, *canvas))
        route = route_between(image, view.run([image], separate_graph=False, **options).layers[layer])
        with tf.compat.v1.get_default_graph().gradient_override_map(overrides(rule, pooling)):
            return run_cone(route, fields, canvas[:2], unit)

    images = tf.zeros((rows, *(cone or canvas[:2]), canvas[2]))
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        if cone:
            units = run_in_function(run_units, [images])
        else:
            units = view.run([images], **options).layers[layer][:, unit[0], unit[1]]
        units = tf.cast(units, tf.float32)
        signal = plan[:, 1, None] * tf.one_hot(tf.cast(plan[:, 0], tf.int32), units.shape[-1])
        score = tf.reduce_sum(units * signal)
    (projected,) = hooks.differentiate(tape, score, [images])
    return [tf.nn.relu(projected) if final_relu else projected]


def _map_shape(model, path: str, shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return the shape of a layer's map for images of ``shape``, without running the model."""

    def read_shape(image, layers, layout, outputs):
        tensor = layers[path]
        if layout.channel_axis(path, tensor) != tensor.shape.rank - 1:
            raise ValueError(
                f"Layer {path!r} must have channels last, but its output {tensor.shape} has channels first. Choose a "
                "layer with output (N, h, w, C)."
            )
        return tuple(tensor.shape[1:])

    return read_graph(model, shape, [path], read_shape, partial=True, any_size=True)
