"""General patterns: what a unit paints when it alone is switched on and carried back to the pixels."""

from collections.abc import Sequence

import numpy as np

from kerasal import hooks
from kerasal.checks import check_number
from kerasal.hooks.backward_rules import overrides
from kerasal.hooks.engine import read_graph
from kerasal.hooks.model_inputs import chunk_size, image_shape
from kerasal.hooks.operations import POOLS, RELUS
from kerasal.hooks.taps import run_in_function
from kerasal.hooks.trace import cached_trace
from kerasal.progress import progress_bar
from kerasal.receptive_field.geometry.cone import can_run_cone, run_cone
from kerasal.receptive_field.geometry.field_geometry import no_map_message
from kerasal.receptive_field.geometry.operation_moves import read_routes, route_between
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
    """Return the pattern of each channel: one unit clamped to ``constant``, all others 0, carried back to the pixels.

    From the layer down, every pooling repeats its values over its window, every convolution F becomes A = O * Fᵀ
    (transposed, without bias), and every ReLU keeps of A what is positive. It is the gradient of the clamped unit at a
    zero image, with sum-pooling in place of max-pooling and the deconvnet's gate in place of each ReLU. Batch
    normalization multiplies by gamma / √(variance + epsilon); average-pooling spreads evenly; an activation that is no
    ReLU keeps its gradient at zero.

    Without ``bias`` the pattern is positively homogeneous: pattern(c) = c · pattern(1) for every c > 0.

    Args:
        model: any built Keras model with one image input; it is not changed.
        layer: name or path of a layer with a map (N, h, w, C).
        channels: one, or several; by default all of the layer.
        constant: the value c of the clamped unit, above 0.
        canvas: the image that the pattern is painted on: ``"auto"`` is the smallest on which the unit's receptive
            field fits, or the model's own size where the model cannot be run on another; a side or (height, width) sets
            it, and the unit is the most central one.
        final_relu: keep what is positive of the painted image, too.
        bias: a variant that is not the paper's: each ReLU's gate first takes off the bias of its convolution,
            max(A - b, 0) where A > 0. Then the pattern grows with ``constant`` in shape, not in strength alone.
        crop: cut the image to the unit's receptive field.
        batch_size: patterns painted at once; by default as many as run fastest.
        progress: show a progress bar.

    Returns:
        float32 (K, h, w, C), in the units of the model's input times those of the layer's output; from 0 on with
        ``final_relu``, otherwise signed. The channels C are the model's: blue, green, red for "caffe" preprocessing.

    Raises:
        ValueError: an unknown layer, one without a spatial map, a channel that it has not, a constant that is not above
            0, or a canvas on which the model cannot be run.

    Source: He & Pugeault 2017, section 3 and figure 3.2.
    """
    painter = Painter(model, layer, canvas, final_relu=final_relu, bias=bias)
    wanted = painter.channels(channels)
    constants = np.full(len(wanted), check_number("constant", constant, above=0), np.float32)
    painted = painter.paint(wanted, constants, batch_size=batch_size, progress=progress)
    return painter.canvas.crop(painted) if crop else painted


