"""Time gaze training and prediction: a training step beside a bare Keras ``fit``, its input pipeline, and one image.

    python benchmarks/training.py                     # the full shallow_saliency, batches of 128; about ten minutes
    python benchmarks/training.py --preset small --batch 32 --rounds 3

Rounds of both are interleaved, so that a change in the speed of the machine affects both; the ratio is that of the
medians. The bare ``fit`` gets arrays that are already scaled and Keras's own SGD (Nesterov), which has no coupled
weight decay. ``benchmarks/gaze_data.py`` measures the data alone.
"""

import argparse
import statistics
import time

import numpy as np

import kerasal
from kerasal import gaze, preprocessing, training
from kerasal.training.gaze_step import Steps, make_objective
from kerasal.training.samples import Samples, batches, epoch_order

import keras


def make_samples(count: int) -> Samples:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (count, 96, 96, 3)).astype(np.uint8)
    return Samples(pixels, random.random((count, 48, 48), np.float32), None, [str(i) for i in range(count)])


def kerasal_epoch(model, data: Samples, batch: int):
    optimizer = training.TorchSGD(0.03, momentum=0.9, weight_decay=5e-4)
    optimizer.build(model.trainable_variables)
    steps = Steps(model, optimizer, make_objective({"mse": 1.0}), preprocessing.get("unit"), (48, 48))

    def epoch(number: int) -> tuple[float, float]:
        """Return the seconds per step, and the part of them that is spent waiting for the batch."""
        order, flipped = epoch_order(len(data), "half", 0, number)
        started, waited, mark = time.perf_counter(), 0.0, time.perf_counter()
        for _, *arrays in batches(data, order, flipped, batch):
            waited += time.perf_counter() - mark
            steps.train(*arrays)
            mark = time.perf_counter()
        number_of_steps = -(-len(order) // batch)
        return (time.perf_counter() - started) / number_of_steps, waited / number_of_steps

    return epoch


def bare_fit_epoch(model, data: Samples, batch: int):
    model.compile(keras.optimizers.SGD(0.03, momentum=0.9, nesterov=True), "mse", jit_compile=False)
    inputs = data.pixels.astype(np.float32) / 255

    class Clock(keras.callbacks.Callback):
        """Time only the steps: each call of ``fit`` also sets up its data, which a long training does once."""

        def on_epoch_begin(self, *_, **__):
            self.started = time.perf_counter()

        def on_epoch_end(self, *_, **__):
            self.seconds = time.perf_counter() - self.started

    def epoch(_) -> tuple[float, float]:
        clock = Clock()
        model.fit(inputs, data.density, batch_size=batch, epochs=1, verbose=0, callbacks=[clock])
        return clock.seconds / -(-len(data) // batch), 0.0

    return epoch


def measure_training(preset: str, batch: int, rounds: int, steps: int) -> None:
    data = make_samples(batch * steps)
    runs = {}
    for name, make in (("kerasal", kerasal_epoch), ("bare fit", bare_fit_epoch)):
        runs[name] = make(kerasal.create_model("shallow_saliency", preset=preset), data, batch)
        runs[name](0)  # the first call traces
    times: dict[str, list] = {name: [] for name in runs}
    for number in range(rounds):
        for name in sorted(runs, reverse=number % 2 == 1):
            times[name].append(runs[name](number))
    medians = {name: statistics.median(step for step, _ in values) for name, values in times.items()}
    waiting = statistics.median(wait for _, wait in times["kerasal"])
    print(f"shallow_saliency, preset {preset}, batch {batch}, {rounds} rounds of {steps} steps")
    for name, value in medians.items():
        print(f"  {name:<9} {1000 * value:8.1f} ms per step  {batch / value:8.1f} images/s")
    ratio = medians["kerasal"] / medians["bare fit"]
    print(f"  ratio {ratio:.3f}; waiting for batches {waiting / medians['kerasal']:.2%}")


def measure_prediction(preset: str, rounds: int = 50) -> None:
    predictor = gaze.Predictor(kerasal.create_model("shallow_saliency", preset=preset))
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    times: dict[str, list[float]] = {"raw map": [], "with 640 x 480 map": []}
    for number in range(rounds + 3):
        for name in times:
            started = time.perf_counter()
            raw = next(predictor.raw([image]))
            if name != "raw map":
                gaze.resize_map(raw, (480, 640))
            if number >= 3:
                times[name].append(time.perf_counter() - started)
    for name, seconds in times.items():
        print(f"  one 640 x 480 photo, preset {preset}, {name}: {1000 * statistics.median(seconds):.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="full", choices=("full", "small"))
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6, help="steps per round")
    options = parser.parse_args()
    measure_training(options.preset, options.batch, options.rounds, options.steps)
    measure_prediction("small")


if __name__ == "__main__":
    main()
