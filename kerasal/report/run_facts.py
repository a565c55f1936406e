"""What the folder of a training run records: the settings in run.json, and the history."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import pandas as pd

from kerasal.store import read_json
from kerasal.training.results import STEPS
from kerasal.training.run_folder import HISTORY
from kerasal.training.run_record import RUN

_GROUPS = {
    "Training": ("recipe", "training", "center_bias", "sigma"),
    "Model": (
        "model",
        "options",
        "weights",
        "start",
        "architecture",
        "preprocessing",
        "size",
        "map_size",
        "target_range",
        "labels",
    ),
    "Data": ("data", "split", "skipped"),
    "Versions": ("versions",),
    "Machine and time": ("machine", "started", "ended"),
}
_REPEATED = {"net", "task", "model_file", "command", "sessions"}  # shown elsewhere on the page
_LABELS = {
    "how": "split",
    "source": "source of the recipe",
    "start": "starting weights",
    "gpus": "GPUs",
    "cpu_cores": "CPU cores",
}
_LONGEST = 20  # most entries of a list


@dataclasses.dataclass(frozen=True)
class RunFacts:
    """The records of a run.

    Attributes:
        folder: the folder of the run.
        facts: the content of run.json; runs of older versions have only the names, labels and sizes of the model.
        history: one row per epoch.
        steps: one row per batch, of a gaze run.
    """

    folder: pathlib.Path
    facts: Mapping[str, Any]
    history: pd.DataFrame
    steps: pd.DataFrame | None

    @property
    def is_gaze(self) -> bool:
        """Whether the run trained a gaze model."""
        return self.facts.get("task") != "classification"

    def part(self, name: str) -> Mapping[str, Any]:
        """Return the record of a part of the data, such as ``"test"``: images, classes and digest; {} if unknown."""
        return (self.facts.get("split") or {}).get(name) or {}

    def settings(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """Return all settings as groups of names and values."""
        groups = []
        for title, keys in _GROUPS.items():
            rows = [row for key in keys if key in self.facts for row in _flatten(key, self.facts[key], top=True)]
            groups += [(title, rows)] if rows else []
        known = {*_REPEATED, *(key for keys in _GROUPS.values() for key in keys)}
        others = [row for key in self.facts if key not in known for row in _flatten(key, self.facts[key])]
        return [*groups, *([("Other", others)] if others else [])]


def read_run(folder: pathlib.Path) -> RunFacts:
    """Return the records of a finished run.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: the folder is not that of a finished run.
    """
    if not folder.exists():
        raise FileNotFoundError(f"There is no folder {folder}.")
    facts = read_json(folder / RUN)
    history = folder / HISTORY
    if not {"model_file"} <= set(facts) or not history.is_file():
        raise ValueError(
            f"The folder of a report must be that of a training, with {RUN} and {HISTORY}, got {folder}. Pass the "
            "folder that the training wrote."
        )
    table = pd.read_csv(history)
    if table.empty or not (folder / str(facts["model_file"])).is_file():
        raise ValueError(f"The training run in {folder} is not finished. Start it again to continue.")
    steps = folder / STEPS
    return RunFacts(folder, facts, table, pd.read_csv(steps) if steps.is_file() else None)


def _flatten(name: str, value: Any, *, top: bool = False) -> list[tuple[str, str]]:
    """Return a setting as rows, one per entry of a mapping; below the ``top``, names begin with that of the mapping."""
    label = _LABELS.get(name, name.replace("_", " "))
    if isinstance(value, Mapping):
        if not value:
            return [(label, "none")]
        flat = all(not isinstance(item, (Mapping, list)) for item in value.values())
        if flat and (len(value) > 8 or name in ("loss", "rate", "momentum", "augmentation", "classes", "optimizer")):
            shown = [f"{key} {_text(item)}" for key, item in list(value.items())[:_LONGEST]]
            more = f", and {len(value) - _LONGEST} more" if len(value) > _LONGEST else ""
            return [(label, ", ".join(shown) + more)]
        prefix = "" if top and name not in ("skipped", "options") else f"{label}: "
        return [(prefix + key, text) for entry in value for key, text in _flatten(str(entry), value[entry])]
    return [(label, _text(value))]


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int):
        return f"{value:,}" if value >= 10_000 else str(value)
    if isinstance(value, list):
        shown = ", ".join(_text(item) for item in value[:_LONGEST])
        return (shown or "none") + (f", and {len(value) - _LONGEST} more" if len(value) > _LONGEST else "")
    return str(value)