class Painter:
    """A layer of a model, and the canvas on which its patterns are painted."""

    def __init__(
        self, model: keras.Model, layer: str, canvas: Side = "auto", *, final_relu: bool = True, bias: bool = False
    ):
        self.model = model
        self.path, _ = hooks.find_layer(model, layer)
        routes = read_routes(model, [self.path])
        if self.path not in routes:
            raise ValueError(no_map_message(model, self.path))
        self.route, own = routes[self.path]
        self._options = {
            "layer": self.path,
            "rule": ("biased" if bias else "deconvnet") if self.route.kinds & set(RELUS) else "gradient",
            "pooling": "sum" if self.route.kinds & set(POOLS) else "max",
            "final_relu": bool(final_relu),
        }
        self.canvas, self.count, self._alone = self._choose(canvas, own)

    def channels(self, channels: int | Sequence[int] | None) -> np.ndarray:
        """Return the channels that are meant, (K,), refusing those that the layer has not."""
        chosen = np.arange(self.count) if channels is None else np.atleast_1d(np.asarray(channels))
        if chosen.ndim != 1 or chosen.size == 0 or chosen.dtype.kind not in "iu":
            raise TypeError(f"channels is a whole number or a list of them. Received: {channels!r}.")
        outside = chosen[(chosen < 0) | (chosen >= self.count)]
        if outside.size:
            raise ValueError(f"Layer {self.path!r} has {self.count} channels, counted from 0. Received: {outside[0]}.")
        return chosen

    def paint(
        self, channels: np.ndarray, constants: np.ndarray, *, batch_size: int | None = None, progress: bool = False
    ) -> np.ndarray:
        """Return the whole canvas for each channel (K,) clamped to its constant (K,): float32 (K, H, W, C)."""
        plan = np.stack([channels, constants], axis=1).astype(np.float32)
        size = self.field_size if self._alone else self.canvas.size
        image = np.broadcast_to(np.float32(0), (1, *size, self.shape[2]))
        rows = min(batch_size or chunk_size([image]), len(plan))
        parts = []
        with progress_bar("Painting", len(plan), progress) as advance:
            for start in range(0, len(plan), rows):
                chunk = plan[start : start + rows]
                # Always as many rows, so that one trace, of known shapes, serves all.
                full = np.concatenate([chunk, np.repeat(chunk[-1:], rows - len(chunk), axis=0)])
                parts.append(self._trace(rows)([full], [])[0][: len(chunk)])
                advance(len(chunk))
        painted = np.concatenate(parts)
        if self._alone:
            painted = self.canvas.place(painted)
        if not np.isfinite(painted).all():
            raise ValueError(f"The patterns of {self.path!r} overflow to NaN or infinity. Check the model's weights.")
        return painted

    @property
    def field_size(self) -> tuple[int, int]:
        """Height and width of the receptive field, cut to the canvas."""
        left, top, right, bottom = self.canvas.box
        return bottom - top, right - left

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the canvas."""
        return image_shape(self.model, self.canvas.size)

    def _trace(self, rows: int):
        options = self._options | {"canvas": self.shape, "unit": self.canvas.unit, "rows": rows}
        options["cone"] = self.field_size if self._alone else None
        return cached_trace(_paint, self.model, [np.zeros((rows, 2), np.float32)], options=options, declared=False)

    def _choose(self, canvas: Side, own: tuple[int, int]) -> tuple[Canvas, int, bool]:
        """Return the canvas, tried out, the number of channels, and whether the unit's field alone can be painted."""
        if canvas == "auto":
            small = canvases.find_smallest(self.route, own)
            if small is not None:
                try:
                    return small, self._try_canvas(small), can_run_cone(self.route)
                except Exception:  # the model runs on its own size only: then it is that, or its own error
                    pass
            height, width = own
        elif isinstance(canvas, str):
            raise ValueError(f'canvas is "auto", a side in pixels, or (height, width). Received: {canvas!r}.')
        else:
            size = (int(canvas), int(canvas)) if isinstance(canvas, (int, np.integer)) else canvas
            height, width, _ = image_shape(self.model, size)
        if not (self.route.lengths(0, height) and self.route.lengths(1, width)):
            raise ValueError(
                f"A canvas of {height} × {width} is too small for {self.path!r}, or does not fit its paths."
            )
        chosen = canvases.place_canvas(self.route, (height, width))
        return chosen, self._try_canvas(chosen), False

    def _try_canvas(self, canvas: Canvas) -> int:
        found = _map_shape(self.model, self.path, image_shape(self.model, canvas.size))
        if found[:2] != canvas.map_size:
            raise ValueError(
                f"On a canvas of {canvas.size}, {self.path!r} was expected to have a map of {canvas.map_size}, but has "
                f"{found[:2]}: {self.model.name!r} resizes its images. Leave canvas out."
            )
        return found[2]


def _paint(view, *, layer, rule, pooling, final_relu, canvas, unit, rows, cone):
    """Carry clamped units back: [channel, constant] (rows, 2) -> images (rows, H, W, C), or their fields with ``cone``.

    The shapes are all known, so that TensorFlow leaves out the forward pass, which no gate looks at.
    """
    plan = tf.ensure_shape(view.inputs[0], (rows, 2))
    how = {"taps": [layer], "output": False, "rule": rule, "pooling": pooling, "partial": True, "any_size": True}

    def cone_unit(fields):
        whole = tf.zeros((1, *canvas))
        route = route_between(whole, view.run([whole], separate_graph=False, **how).layers[layer])
        with tf.compat.v1.get_default_graph().gradient_override_map(overrides(rule, pooling)):
            return run_cone(route, fields, canvas[:2], unit)

    images = tf.zeros((rows, *(cone or canvas[:2]), canvas[2]))
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        units = (
            run_in_function(cone_unit, [images])
            if cone
            else view.run([images], **how).layers[layer][:, unit[0], unit[1]]
        )
        units = tf.cast(units, tf.float32)
        signal = plan[:, 1, None] * tf.one_hot(tf.cast(plan[:, 0], tf.int32), units.shape[-1])
        score = tf.reduce_sum(units * signal)
    (painted,) = hooks.differentiate(tape, score, [images])
    return [tf.nn.relu(painted) if final_relu else painted]


def _map_shape(model, path: str, shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return the shape of a layer's map for images of ``shape``, without running anything."""

    def read(image, layers, layout, outputs):
        tensor = layers[path]
        if layout.channel_axis(path, tensor) != tensor.shape.rank - 1:
            raise ValueError(
                f"Layer {path!r} must have its channels last, but its output is {tensor.shape}, channels first. Choose "
                "a layer whose output is (N, h, w, C)."
            )
        return tuple(tensor.shape[1:])

    return read_graph(model, shape, [path], read, partial=True, any_size=True)
