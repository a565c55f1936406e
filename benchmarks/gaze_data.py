"""Measure the memory and time to open a coursework pickle, and the speed of its batches.

    python benchmarks/gaze_data.py [--samples 20000] [--kind float64] [--folder DIR]

The script writes a pickle of that many samples to DIR (4.8 GB for 20,000 samples of float64; removed afterwards) and
opens it in a process of its own. Memory is the peak minus that of the imports (from /proc, so on Linux only), also
given as a share of the arrays of the file.
"""

import argparse
import json
import pathlib
import pickle
import subprocess
import sys
import tempfile
import textwrap

import numpy as np

OPEN = """
import json, sys, time
from kerasal.datasets import open_gaze
import kerasal.datasets.coursework_files

def peak():  # ru_maxrss would include the peak of the parent process
    lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(lines["VmHWM"].split()[0]) * 1024

before, start = peak(), time.perf_counter()
data = open_gaze(sys.argv[1])
print(json.dumps({"seconds": time.perf_counter() - start, "bytes": peak() - before, "images": len(data)}))
"""

BATCHES = """
import json, sys, time
from kerasal.datasets import open_gaze

data = open_gaze(sys.argv[1])
start = time.perf_counter()
batches = data.to_tf_data((96, 96), (48, 48), batch=128, shuffle=True, augment=True, preprocessing="unit")
ready = time.perf_counter() - start
for _ in batches:
    pass
start = time.perf_counter()
for _ in batches:
    pass
print(json.dumps({"ready": ready, "rate": len(data) / (time.perf_counter() - start)}))
"""


def write_pickle(path: pathlib.Path, samples: int, kind: str) -> int:
    """Write a pickle in the format of the coursework. Return the size of its arrays in bytes."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (64, 3, 96, 96)) / 255
    maps = random.random((64, 48, 48))
    size = 0
    with path.open("wb") as file:
        file.write(b"\x80\x03]")  # a list, to which samples are appended one by one, so that memory holds only one
        for index in range(samples):
            sample = {"X": images[index % 64].astype(kind), "y": maps[index % 64].astype(kind)}
            size += sum(array.nbytes for array in sample.values())
            file.write(pickle.dumps(sample | {"file_name": f"{index:05d}"}, protocol=3)[2:-1] + b"a")
        file.write(b".")
    return size


def run(code: str, path: pathlib.Path) -> dict:
    command = [sys.executable, "-c", textwrap.dedent(code), str(path)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--kind", choices=("float32", "float64", "uint8"), default="float64")
    parser.add_argument("--folder", type=pathlib.Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = pathlib.Path(folder) / "train.pkl"
        size = write_pickle(path, options.samples, options.kind)
        opened, batches = run(OPEN, path), run(BATCHES, path)
    print(f"{opened['images']:,} samples, arrays of {size / 2**20:,.0f} MiB ({options.kind})")
    used = opened["bytes"]
    print(f"opened in {opened['seconds']:.1f} s with {used / 2**20:,.0f} MiB, {used / size:.2f} of the arrays")
    print(f"batches ready in {batches['ready']:.1f} s, then {batches['rate']:,.0f} shuffled and mirrored images/s")


if __name__ == "__main__":
    main()
