"""The list of models that is read off the sources is what the registry knows, at once and at 80 columns."""

import os
import subprocess
import sys

import kerasal
from kerasal.zoo_table import ZooRow, read_zoo


def test_the_sources_say_what_the_registry_knows():
    assert read_zoo() == [ZooRow.of(kerasal.model_spec(row.name)) for row in read_zoo()]
    modules = {name: kerasal.model_spec(name).build.__module__ for name in kerasal.list_models()}
    assert [row.name for row in read_zoo()] == [name for name in modules if modules[name].startswith("kerasal.zoo")]
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
