"""Measure what a covered window leaves unchanged in a transformer, which occlusion in parts could reuse.

    python benchmarks/changed_tokens.py PATH/dinov2_small.py [--rounds 21] [--window 32] [--swin]

The file defines ``dinov2_small(image_size)``, a vision transformer of Keras layers. The first line is the time of its
patch embedding as a share of a forward pass, both compiled, one after the other in each round; it is the median of the
shares of the rounds. The second line is the processor time of occlusion for four windows, which computes the patch
embedding in parts, beside that of the whole model for each window, with a third of the rounds. The table has the share
of tokens that change after the patch embedding and after each block, as the mean over nine windows. ``--swin`` measures
the tokens of a Swin-T with random weights as well, which needs keras-hub.
"""

import argparse
import importlib.util
import time

import numpy as np

from kerasal import attribution, hooks

import keras
import tensorflow as tf

SIDE = 224


def make_transformer(path):
    """Return the transformer of a file."""
    spec = importlib.util.spec_from_file_location("transformer", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.dinov2_small((SIDE, SIDE))


def make_swin():
    """Return a Swin-T with random weights: 2, 2, 6 and 2 blocks over 56, 28, 14 and 7 positions per side."""
    import keras_hub

    keras.utils.set_random_seed(0)
    return keras_hub.models.SwinTransformerBackbone((SIDE, SIDE, 3), 96, [2, 2, 6, 2], [3, 6, 12, 24], 7)


def embedding_share(model, images, rounds):
    """Return the time of the patch embedding and of a forward pass in seconds, and the share of the former."""
    signature = [tf.TensorSpec((None, SIDE, SIDE, 3))]
    parts = [keras.Model(model.input, model.get_layer("tokens").output), model]
    runs = [
        tf.function(lambda x, part=part: part(x, training=False), input_signature=signature).get_concrete_function()
        for part in parts
    ]
    return compare([lambda run=run: run(tf.constant(images)).numpy() for run in runs], rounds)


def occlusion_times(model, images, rounds, window):
    """Return the processor times of occlusion in parts and of whole models for four windows, and their ratio."""
    model = keras.Model(model.input, keras.layers.Dense(3)(model.output[:, 0]))
    options = {"window": window, "stride": SIDE - window}

    def occlude(incremental):
        return lambda: attribution.occlusion(model, images, 0, incremental=incremental, **options)

    return compare([occlude(True), occlude(False)], rounds, time.process_time)


def compare(runs, rounds, clock=time.perf_counter):
    """Return the median times of two runs, interleaved, and the median of the ratios of the first to the second."""
    times = []
    for number in range(rounds + 1):  # the first round is left out
        pair = [0.0, 0.0]
        for index in (0, 1) if number % 2 else (1, 0):
            start = clock()
            runs[index]()
            pair[index] = clock() - start
        times.append(pair)
    times = np.array(times[1:])
    return *np.median(times, axis=0), np.median(times[:, 0] / times[:, 1])


def changed_tokens(model, names, window):
    """Return for each layer the share of its tokens that a covered window changes, as the mean over nine windows."""
    image = np.random.default_rng(0).normal(size=(1, SIDE, SIDE, 3)).astype(np.float32)
    images = np.repeat(image, 10, axis=0)
    starts = np.linspace(0, SIDE - window, 5).astype(int)[1:-1]
    for number, (top, left) in enumerate((top, left) for top in starts for left in starts):
        images[1 + number, top : top + window, left : left + window] = 0
    shares = {}
    for name, outputs in hooks.activations(model, names, images, batch_size=10).items():
        outputs = outputs.reshape(10, -1, outputs.shape[-1])
        difference = np.abs(outputs[1:] - outputs[:1]).max(axis=-1)
        shares[name] = (difference > 1e-6 * np.abs(outputs).max()).mean()
    return shares


def block_paths(model):
    """Return the paths of the blocks of a Swin model, in their order."""
    return [path for path, layer in hooks.paths.layers(model) if type(layer).__name__ == "SwinTransformerBlock"]


def main():
    """Print the share of the patch embedding, the times of occlusion, and the shares of tokens that change."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="the file that defines dinov2_small")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--window", type=int, default=32, help="side of the covered window in pixels")
    parser.add_argument("--swin", action="store_true", help="measure a Swin-T, too")
    arguments = parser.parse_args()
    model = make_transformer(arguments.model)
    image = np.random.default_rng(0).normal(size=(1, SIDE, SIDE, 3)).astype(np.float32)
    embedding, forward, share = embedding_share(model, image, arguments.rounds)
    print(f"patch embedding {embedding:.4f} s, forward pass {forward:.3f} s, share {share:.2%}")
    parts, whole, ratio = occlusion_times(model, image, -(-arguments.rounds // 3), arguments.window)
    print(f"occlusion of four windows: in parts {parts:.2f} s, whole {whole:.2f} s, ratio {ratio:.2f}")
    print("| after | tokens changed |\n|---|---|")
    names = ["tokens", *[f"block{number}_add2" for number in range(12)]]
    tables = [changed_tokens(model, names, arguments.window)]
    if arguments.swin:
        swin = make_swin()
        paths = block_paths(swin)
        tables.append(changed_tokens(swin, ["patch_embedding", *paths], arguments.window))
    for table in tables:
        for name, value in table.items():
            print(f"| {name} | {value:.1%} |")
    if arguments.swin:
        print(f"Swin-T, mean over blocks: {np.mean([tables[1][path] for path in paths]):.1%}")


if __name__ == "__main__":
    main()
