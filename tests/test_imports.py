"""The house: imports run downward, importing the package stays light, and the zoo has one name."""

import ast
import functools
import importlib
import pathlib
import subprocess
import sys

import pytest

import kerasal

ROOT = pathlib.Path(__file__).resolve().parents[1]
# The eight floors of the house, from the ground up.
FLOORS = [
    "_keras _version archive_check array_check checks digests files locks names page_templates process progress store "
    "row_journal",
    "images labels preprocessing metrics datasets fixations",
    "layers losses objectives",
    "hooks",
    "models zoo zoo_table",
    "(the routines)",
    "serving batch atlas callbacks viewer compat description report gaze_page",
    "cli",
]
BY_NAME = ("import_module", "__import__", "resolve_name")
# Imports by name that must be so: the registry loads the zoo like any package of models, and an old name of the zoo is
# a routine now, for one release.
EXCUSED = {("kerasal.models.registry", "kerasal.zoo"), ("kerasal.zoo.gaze", "kerasal.gaze")}
# Their order among themselves: each may use those before it. What two need and neither owns lives below both.
ROUTINES = [
    "attribution",
    "receptive_field",
    "maximization",
    "localization",
    "gaze",
    "probe",
    "diagnosis",
    "training",
    "features",
]
FLOOR = {name: number for number, names in enumerate(FLOORS, 1) for name in names.split()}
OPENING = ("kerasal.models", "kerasal.models.registry", "kerasal.models.opener")
ALIASES = {"registry"}  # old places of modules, for one release
FLOOR |= dict.fromkeys(ROUTINES, 6) | {"__main__": 9}  # what a shell starts
# Floors on which folders may use one another, as long as they form no circle.
SHARED = {1, 2, 3, 5, 7}


@functools.cache
def modules():
    """Map the name of every module of the package to its file."""
    found = {}
    for path in sorted([*ROOT.glob("kerasal/**/*.py"), *ROOT.glob("zoo/**/*.py")]):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts if parts[0] == "kerasal" else ("kerasal", *parts))
        found[name.removesuffix(".__init__")] = path
    return found


def imports_of(text, known):
    """Return the modules that a text imports, anywhere in it; a name that a package hands out is its ``__init__``."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            if node.module and node.module.split(".")[0] == "kerasal":
                wholes = [f"{node.module}.{alias.name}" for alias in node.names]
                lazy = {f"kerasal.{name}": origin for name, origin in kerasal._ORIGIN.items()}
                found |= {whole if whole in known else lazy.get(whole, node.module) for whole in wholes}
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in BY_NAME:
            names = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            found |= {name.partition(":")[0] for name in names if name.startswith("kerasal.")}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "kerasal":
            whole = f"kerasal.{node.attr}"
            found |= {whole if whole in known else kerasal._ORIGIN.get(node.attr, "kerasal")}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split(".")[0] == "kerasal"}
    return found


@functools.cache
def graph():
    """Map each module to those that it imports; the package itself, whose names are lazy, is left out."""
    known = modules()
    edges = {name: imports_of(path.read_text(encoding="utf-8"), known) for name, path in known.items()}
    edges = {name: {one for one in targets if (name, one) not in EXCUSED} for name, targets in edges.items()}
    return {name: targets - {name, "kerasal"} for name, targets in edges.items() if folder(name) not in ("", *ALIASES)}


def folder(module):
    """Return the first part of a module's name below the package."""
    return f"{module}.".split(".")[1]


def circle(edges):
    """Return a circle in a graph of names, as a list whose first and last name are the same, or None."""
    state, path = {}, []

    def visit(name):
        state[name] = "open"
        path.append(name)
        for target in sorted(edges.get(name, ())):
            if state.get(target) == "open":
                return [*path[path.index(target) :], target]
            if target not in state and (found := visit(target)):
                return found
        state[name] = "done"
        path.pop()
        return None

    return next((found for name in sorted(edges) if name not in state and (found := visit(name))), None)


def upward(edges):
    """List the imports that do not run downward: from floor to floor, and among the routines from one to the next."""
    wrong = []
    for module, targets in edges.items():
        mine = folder(module)
        for target in sorted(targets):
            other = folder(target)
            if mine == other:
                continue
            below = FLOOR[other] < FLOOR[mine] or (FLOOR[other] == FLOOR[mine] and FLOOR[mine] in SHARED)
            if FLOOR[mine] == FLOOR[other] == 6:
                below = ROUTINES.index(other) < ROUTINES.index(mine)
            if not below:
                wrong.append(f"{module} (floor {FLOOR[mine]}) imports {target} (floor {FLOOR[other]})")
    return wrong


def folders_of(edges):
    """Return the graph of folders, and of the folders in folders."""
    joined = {}
    for module, targets in edges.items():
        for target in targets:
            if folder(module) != folder(target):
                joined.setdefault(folder(module), set()).add(folder(target))
    return joined


