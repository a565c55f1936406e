"""Run commands in processes of their own, kill them -9 as they open, rename or remove a file, and start them again.

``kill.py QUESTIONS ANSWERS``: both are JSON. Every run is a child that is forked before TensorFlow has computed
anything, so that importing it is paid for once. Which event a run dies at is drawn from those of an undisturbed run.
"""

import json
import os
import pathlib
import random
import signal
import sys

EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree"}


def watch(folder: pathlib.Path, last: int | None) -> list[str]:
    """Record what happens to files below ``folder``, and die at event number ``last``."""
    happened: list[str] = []

    def hook(event, arguments):
        if event not in EVENTS or not arguments or not isinstance(arguments[0], (str, bytes, os.PathLike)):
            return
        if event == "open" and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR):
            return
        path = os.path.abspath(os.fsdecode(arguments[0]))
        if not path.startswith(str(folder)):
            return
        happened.append(f"{event} {path}")
        if len(happened) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return happened


def run(command: list[str], folder: pathlib.Path, last: int | None = None) -> dict:
    """Run a command in a child, in ``folder``; return its exit code, what it said, and its events."""
    folder.mkdir(exist_ok=True)
    said, events = folder.with_suffix(".said"), folder.with_suffix(".events")
    child = os.fork()
    if child == 0:
        code = 99
        try:
            with said.open("w") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            os.chdir(folder)
            happened = watch(folder, last)
            from kerasal.cli import run as start

            try:
                start(command)
            except SystemExit as stop:
                code = stop.code or 0
            events.write_text(json.dumps(happened))
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    found = json.loads(events.read_text()) if code >= 0 and events.is_file() else []
    return {"code": code, "said": said.read_text()[-1500:], "events": found}


def probe(command: list[str], folder: pathlib.Path, draw: random.Random) -> dict:
    """Run a command undisturbed, and again: killed, and then to its end."""
    folder.mkdir()
    whole = run(command, folder / "whole")
    if not whole["events"]:
        return {"whole": whole}
    killed = run(command, folder / "killed", draw.randint(1, len(whole["events"])))
    return {"whole": whole, "killed": killed, "again": run(command, folder / "killed")}


if __name__ == "__main__":
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", COLUMNS="200")
    import keras  # noqa: F401
    import tensorflow  # noqa: F401

    questions = json.loads(pathlib.Path(sys.argv[1]).read_text())
    home, seed = pathlib.Path(questions["folder"]), questions["seed"]
    answers = {
        name: probe(command, home / name.replace(" ", "-"), random.Random(f"{name} {seed}"))
        for name, command in questions["commands"].items()
    }
    pathlib.Path(sys.argv[2]).write_text(json.dumps(answers))
