"""All windows of a batch of images, some at a time: how the model is run, and what is read off it."""

import functools
from collections.abc import Callable

from kerasal.attribution.window_replay.replay import Replay
from kerasal.attribution.window_replay.replay_plan import Plan, make_plan
from kerasal.attribution.window_replay.windows import Windows, occluded
from kerasal.hooks.model_inputs import chunk_size
from kerasal.hooks.state import state_rows
from kerasal.hooks.view import Run, View
from kerasal.objectives.expression import walk
from kerasal.objectives.formulas import top_classes

import tensorflow as tf

_MOST_ROWS = 256

# A way of running: what the model gives for chosen windows (K,), as a run of K · N images.
Runner = Callable[[tf.Tensor], Run]


def choose(view: View, index: int, filling: tf.Tensor, windows: Windows, clean: Run, incremental) -> tuple[Runner, int]:
    """Return how the model is run on occluded images, and for how many rows at once.

    Raises:
        ValueError: ``incremental`` is True, but the model's graph is not understood.
    """
    targets = list(clean.layers.values()) + ([] if clean.output is None else [clean.output])
    states = state_rows(view.model)  # they are for the images of one window
    rows = 1 if states else chunk_size(view.inputs)
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
            rows = max(1, min(_MOST_ROWS, rows * whole // partial))
            return functools.partial(_run_parts, plan, filling, clean), rows
    return functools.partial(_run_whole, view, index, filling, windows, clean), rows


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


def _run_parts(plan: Plan, filling, clean: Run, chosen) -> Run:
    replay = Replay(plan, filling, chosen)
    output = None if clean.output is None else replay.whole(clean.output)
    layers = {name: replay.whole(tensor) for name, tensor in clean.layers.items()}
    return Run(output, layers, tf.size(chosen) * clean.rows, ranking=output)


def _run_whole(view: View, index: int, filling, windows: Windows, clean: Run, chosen) -> Run:
    images = occluded(view.inputs[index], filling, windows, chosen)
    rows = tf.size(chosen)
    inputs = [tf.tile(one, [rows, *[1] * (one.shape.rank - 1)]) for one in view.inputs]
    inputs[index] = tf.reshape(images, [-1, *images.shape[2:]])
    return view.run(inputs, taps=tuple(clean.layers), output=clean.output is not None)


def score_drop(view: View, clean: Run):
    """Return the function of (run, K) that gives score(clean) - score(occluded), (K, N).

    Each image's top class is that of the clean image. A function of the user's is called for one window at a time,
    since it may hold something of each image.
    """
    before, pinned = view.score(clean), view.pin(clean)
    if any(node[0] == "callable" for node in walk(view.structure)):

        def one_window(tensors):
            output = tensors.get("output")
            # Some functions loop over the images, whose number is known of the clean ones.
            if output is not None and clean.output is not None:
                output = tf.ensure_shape(output, [clean.output.shape[0], *output.shape[1:]])
            return pinned.score(Run(output, tensors["layers"], clean.rows, ranking=output))

        def under(run, windows):
            tensors = {"layers": run.layers} | ({} if run.output is None else {"output": run.output})
            apart = tf.nest.map_structure(lambda x: tf.reshape(x, [windows, clean.rows, *_sizes(x)]), tensors)
            return tf.map_fn(one_window, apart, fn_output_signature=tf.float32)

        return lambda run, windows: before[tf.newaxis] - under(run, windows)
    return lambda run, windows: (
        before[tf.newaxis] - tf.reshape(pinned.repeat(windows).score(run), [windows, clean.rows])
    )


def top_class(view: View, clean: Run):
    """Return the function of (run, K) that gives the class with the highest score, (K, N)."""

    def classes(run, windows):
        numbers = top_classes(view.layout.last(None, run.output))
        return tf.reshape(tf.cast(numbers, tf.float32), [windows, clean.rows])

    return classes


def strongest_map(view: View, clean: Run, layer: str):
    """Return the function of (run, K) that gives the total of the layer's strongest map, (K, N).

    The strongest map is, for each image, the channel with the largest total over the clean image.

    Raises:
        ValueError: the layer's output has no maps.
    """
    before = view.layout.last(layer, clean.layers[layer])
    if before.shape.rank is None or before.shape.rank < 3:
        raise ValueError(f"layer {layer!r} has no maps: expected an output (N, h, w, C). Received {before.shape}.")

    def totals(tensor):
        return tf.reduce_sum(tf.cast(tensor, tf.float32), axis=list(range(1, tensor.shape.rank - 1)))

    strongest = tf.argmax(totals(before), axis=-1)

    def total(run, windows):
        under = totals(view.layout.last(layer, run.layers[layer]))
        return tf.reshape(tf.gather(under, tf.tile(strongest, [windows]), batch_dims=1), [windows, clean.rows])

    return total


def _sizes(tensor: tf.Tensor) -> list:
    static, dynamic = tensor.shape[1:].as_list(), tf.shape(tensor)[1:]
    return [dynamic[i] if size is None else size for i, size in enumerate(static)]
