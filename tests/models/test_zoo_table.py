"""The list of models that is read off the sources is what the registry knows, at once and at 80 columns."""

import os
import subprocess
import sys

import kerasal
from kerasal.zoo_table import ZooRow, read_zoo


def test_the_sources_say_what_the_registry_knows():
    specs = [kerasal.model_spec(row.name) for row in read_zoo()]
    registered = [
        ZooRow(
            spec.name,
            spec.task,
            spec.input_shape,
            spec.parameters,
            spec.preprocessing,
            {name: origin.file is not None for name, origin in spec.weights.items()},
        )
        for spec in specs
    ]
    assert read_zoo() == registered
    zoo = [
        name for name in kerasal.list_models() if kerasal.model_spec(name).build.__module__.startswith("kerasal.zoo")
    ]
    assert [row.name for row in read_zoo()] == zoo
    assert [row.name for row in read_zoo("vgg*")] == ["vgg16", "vgg19"]


def test_models_are_listed_without_keras_and_fit_80_columns():
    code = """
import sys
from kerasal.cli import run
try:
    run(["models"])
except SystemExit as stop:
    assert not stop.code
assert not {"tensorflow", "keras", "numpy"} & set(sys.modules)
"""
    environment = {**os.environ, "COLUMNS": "80"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80 and "…" not in done.stdout
    assert any("alexnet" in line and "60.97 M" in line for line in lines)
    assert any("shallow_saliency" in line and "96×96×3" in line for line in lines)
