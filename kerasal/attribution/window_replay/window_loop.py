"""The loop over all windows of a batch, several at a time: how the model is run, and what is measured."""

import functools
from collections.abc import Callable

from kerasal.attribution.graph_bar import advance_bar
from kerasal.attribution.window_replay.replay import Replay
from kerasal.attribution.window_replay.replay_plan import Plan, make_plan
from kerasal.attribution.window_replay.windows import Windows, occlude
from kerasal.hooks.model_inputs import chunk_size
from kerasal.hooks.state import state_rows
from kerasal.hooks.view import Run, View
from kerasal.objectives.expression import functions_of
from kerasal.objectives.formulas import top_classes

import tensorflow as tf

_MOST_ROWS = 256

# Maps the indices of some windows (K,) to the model's run on K · N occluded images.
Runner = Callable[[tf.Tensor], Run]


def choose_runner(
    view: View, index: int, filling: tf.Tensor, windows: Windows, clean: Run, incremental
) -> tuple[Runner, int]:
    """Return a function that runs the model on occluded images, and the number of images to run at once.

    Raises:
        ValueError: ``incremental`` is True, but the model's graph does not allow a partial recomputation.
    """
    targets = list(clean.layers.values()) + ([] if clean.output is None else [clean.output])
    states = state_rows(view.model)  # recurrent states fit the images of a single window
    rows = 1 if states else chunk_size(view.inputs)
    if incremental is not False:
        is_image = len(windows.sizes) == 2
        several = len(view.inputs) > 1 or view.held.tensors
        by_name = bool(clean.outputs.returned)
        plan = None if several or by_name or not is_image else make_plan(view.inputs[index], targets, windows)
        obstacle = plan.obstacle if plan is not None else "the model has several inputs"
        obstacle = "the target reads outputs by name" if by_name else obstacle
        obstacle = obstacle if is_image else "its input is not an image"
        if incremental is True and obstacle is not None:
            raise ValueError(
                "incremental=True needs a model of two-dimensional convolutions, poolings and pointwise operations, "
                f'got {view.model.name!r}: {obstacle}. Use incremental="auto", which runs the whole model where needed.'
            )
        if plan is not None and plan.is_faster:
            partial, whole = (1, 1) if states else plan.largest()
            rows = max(1, min(_MOST_ROWS, rows * whole // partial))
            return functools.partial(_run_incrementally, plan, filling, clean), rows
    return functools.partial(_run_whole, view, index, filling, windows, clean), rows


def map_windows(windows: Windows, rows: int, images: tf.Tensor, measure: Callable, bar: bool) -> tf.Tensor:
    """Return the values of ``measure(indices) -> (K, N)`` for all windows, as float32 maps (N, *windows.shape).

    ``bar`` moves the progress bar that is shown.
    """
    chunk = tf.maximum(1, rows // images)
    chunks = (windows.count + chunk - 1) // chunk
    results = tf.TensorArray(tf.float32, size=chunks, element_shape=[None, None], infer_shape=False)

    def body(number, results):
        start = number * chunk
        indices = tf.range(start, tf.minimum(start + chunk, windows.count))
        values = tf.ensure_shape(measure(indices), [None, None])
        if bar:
            values = advance_bar(values, tf.size(indices) * images)
        # The last chunk is padded to full size, because other runtimes stack arrays but do not concatenate them.
        return number + 1, results.write(number, tf.pad(values, [[0, chunk - tf.size(indices)], [0, 0]]))

    _, results = tf.while_loop(
        lambda number, _: number < chunks, body, (tf.constant(0), results), parallel_iterations=1
    )
    maps = tf.transpose(tf.reshape(results.stack(), [-1, images])[: windows.count])
    return tf.reshape(maps, [-1, *windows.shape])


def _run_incrementally(plan: Plan, filling, clean: Run, indices) -> Run:
    replay = Replay(plan, filling, indices)
    output = None if clean.output is None else replay.whole(clean.output)
    layers = {name: replay.whole(tensor) for name, tensor in clean.layers.items()}
    return Run(output, layers, tf.size(indices) * clean.rows, ranking=output)


def _run_whole(view: View, index: int, filling, windows: Windows, clean: Run, indices) -> Run:
    images = occlude(view.inputs[index], filling, windows, indices)
    rows = tf.size(indices)
    inputs = [tf.tile(x, [rows, *[1] * (x.shape.rank - 1)]) for x in view.inputs]
    inputs[index] = tf.reshape(images, [-1, *images.shape[2:]])
    by_name = bool(clean.outputs.returned)
    return view.run(inputs, taps=tuple(clean.layers), output=None if by_name else clean.output is not None)


def score_drop(view: View, clean: Run):
    """Return a function of a run with K windows: the score of the clean image minus that of the occluded one, (K, N).

    Each image's top class is that of the clean image. A target that is a Python function is called
    separately for each window, because it may contain a value per image.
    """
    clean_scores, pinned = view.score(clean), view.pin(clean)
    if functions_of(view.structure):

        def score_window(tensors):
            # Some functions loop over the images in Python, which needs the static number of clean images.
            rows = None if clean.output is None else clean.output.shape[0]
            output = tensors["output"].get("")
            if output is not None:
                output = tf.ensure_shape(output, [rows, *output.shape[1:]])
            outputs = pinned.name_outputs(tensors["values"], tensors["returned"])
            return pinned.score(Run(output, tensors["layers"], clean.rows, ranking=output, outputs=outputs))

        def scores(run, windows):
            output = {} if run.output is None else {"": run.output}
            tensors = {"layers": run.layers, "output": output}
            tensors |= {"returned": dict(run.outputs.returned), "values": dict(run.outputs.values)}
            by_window = tf.nest.map_structure(lambda x: tf.reshape(x, [windows, clean.rows, *_sizes(x)]), tensors)
            return tf.map_fn(score_window, by_window, fn_output_signature=tf.float32)

        return lambda run, windows: clean_scores[tf.newaxis] - scores(run, windows)
    return lambda run, windows: (
        clean_scores[tf.newaxis] - tf.reshape(pinned.repeat(windows).score(run), [windows, clean.rows])
    )


def top_class(view: View, clean: Run):
    """Return a function of a run with K windows: the index of the class with the highest score, (K, N)."""

    def classes(run, windows):
        numbers = top_classes(view.layout.last(None, run.output))
        return tf.reshape(tf.cast(numbers, tf.float32), [windows, clean.rows])

    return classes


def strongest_map(view: View, clean: Run, layer: str):
    """Return a function of a run with K windows: the total activation of the layer's strongest channel, (K, N).

    The strongest channel of an image is that with the largest total activation for the clean image.

    Raises:
        ValueError: the layer's output has no channels with positions.
    """
    clean_maps = view.layout.last(layer, clean.layers[layer])
    if clean_maps.shape.rank is None or clean_maps.shape.rank < 3:
        raise ValueError(
            f"layer must have an output (N, …, C) with positions, got {layer!r} with output {clean_maps.shape}."
        )

    def totals(tensor):
        return tf.reduce_sum(tf.cast(tensor, tf.float32), axis=list(range(1, tensor.shape.rank - 1)))

    strongest = tf.argmax(totals(clean_maps), axis=-1)

    def total(run, windows):
        activations = totals(view.layout.last(layer, run.layers[layer]))
        return tf.reshape(tf.gather(activations, tf.tile(strongest, [windows]), batch_dims=1), [windows, clean.rows])

    return total


def _sizes(tensor: tf.Tensor) -> list:
    static, dynamic = tensor.shape[1:].as_list(), tf.shape(tensor)[1:]
    return [dynamic[i] if size is None else size for i, size in enumerate(static)]