def subfolders_of(edges, known):
    """Return the graph of the packages below a folder, such as ``receptive_field.patterns``."""

    def package(module):
        return module if known[module].name == "__init__.py" else module.rpartition(".")[0]

    joined = {}
    for module, targets in edges.items():
        for target in targets & set(known):
            mine, other = package(module), package(target)
            # A package's own __init__ hands out what its folders hold.
            if mine != other and not mine.startswith(other + ".") and not other.startswith(mine + "."):
                joined.setdefault(mine, set()).add(other)
    return joined


def test_every_module_has_its_floor():
    known = {*FLOOR, *ALIASES, "zoo", "__init__", "__pycache__", "assets", "py.typed"}
    assert {path.name.removesuffix(".py") for path in (ROOT / "kerasal").iterdir()} <= known


def test_imports_run_downward():
    assert not upward(graph())


def test_there_is_no_circle_of_files():
    assert circle(graph()) is None


def test_there_is_no_circle_of_folders():
    edges = graph()
    assert circle(folders_of(edges)) is None
    assert circle(subfolders_of(edges, modules())) is None


def test_file_names_are_unique():
    """Commands are named like what they do, and drop-ins like what they replace; other files are found by name."""
    names = [
        path.stem
        for name, path in modules().items()
        if path.stem not in ("__init__", *ALIASES) and not name.startswith(("kerasal.cli.", "kerasal.compat."))
    ]
    assert {name for name in names if names.count(name) > 1} == set()


def test_each_model_is_in_a_file_of_its_name():
    from kerasal import list_models

    files = {path.stem for path in (ROOT / "zoo").glob("*.py") if not path.stem.startswith("_")}
    assert files == {name for name in list_models() if kerasal_zoo(name)}


def kerasal_zoo(name):
    """Tell a model of the zoo from those of other packages."""
    from kerasal import model_spec

    return model_spec(name).build.__module__.startswith("kerasal.zoo.")


def test_routines_know_neither_the_registry_nor_the_commands():
    """A routine takes a model; gaze has one that ships, explain and the setups of a training open what is named."""
    setups = {"kerasal.training.training_setup"}
    allowed = {"kerasal.gaze", "kerasal.attribution.explanation", *setups}
    wrong = [
        f"{module} imports {target}"
        for module, targets in graph().items()
        for target in targets
        if folder(module) in ROUTINES
        and (target in OPENING or target.startswith("kerasal.zoo"))
        and not any(module == one or module.startswith(one + ".") for one in allowed)
    ]
    assert not wrong


BREACHES = {
    "by name": ({"kerasal.hooks.paths": "importlib.import_module('kerasal.attribution.method')"}, upward),
    "attribute": ({"kerasal.hooks.paths": "import kerasal\nkerasal.attribution.gradcam"}, upward),
    "lazy": ({"kerasal.hooks.paths": "import kerasal\nkerasal.explain"}, upward),
    "upward": ({"kerasal.hooks.paths": "def late():\n    from kerasal import attribution"}, upward),
    "order": ({"kerasal.attribution.method": "from kerasal.localization import boxes"}, upward),
    "files": (
        {
            "kerasal.images.grids": "from kerasal.images import image_files",
            "kerasal.images.image_files": "from kerasal.images import grids",
        },
        circle,
    ),
    "folders": (
        {
            "kerasal.metrics.blur": "def late():\n    import kerasal.datasets.mnist",
            "kerasal.datasets.mnist": "from kerasal.metrics import blur",
        },
        lambda edges: circle(folders_of(edges)),
    ),
    "folders in folders": (
        {
            "kerasal.receptive_field.geometry.route": "from kerasal.receptive_field.patterns import comparison",
            "kerasal.receptive_field.patterns.comparison": "from kerasal.receptive_field.geometry import route",
        },
        lambda edges: circle(subfolders_of(edges, modules())),
    ),
}


@pytest.mark.parametrize("breach", BREACHES)
def test_each_rule_sees_its_breach(breach):
    """Each rule above, on the house with a few lines more that break it."""
    lines, rule = BREACHES[breach]
    edges = {module: set(targets) for module, targets in graph().items()}
    for module, line in lines.items():
        assert module in edges
        edges[module] |= imports_of(line, modules()) - {"kerasal"}
    assert rule(edges)


def test_every_package_is_installed():
    """A folder that the setup forgets works from a checkout and fails for whoever installs it."""
    for path in ROOT.glob("kerasal/**/*.py"):
        assert (path.parent / "__init__.py").is_file(), f"{path.parent} has no __init__.py, so it is not installed"


def test_completion_shows_exactly_the_public_names():
    folders = [path.parent.name for path in (ROOT / "kerasal").glob("*/__init__.py")]
    for package in [kerasal, *(importlib.import_module(f"kerasal.{name}") for name in [*folders, "zoo"])]:
        more = {"__version__"} if package is kerasal else set()
        assert set(dir(package)) == {*package.__all__} | more, package.__name__
        assert all(hasattr(package, name) for name in package.__all__), package.__name__


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
