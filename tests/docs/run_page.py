"""Run the blocks of one page, in order and in one process: ``python run_page.py PAGE FOLDER REPORT.json``.

Python blocks share their names, commands of kerasal run in this process, and other shell lines in a shell. Each block
may use what those before it wrote; a section of the README starts in a folder of its own, as its readers do.
"""

import importlib
import json
import os
import pathlib
import shlex
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import page_blocks as blocks
import page_needs as needs
import page_workplace as workplace

TAKEN_FOR_GRANTED = """
import keras, kerasal, numpy as np, tensorflow as tf
from kerasal import attribution, images
photograph = images.read(workplace.PHOTOGRAPHS[0])
model, tuned = workplace.small_net(0), workplace.small_net(1)
inputs = np.random.default_rng(0).normal(0, 50, (1, 224, 224, 3)).astype(np.float32)
saliency_map = np.hypot(*np.meshgrid(np.linspace(-1, 1, photograph.shape[1]), np.linspace(-1, 1, photograph.shape[0])))
saliency_map = np.exp(-4 * saliency_map**2)
fixations = np.random.default_rng(0).integers(20, 200, (30, 2))
densities = [saliency_map] * 3
maps = [saliency_map + np.random.default_rng(i).random(saliency_map.shape) for i in range(3)]
fixation_maps = [np.random.default_rng(i).random(saliency_map.shape) > 0.999 for i in range(3)]
train_data = test_data = np.random.default_rng(0).random((16, 8, 8, 3), np.float32), np.arange(16) % 2

def build(filters=4):
    layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(filters, 3), keras.layers.Flatten()]
    return keras.Sequential([*layers, keras.layers.Dense(2, activation="softmax")])

def build_narrow():
    return build(2)
"""

# A data set to fit that model with, where fit is what the section shows.
FITTED = """
model.compile("sgd", "sparse_categorical_crossentropy")
train_data = tf.data.Dataset.from_tensors((inputs / 100, [3]))
"""


def main(page: str, folder: str, written: str) -> None:
    """Run them all; the first that fails ends this with its place and its error."""
    path = pathlib.Path(page)
    names, section, work = {"__name__": "page"}, None, pathlib.Path(folder)
    report = []
    if "maximize" in path.read_text(encoding="utf-8"):
        shorten()
    for block in blocks.read(path):
        if path.name == "README.md" and block.section != section:
            section, work = block.section, pathlib.Path(folder) / f"{len(report)}"
        if block.language not in ("python", "sh"):
            continue
        missing = next(filter(None, map(needs.reason, block.needs)), None)
        if missing:
            report.append({"block": str(block), "left out": missing})
            continue
        work.mkdir(exist_ok=True, parents=True)
        os.chdir(work)
        sys.path[:0] = [str(work)] * (str(work) not in sys.path)
        started = time.monotonic()
        workplace.prepare(work, block.code)
        for need in [*block.needs, *([f"package {block.example.stem}"] if block.example else [])]:
            workplace.link(work, need)
        try:
            run_python(block, names, path) if block.language == "python" else run_shell(block.code, work)
        except BaseException as error:
            error.add_note(f"in the block at {block}")
            raise
        report.append({"block": str(block), "seconds": round(time.monotonic() - started, 1)})
    pathlib.Path(written).write_text(json.dumps(report, indent=1))


def shorten() -> None:
    """Let ascents take three steps: whether a page is right does not depend on how far they get."""
    os.environ["TF_KERAS_VIS_MAX_STEPS"] = "3"
    from kerasal.maximization.recipe import PRESETS

    for preset in PRESETS.values():
        preset["steps"] = 3


def run_python(block, names, path) -> None:
    """Execute a block among the names of those before it; of a file that a page shows, import it."""
    if block.example:
        importlib.import_module(block.example.stem)
        return
    if path.name == "README.md" and (names.get("section") != block.section or "model.fit(" in block.code):
        names |= {"section": block.section, "workplace": workplace}
        exec(TAKEN_FOR_GRANTED + (FITTED if "model.fit(" in block.code else ""), names)
    code = "\n" * block.line + block.code
    exec(compile(code, str(block.path), "exec"), names)


def run_shell(code: str, work: pathlib.Path) -> None:
    """Run a block of commands: those of kerasal here, which saves starting TensorFlow for each."""
    lines = [line for line in code.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]
    # A batch holds TensorFlow to one thread, which it can do only in a process that has computed nothing.
    if all(line.startswith("kerasal ") and not line.startswith("kerasal batch") for line in lines):
        for line in lines:
            command(shlex.split(line, comments=True)[1:])
        return
    programs = work / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "kerasal").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m kerasal "$@"\n')
    (programs / "kerasal").chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(blocks.ROOT)}
    subprocess.run(["bash", "-euo", "pipefail", "-c", code], check=True, env=environment)


def command(arguments: list[str]) -> None:
    """Run one command of kerasal, of an atlas a small sample; anything but exit code 0 is an error."""
    from kerasal.cli import run

    if arguments[0] == "atlas":
        arguments = [*arguments, "--budget", "1s", "--channels", "2", "--image-pages", "1"]
    try:
        run([*arguments, "--traceback"])
    except SystemExit as stop:
        if stop.code:
            raise RuntimeError(f"kerasal {shlex.join(arguments)} ended with exit code {stop.code}") from None


if __name__ == "__main__":
    main(*sys.argv[1:])
