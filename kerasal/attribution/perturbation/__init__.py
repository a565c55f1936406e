"""The perturbation engine: parts of an input are covered at random, and a map is estimated from the scores.

    regions or smooth masks → masked inputs → scores, in batches → sums → map, with its standard error

* ``random_masks``: the smooth masks of RISE. ``partition``: a partition of the input's positions, whose parts are
    covered. ``own_segments``: a partition for each image, which are then run one after another.
* ``masked_scores``: the scores of masked inputs, several at a time.
* ``estimation``: the loop over samples, which adds up sums and may stop early.
* ``coalitions``, ``regression``: which regions are kept in a sample, and linear models of the score.

Occlusion covers windows that overlap, and keeps the loop of ``window_replay``, which ablation shares for blocks: a
window is local, so that a part of the model is enough, and that loop returns runs of the model, in which the top class
or the activation of a layer is measured; this engine returns scores alone. For whole passes both do the same work.

Everything that is random depends on the seed and the number of the sample alone. The loops draw what they need, so that
memory does not grow with the number of samples.
"""
