"""Measure what serving an explanation costs: time relative to the same in process, size on disk, and memory.

    python benchmarks/export.py [--model vgg16] [--rounds 5]

The script prints the time of a served ``class_saliency`` of one 224 × 224 image, as a multiple of the compiled function
and of the public function in the same process, in interleaved rounds. Then it prints the size on disk and the growth of
the peak memory of an export with one signature and of one with five, each in a process of its own.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

FIVE = ["serving_default", "predict_bytes", "class_saliency", "guided_backprop:target=class", "gradcam:on=image"]
_EXPORT = """
import resource, sys, keras, kerasal
model = kerasal.create_model({model!r}) if {model!r} in kerasal.list_models() else getattr(
    keras.applications, {model!r})(weights=None)
model(keras.ops.zeros((1, 224, 224, 3)))
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
kerasal.export(model, {folder!r}, signatures={signatures!r}, preprocessing="caffe", name="exported")
print(model.count_params() * 4 / 2**20, peak() - before)
"""


def build_model(name):
    import kerasal

    import keras

    keras.utils.set_random_seed(0)
    if name in kerasal.list_models():
        return kerasal.create_model(name)
    return getattr(keras.applications, name)(weights=None)


def measure_time(name, rounds, repeats):
    """Print the time of a served map as a multiple of the same in process."""
    import kerasal
    from kerasal import attribution

    import tensorflow as tf

    model = build_model(name)
    x = np.random.default_rng(0).normal(0, 50, (1, 224, 224, 3)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = kerasal.export(model, folder, signatures=["class_saliency"])
        loaded = tf.saved_model.load(path)
        served, compiled = loaded.signatures["class_saliency"], attribution.class_saliency.compiled(model)
        tensor = tf.constant(x)
        runs = {
            "served": lambda: served(inputs=tensor)["map"].numpy(),
            "compiled": lambda: compiled(tensor).numpy(),
            "function": lambda: attribution.class_saliency(model, x),
        }
        maps = {key: run() for key, run in runs.items()}
        times = {key: [] for key in runs}
        for _ in range(rounds):
            for key, run in runs.items():
                run()
                seconds = []
                for _ in range(repeats):
                    start = time.perf_counter()
                    run()
                    seconds.append(time.perf_counter() - start)
                times[key].append(min(seconds))
    same = np.array_equal(maps["served"], maps["function"])
    print(f"{name}: the served map {'has the same bytes as' if same else 'differs from'} the map in process")
    for other in ("compiled", "function"):
        ratios = np.divide(times["served"], times[other])
        print(
            f"{name}: served / {other} {np.median(ratios):.3f} ({ratios.min():.3f} – {ratios.max():.3f}), "
            f"{1000 * np.median(times['served']):.0f} ms"
        )


def measure_size(name):
    """Print the size on disk and the growth of the peak memory of an export with one signature and with five."""
    for signatures in (FIVE[:1], FIVE):
        with tempfile.TemporaryDirectory() as folder:
            code = _EXPORT.format(model=name, folder=folder, signatures=signatures)
            start = time.perf_counter()
            process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            model_size, growth = map(float, process.stdout.split())
            written = sum(path.stat().st_size for path in pathlib.Path(folder).rglob("*") if path.is_file()) / 2**20
            print(
                f"{name}, {len(signatures)} signatures: {written:.0f} MiB on disk, {written / model_size:.3f} × "
                f"the model's {model_size:.0f} MiB; peak memory grows by {growth:.0f} MiB; "
                f"{time.perf_counter() - start:.0f} s"
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="vgg16", help="a model of the zoo, or a class of keras.applications")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    measure_size(arguments.model)
    measure_time(arguments.model, arguments.rounds, arguments.repeats)


if __name__ == "__main__":
    main()
