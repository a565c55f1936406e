"""The house: imports run downward, importing the package stays light, and the zoo has one name."""

import ast
import configparser
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
FLOORS = (
    {"registry", "preprocessing", "images", "metrics", "datasets", "labels", "loading"}
    | {"digests", "files", "locks", "naming", "progress", "weight_files", "file_claims", "array_check", "matlab_check"}
    | {"process", "checks", "hdf5_heaps", "saved_models", "_keras", "_version"},
    {"layers", "losses", "hooks", "objectives"},
    {"attribution", "maximization", "receptive_field", "localization", "probe", "training", "features"}
    | {"gaze", "diagnosis"},
    {"serving", "batch", "atlas", "callbacks", "cli", "__main__"},
)
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}


def _imports():
    """Yield (file, floor of the file's module or -1 for the zoo, imported kerasal module)."""
    for path in [*ROOT.glob("kerasal/**/*.py"), *ROOT.glob("zoo/**/*.py")]:
        parts = path.relative_to(ROOT).parts
        mine = "zoo" if parts[0] == "zoo" else parts[1].removesuffix(".py")
        if mine == "__init__":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "kerasal":
                rest = node.module.split(".")[1:]
                names = rest[:1] or [alias.name for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name.split(".")[1] for alias in node.names if alias.name.startswith("kerasal.")]
            yield from ((path.relative_to(ROOT), mine, name) for name in names)


def test_imports_run_downward():
    wrong = [
        f"{path} imports {name}"
        for path, mine, name in _imports()
        if name in FLOOR and mine != "zoo" and FLOOR[name] > FLOOR[mine]
    ]
    assert not wrong


def test_every_module_has_its_floor():
    known = {*FLOOR, "zoo", "__init__", "__pycache__", "assets", "py.typed"}
    assert {path.name.removesuffix(".py") for path in (ROOT / "kerasal").iterdir()} <= known


def test_the_zoo_uses_no_routine():
    assert not [f"{path}: {name}" for path, mine, name in _imports() if mine == "zoo" and FLOOR.get(name, 0) > 1]


def test_routines_know_neither_the_registry_nor_the_zoo():
    wrong = [
        f"{path} imports {name}"
        for path, mine, name in _imports()
        if FLOOR.get(mine) in (1, 2) and name in ("registry", "zoo", "loading", "labels")
    ]
    assert not wrong


def test_every_package_is_installed():
    """A folder that setup.cfg forgets works from a checkout and fails for whoever installs it."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    named = set(config["options"]["packages"].split())
    folders = {path.parent.relative_to(ROOT) for path in ROOT.glob("kerasal/**/__init__.py")}
    assert named == {".".join(folder.parts) for folder in folders} | {"kerasal.zoo"}


def test_methods_are_exported():
    from kerasal import attribution

    files = {path.stem for path in (ROOT / "kerasal/attribution/methods").glob("*.py")} - {"__init__"}
    assert files == set(attribution.list_methods())
    assert all(callable(getattr(attribution, name)) for name in files)


@pytest.mark.parametrize(
    "code",
    [
        "import kerasal; kerasal.__version__; dir(kerasal)",
        "from kerasal.cli import run\ntry:\n    run(['--help'])\nexcept SystemExit as stop:\n    code = stop.code",
        "from kerasal.cli import run\ntry:\n    run(['card', '--help'])\nexcept SystemExit:\n    pass",
    ],
)
def test_a_light_start_loads_no_tensorflow(code):
    check = "\nimport sys; heavy = {'tensorflow', 'keras'} & set(sys.modules); assert not heavy, heavy"
    done = subprocess.run([sys.executable, "-c", code + check], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


def test_another_backend_is_refused_with_the_way_to_set_it():
    done = subprocess.run(
        [sys.executable, "-c", "import kerasal; kerasal.list_models()"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"KERAS_BACKEND": "jax", "PATH": "/usr/bin"},
        check=False,
    )
    assert done.returncode == 1
    assert "KERAS_BACKEND=tensorflow" in done.stderr.strip().splitlines()[-1]


def test_a_missing_libgl_is_explained(tmp_path):
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import kerasal; kerasal.images"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert "opencv-python-headless" in done.stderr.strip().splitlines()[-1]


def test_the_zoo_is_not_imported_twice():
    code = "import sys; sys.path.insert(0, '.'); import zoo"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert "kerasal.zoo" in done.stderr.strip().splitlines()[-1]
