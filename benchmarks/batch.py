"""Time a batch on Ray workers as a multiple of the same batch in one thread.

    python benchmarks/batch.py MODEL.keras PHOTOS/ [--images 500] [--method class_saliency] [--workers 2] [--rounds 3]

*One thread* computes the shards in a process of its own, as ``kerasal batch`` does without workers. The *workers* are
the actors of ``kerasal batch --workers``, with one thread each. All of them load the model and trace it on one shard
before anything is timed: this cost is per batch, not per image, and is printed separately. Both read images, compute
and write Parquet. Rounds are interleaved; the ratio is the median over the rounds of the workers' time divided by the
thread's time in the same round. After every round the script checks that the results are the same bytes.
"""

import argparse
import os
import pathlib
import shutil
import sys
import tempfile
import time
from collections import deque

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
os.environ["PYTHONPATH"] = os.pathsep.join([sys.path[0], os.environ.get("PYTHONPATH", "")])

import numpy as np

from kerasal.batch import pool, run_batch
from kerasal.batch.batch_job import Job
from kerasal.batch.image_list import list_images
from kerasal.batch.shard import plan_shards


class Contender:
    """Workers that have loaded the model, and the folder that they write to."""

    def __init__(self, ray, job, count, output_dir):
        start = time.perf_counter()
        actor = ray.remote(pool.Worker).options(num_cpus=1)
        self.ray, self.output_dir = ray, output_dir
        self.actors = [actor.remote(job, output_dir) for _ in range(count)]
        ray.get([worker.load.remote() for worker in self.actors])
        self.loading = time.perf_counter() - start

    def run(self, shards):
        start = time.perf_counter()
        for _ in pool._distribute(self.ray, self.actors, deque(shards)):
            pass
        return time.perf_counter() - start

    def take_results(self):
        """Return the bytes of all files, and delete them."""
        files = sorted(path for path in self.output_dir.rglob("*") if path.is_file())
        contents = {path.relative_to(self.output_dir): path.read_bytes() for path in files}
        shutil.rmtree(self.output_dir)
        return contents


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("photos", help="a folder of images")
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--method", default="class_saliency")
    parser.add_argument("--preprocessing", default="caffe")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--shard-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    ray = pool.need_ray()
    pool.hide_gpu(1)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        job = Job(
            options.method,
            os.path.abspath(options.model),
            preprocessing=options.preprocessing,
            labels=(),
            shard_size=options.shard_size,
        )
        job = run_batch._open(job, 0).job
        sources = list_images(options.photos, folder)[: options.images]
        shards, _ = plan_shards(sources, {}, options.shard_size)
        ray.init(
            num_cpus=options.workers + 1,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            object_store_memory=100 * 2**20,
            _node_ip_address="127.0.0.1",
        )
        contenders = {
            "one thread": Contender(ray, job, 1, folder / "one"),
            f"{options.workers} workers": Contender(ray, job, options.workers, folder / "several"),
        }
        for contender in contenders.values():
            ray.get([actor.compute.remote(shards[0]) for actor in contender.actors])
            contender.take_results()
        seconds = {name: [] for name in contenders}
        for number in range(options.rounds):
            for name in list(contenders)[:: 1 if number % 2 else -1]:
                seconds[name].append(contenders[name].run(shards))
            first, second = (contender.take_results() for contender in contenders.values())
            if first != second:
                raise SystemExit("The results of the workers differ from those of one thread.")
        ray.shutdown()
    one_thread, workers = seconds.values()
    ratios = np.divide(workers, one_thread)
    print(f"{options.method}, {pathlib.Path(options.model).name}, {len(sources)} images in {len(shards)} shards")
    for name, contender in contenders.items():
        print(f"{name}: median {np.median(seconds[name]):.1f} s, after {contender.loading:.1f} s to start and load")
    print(
        f"ratio: {np.median(ratios):.2f} ({ratios.min():.2f} – {ratios.max():.2f}), {options.rounds} rounds; same bytes"
    )


if __name__ == "__main__":
    main()
