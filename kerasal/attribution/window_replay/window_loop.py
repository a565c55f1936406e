"""All windows of a batch of images, as many at a time as memory likes, with either way of running the model."""

from collections.abc import Callable

from kerasal.attribution.window_replay.replay import Replay
from kerasal.attribution.window_replay.replay_plan import Plan, make_plan
from kerasal.attribution.window_replay.windows import Windows, occluded
from kerasal.hooks.model_inputs import rows_at_once
from kerasal.hooks.state import state_rows
from kerasal.hooks.view import View

import tensorflow as tf

_MOST_ROWS = 256

# What a way of running gives for chosen windows (K,): the model's output and the tapped layers' outputs, (K · N, …).
Run = Callable[[tf.Tensor], tuple[tf.Tensor | None, dict[str, tf.Tensor]]]


def choose(view: View, index: int, filling: tf.Tensor, windows: Windows, clean, incremental) -> tuple[Run, int]:
    """Return how the model is run on occluded images, and for how many rows at once.

    Raises:
        ValueError: ``incremental`` is True, but the model's graph is not understood.
    """
    output, seen = clean
    targets = list(seen.values()) + ([] if output is None else [output])
    states = state_rows(view.model)  # they are for the images of one window
    rows = 1 if states else rows_at_once(view.inputs)
    if incremental is not False:
        plan = make_plan(view.inputs[index], targets, windows) if len(view.inputs) == 1 else None
        obstacle = "it has several inputs" if plan is None else plan.obstacle
        if incremental is True and obstacle is not None:
            raise ValueError(
                f"incremental=True expects convolutions, poolings and pointwise operations that can be followed, but "
                f'{view.model.name!r} cannot be: {obstacle}. Use incremental="auto", which then runs it whole.'
            )
        if plan is not None and plan.pays:
            partial, whole = (1, 1) if states else plan.largest()
            return _incremental(plan, filling, clean), max(1, min(_MOST_ROWS, rows * whole // partial))
    return _plain(view, index, filling, windows, clean), rows


def each_window(windows: Windows, rows: int, images: tf.Tensor, measure: Callable, step: Callable | None) -> tf.Tensor:
    """Return ``measure(chosen)``, (K, N), of all windows, as (N, rows, columns) in the dtype float32."""
    together = tf.maximum(1, rows // images)
    chunks = (windows.count + together - 1) // together
    found = tf.TensorArray(tf.float32, size=chunks, element_shape=[None, None], infer_shape=False)

    def body(number, found):
        start = number * together
        chosen = tf.range(start, tf.minimum(start + together, windows.count))
        values = tf.ensure_shape(measure(chosen), [None, None])
        if step is not None:
            with tf.control_dependencies([values]):
                told = tf.numpy_function(step, [tf.size(chosen) * images], tf.int32)
            with tf.control_dependencies([told]):
                values = tf.identity(values)
        # The last rows are filled up, because other runtimes stack arrays but do not concatenate them.
        return number + 1, found.write(number, tf.pad(values, [[0, together - tf.size(chosen)], [0, 0]]))

    _, found = tf.while_loop(lambda number, _: number < chunks, body, (tf.constant(0), found), parallel_iterations=1)
    maps = tf.transpose(tf.reshape(found.stack(), [-1, images])[: windows.count])
    return tf.reshape(maps, [-1, *windows.shape])


def _incremental(plan: Plan, filling, clean) -> Run:
    output, seen = clean

    def run(chosen):
        replay = Replay(plan, filling, chosen)
        return (
            None if output is None else replay.whole(output),
            {name: replay.whole(tensor) for name, tensor in seen.items()},
        )

    return run


def _plain(view: View, index: int, filling, windows: Windows, clean) -> Run:
    output, seen = clean

    def run(chosen):
        images = occluded(view.inputs[index], filling, windows, chosen)
        rows = tf.size(chosen)
        inputs = [tf.tile(one, [rows, *[1] * (one.shape.rank - 1)]) for one in view.inputs]
        inputs[index] = tf.reshape(images, [-1, *images.shape[2:]])
        return view.look(inputs, taps=tuple(seen), output=output is not None)

    return run
