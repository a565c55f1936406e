"""Scores of the blocks of a transformer: what follows the last block, applied to the output of each block."""

from collections.abc import Sequence

from kerasal.attribution.attention_gradients import no_attention_of_target
from kerasal.attribution.attention_parts import Chain, read_chains
from kerasal.checks import check_int
from kerasal.hooks.attention_layers import AttentionLayer
from kerasal.hooks.dependencies import cut_tensors, operations_below, reached_inputs
from kerasal.hooks.operations import SHAPES, apply_operation, is_opaque
from kerasal.hooks.view import View
from kerasal.names import count_noun

import tensorflow as tf

_REMEDY = "Pass last_layers=1 for the last attention alone, whose score is that of the model, or use another method."


def read_block_scores(
    view: View, grid: int | tuple[int, ...] | None = None, last_layers: int | None = None
) -> list[tuple[Chain, list[tuple[AttentionLayer, tf.Tensor]]]]:
    """Run the model; return for each input its chain, and each attention with the scores (N,) of its block.

    Args:
        view: the view of the model.
        grid: number of positions along each axis; see ``find_tokens``.
        last_layers: number of last attentions; by default all on which the target depends.

    Raises:
        ValueError: as ``read_chains``; the target depends on no attention, or on fewer than ``last_layers``; or the
            output of a block, or what follows the last block, is not found.
    """
    scores, chains = read_chains(view, grid)
    needed = operations_below([scores], SHAPES)
    pairs = []
    for number, chain in enumerate(chains):
        reached = reached_inputs([view.inputs[number]], needed)
        flow = [op for op in needed if any(tensor.ref() in reached for tensor in op.outputs)]
        layers = [layer for layer in chain.layers if layer.attention.product in flow]
        if not layers:
            raise no_attention_of_target()
        if last_layers is not None:
            remedy = f"The target depends on {count_noun(len(layers), 'attention')}."
            layers = layers[-check_int("last_layers", last_layers, maximum=len(layers), none="None", remedy=remedy) :]
        outputs = _block_outputs(flow, cut_tensors(view.inputs[number], needed), layers) if len(layers) > 1 else []
        parts = [_replay(needed, outputs[-1], output, scores) for output in outputs[:-1]]
        pairs.append((chain, list(zip(layers, [*parts, scores], strict=True))))
    return pairs


def _block_outputs(flow: Sequence[tf.Operation], cuts: set, layers: Sequence[AttentionLayer]) -> list[tf.Tensor]:
    """Return the output of each attention's block.

    It is the last tensor before the next attention that every path from the input to the scores goes through, which
    is what the next block reads. After the last attention it is the tensor at the same place as in the block before,
    whose operations must be the same.

    Args:
        flow: the operations between the input and the scores, in the order in which they run.
        cuts: references of the tensors that every path goes through.
        layers: the attentions, at least two.
    """
    places = {op: place for place, op in enumerate(flow)}
    starts = [places[layer.attention.product] for layer in layers]
    ends, outputs = [], []
    for start, layer, following in zip(starts, layers, layers[1:], strict=False):
        between = range(start + 1, places[following.attention.weights.op])
        end = max((place for place in between if _cut(flow[place], cuts) is not None), default=None)
        if end is None:
            raise _no_single_tensor(f"block of {layer.name!r}", f"that of {following.name!r}")
        ends.append(end)
        outputs.append(_cut(flow[end], cuts))
    length = ends[-1] - starts[-2]
    blocks = [flow[start + 1 :][:length] for start in starts[-2:]]
    if [op.type for op in blocks[0]] != [op.type for op in blocks[1]]:
        raise ValueError(
            f"The blocks of {layers[-2].name!r} and {layers[-1].name!r} must be alike to tell where the last block "
            f"ends, but they differ. {_REMEDY}"
        )
    last = _cut(blocks[1][-1], cuts)
    if last is None or any(not _are_alike(output, last) for output in outputs):
        raise _no_single_tensor(f"block of {layers[-1].name!r}", "the score")
    return [*outputs, last]


def _no_single_tensor(source: str, destination: str) -> ValueError:
    return ValueError(
        f"The model must pass a single tensor from the {source} to {destination} to score each block, but other paths "
        f"lead around it. {_REMEDY}"
    )


def _cut(op: tf.Operation, cuts: set) -> tf.Tensor | None:
    """Return the output of an operation that is among the cuts, or None."""
    return next((tensor for tensor in op.outputs if tensor.ref() in cuts), None)


def _are_alike(first: tf.Tensor, second: tf.Tensor) -> bool:
    shapes = [tensor.shape.as_list() if tensor.shape.rank is not None else None for tensor in (first, second)]
    return first.dtype == second.dtype and shapes[0] == shapes[1] and shapes[0] is not None


def _replay(needed: Sequence[tf.Operation], last: tf.Tensor, output: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
    """Return the scores if the block of ``output`` were the last one, whose output is ``last``.

    Integers that the model computes, such as the index of the top class, stay those of the last block.
    """
    values = {last.ref(): output}
    for op in needed:
        if op.type in SHAPES or not any(tensor.ref() in values for tensor in op.inputs):
            continue
        if is_opaque(op):
            raise ValueError(
                f"The model must compute the score after the last block in its own graph, but operation {op.name!r} "
                f"runs a compiled function or a loop. {_REMEDY}"
            )
        results = apply_operation(op, [values.get(tensor.ref(), tensor) for tensor in op.inputs])
        pairs = zip(op.outputs, results, strict=True)
        values |= {old.ref(): new for old, new in pairs if not old.dtype.is_integer}
    return values[scores.ref()]
