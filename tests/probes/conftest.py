"""What the probes share: a workplace, the table of commands, and a way to call one in this process."""

import importlib.util
import pathlib

import pytest

from kerasal.cli import run


@pytest.fixture(scope="session")
def workplace():
    """The module that writes what commands are given, and lists them."""
    spec = importlib.util.spec_from_file_location("workplace", pathlib.Path(__file__).parent / "workplace.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def given(workplace, make_model, tmp_path_factory):
    """A folder with what commands are given; nothing may write there."""
    return workplace.prepare(tmp_path_factory.mktemp("given"), make_model("functional"))


@pytest.fixture
def cli(capsys, monkeypatch, tmp_path):
    """Run a command line in an empty folder; return its exit code and what it said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments):
        with pytest.raises(SystemExit) as stop:
            run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return stop.value.code or 0, captured.out + captured.err

    return call


@pytest.fixture
def contents():
    """Return every file of a folder, by its path."""

    def read(folder):
        return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}

    return read
