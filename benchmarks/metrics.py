"""Time the gaze metrics of kerasal, pysaliency, a Python port and the Matlab code, in one interleaved run.

    python benchmarks/metrics.py --pysaliency VENV/bin/python --port PORT.py --matlab code_forMetrics

Every peer is optional. ``--pysaliency`` is a Python interpreter with pysaliency (pip install pysaliency 'numpy<2.4'; if
it has no torch, pysaliency's wrappers of DeepGaze are left out). ``--port`` is a file with the functions of a Python
port of the Matlab code (herrlich10/saliency, benchmark/metrics.py), which the same interpreter runs. ``--matlab`` is a
folder with the Matlab code (cvzoya/saliency), which ``octave`` runs; a file EMD_without_solver.m in it, which is EMD.m
without its compiled solver, gives a lower bound for EMD.

The input is a 640 x 480 float64 map with 80 fixations, and a pool of 800 other fixations. In every round each contender
runs every metric in turn. Each number is the median over the rounds of the median of a few whole calls, including the
checks of the arguments, in milliseconds, with one thread each.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import numpy as np
from metric_peers import OCTAVE, floor_calls, kerasal_calls, port_calls, pysaliency_calls


def make_inputs(height: int, width: int, fixations: int = 80) -> dict[str, np.ndarray]:
    """Return a smooth map with a center bias and noise, fixations drawn from it, and a density."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[0 : 1 : 1j * height, 0 : 1 : 1j * width]
    saliency = np.exp(-((x - 0.5) ** 2 + (y - 0.5) ** 2) / 0.1)
    for _ in range(8):
        saliency += random.random() * np.exp(-((x - random.random()) ** 2 + (y - random.random()) ** 2) / 0.01)
    saliency += 0.02 * random.random((height, width))
    places = random.choice(saliency.size, fixations, replace=False, p=saliency.ravel() / saliency.sum())
    pool = random.choice(saliency.size, 10 * fixations, replace=False, p=saliency.ravel() / saliency.sum())
    maps = np.zeros((2, saliency.size), np.uint8)
    maps[0, places], maps[1, pool] = 1, 1
    points, others = (np.stack([p % width, p // width], axis=1) for p in (places, pool))
    density = sum(np.exp(-((x * width - a) ** 2 + (y * height - b) ** 2) / (2 * 19**2)) for a, b in points[:20])
    shape = (height, width)
    return {
        "saliency": saliency,
        "density": density,
        "fixations": maps[0].reshape(shape),
        "others": maps[1].reshape(shape),
        "points": points,
        "pool": others,
    }


def measure(call, calls: int) -> tuple[float, float]:
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        value = call()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times), float(np.max(value))


def serve(calls_by_name: dict, calls: int) -> None:
    for call in calls_by_name.values():  # the first call compiles
        call()
    print(" ".join(name.replace(" ", "_") for name in calls_by_name), flush=True)
    for line in sys.stdin:
        print(*measure(calls_by_name[line.strip()], calls), flush=True)


class Peer:
    """A contender in a process of its own, which times the metrics whose names it gets."""

    def __init__(self, command: list[str], names: list[str] | None = None):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.end = "\n" if names is None else "\n\n"
        self.names = names or [n.replace("_", " ") for n in self.process.stdout.readline().split()]

    def time(self, name: str) -> tuple[float, float]:
        self.process.stdin.write(name + self.end)
        self.process.stdin.flush()
        milliseconds, value = self.process.stdout.readline().split()
        return float(milliseconds), float(value)


def contenders(options, folder: pathlib.Path, data: dict) -> dict[str, Peer]:
    from scipy.io import savemat

    np.savez(folder / "data.npz", **data)
    savemat(folder / "data.mat", data)

    def python(executable: str, kind: str, *more: str) -> Peer:
        return Peer(
            [executable, __file__, "--serve", kind, str(folder / "data.npz"), "--calls", str(options.calls), *more]
        )

    peers = {"kerasal": python(sys.executable, "kerasal")}
    if options.pysaliency:
        peers["pysaliency"] = python(options.pysaliency, "pysaliency")
        if options.port:
            peers["port"] = python(options.pysaliency, "port", "--port", options.port)
    if options.matlab:
        script = folder / "serve.m"
        script.write_text(OCTAVE.format(folder=options.matlab, data=folder / "data.mat", calls=options.calls))
        names = ["judd", "borji", "shuffled", "nss", "cc", "sim", "kld", "ig"]
        names += ["emd"] if (pathlib.Path(options.matlab) / "EMD_without_solver.m").exists() else []
        peers["Octave"] = Peer(["octave", "--no-gui", "--quiet", "--norc", str(script)], names)
    peers["floor"] = python(sys.executable, "floor")
    return peers


def compare(options) -> None:
    with tempfile.TemporaryDirectory() as folder:
        peers = contenders(options, pathlib.Path(folder), make_inputs(480, 640))
        names = peers["kerasal"].names
        times: dict[tuple[str, str], list[float]] = {}
        values: dict[tuple[str, str], float] = {}
        for _ in range(options.rounds):
            for name in [*names, *peers["floor"].names]:
                for peer, server in peers.items():
                    if name in server.names:
                        milliseconds, values[peer, name] = server.time(name)
                        times.setdefault((peer, name), []).append(milliseconds)
        for server in peers.values():
            server.process.stdin.close()
    median = {key: statistics.median(milliseconds) for key, milliseconds in times.items()}
    columns = [peer for peer in peers if peer not in ("floor", "kerasal")]
    print(
        f"| metric | kerasal ms | {' | '.join(f'{peer} ms' for peer in columns)} "
        "| fastest peer / kerasal | largest difference |"
    )
    print(f"|---|---|{'---|' * len(columns)}---|---|")
    for name in names:
        kerasal_ms = median["kerasal", name]
        others = [median[peer, name] for peer in columns if (peer, name) in median]
        cells = [f"{median[peer, name]:.2f}" if (peer, name) in median else "–" for peer in columns]
        differences = [abs(values["kerasal", name] - values[peer, name]) for peer in columns if (peer, name) in values]
        ratio = f"{min(others) / kerasal_ms:.1f}×" if others else "–"
        largest = max(differences, default=float("nan"))
        print(f"| {name} | {kerasal_ms:.2f} | {' | '.join(cells)} | {ratio} | {largest:.1g} |")
    for name in peers["floor"].names:
        print(f"floor: {name}: {median['floor', name]:.2f} ms")


def compare_sizes() -> None:
    sizes = [(274, 365), (480, 640), (866, 1155), (1500, 2000), (2739, 3651)]
    print(f"| metric | {' | '.join(f'{h * w / 1e6:.1f} MP' for h, w in sizes)} |")
    print(f"|---|{'---|' * len(sizes)}")
    rows: dict[str, list[str]] = {}
    for height, width in sizes:
        for name, call in kerasal_calls(make_inputs(height, width)).items():
            if name != "emd":
                call()
                rows.setdefault(name, []).append(f"{measure(call, 5)[0] * 1e6 / (height * width):.1f}")
    for name, cells in rows.items():
        print(f"| {name} | {' | '.join(cells)} |")
    print("(nanoseconds per pixel; shuffled AUCs use only the pool, after one pass for the minimum and maximum)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pysaliency")
    parser.add_argument("--port")
    parser.add_argument("--matlab")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=7)
    parser.add_argument("--scaling", action="store_true", help="measure only the cost from 0.1 to 10 megapixels")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        kind, file = options.serve
        data = dict(np.load(file))
        makers = {"kerasal": kerasal_calls, "pysaliency": pysaliency_calls, "floor": floor_calls}
        serve(port_calls(data, options.port) if kind == "port" else makers[kind](data), options.calls)
    elif options.scaling:
        compare_sizes()
    else:
        compare(options)


if __name__ == "__main__":
    main()
