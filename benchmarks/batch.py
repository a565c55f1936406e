"""What workers give: a batch on Ray against the same batch in one thread, warm, side by side in one run.

    python benchmarks/batch.py MODEL.keras PHOTOS/ [--images 500] [--method class_saliency] [--workers 2] [--rounds 3]

*One thread* makes the shards in a process of its own, as ``kerasal batch`` does without workers; the *workers* are the
actors of ``kerasal batch --workers``, a thread each. All have loaded the model and traced it, on one shard, before
anything is timed: that is paid once a batch, not for an image, and printed apart. Both read, compute and write Parquet.
Rounds are interleaved; the ratio is the median over the rounds of the workers' time divided by the thread's in the same
round. That the results are the same bytes is checked after every round.
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

from kerasal.batch import pool, run
from kerasal.batch.batch_job import Job
from kerasal.batch.image_list import list_images
from kerasal.batch.shard import plan_shards


class Contender:
    """Some warm workers and the folder that they write into."""

    def __init__(self, ray, job, count, out):
        start = time.perf_counter()
        actor = ray.remote(pool.Worker).options(num_cpus=1)
        self.ray, self.out, self.actors = ray, out, [actor.remote(job, out) for _ in range(count)]
        ray.get([one.load.remote() for one in self.actors])
        self.loading = time.perf_counter() - start

    def run(self, shards):
        start = time.perf_counter()
        for _ in pool._distribute(self.ray, self.actors, deque(shards)):
            pass
        return time.perf_counter() - start

    def contents(self):
        files = sorted(path for path in self.out.rglob("*") if path.is_file())
        found = {path.relative_to(self.out): path.read_bytes() for path in files}
        shutil.rmtree(self.out)
        return found


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
    given = parser.parse_args()
    ray = pool.need_ray()
    pool.hide_gpu(1)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        job = Job(
            given.method,
            os.path.abspath(given.model),
            preprocessing=given.preprocessing,
            labels=(),
            shard_size=given.shard_size,
        )
        job = run._open(job, 0).job
        sources = list_images(given.photos, folder)[: given.images]
        shards, _ = plan_shards(sources, {}, given.shard_size)
        ray.init(
            num_cpus=given.workers + 1,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            object_store_memory=100 * 2**20,
            _node_ip_address="127.0.0.1",
        )
        contenders = {
            "one thread": Contender(ray, job, 1, folder / "one"),
            f"{given.workers} workers": Contender(ray, job, given.workers, folder / "several"),
        }
        for one in contenders.values():
            ray.get([actor.make.remote(shards[0]) for actor in one.actors])
            one.contents()
        seconds = {name: [] for name in contenders}
        for number in range(given.rounds):
            for name in list(contenders)[:: 1 if number % 2 else -1]:
                seconds[name].append(contenders[name].run(shards))
            first, second = (one.contents() for one in contenders.values())
            if first != second:
                raise SystemExit("The results are not the same bytes.")
        ray.shutdown()
    alone, several = seconds.values()
    ratios = np.divide(several, alone)
    print(f"{given.method}, {pathlib.Path(given.model).name}, {len(sources)} images in {len(shards)} shards")
    for name, one in contenders.items():
        print(f"{name}: median {np.median(seconds[name]):.1f} s, and {one.loading:.1f} s to start and load, once")
    print(
        f"ratio: {np.median(ratios):.2f} ({ratios.min():.2f} – {ratios.max():.2f}), {given.rounds} rounds; same bytes"
    )


if __name__ == "__main__":
    main()
