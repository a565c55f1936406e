"""Generate the Python reference: the docstring of each package, then its public names."""

import ast
import pathlib

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = {
    "kerasal": "kerasal",
    "attribution": "kerasal.attribution",
    "objectives": "kerasal.objectives",
    "maximization": "kerasal.maximization",
    "receptive_field": "kerasal.receptive_field",
    "localization": "kerasal.localization",
    "metrics": "kerasal.metrics",
    "losses": "kerasal.losses",
    "gaze": "kerasal.gaze",
    "datasets": "kerasal.datasets",
    "training": "kerasal.training",
    "report": "kerasal.report",
    "callbacks": "kerasal.callbacks",
    "atlas": "kerasal.atlas",
    "batch": "kerasal.batch",
    "probe": "kerasal.probe",
    "diagnosis": "kerasal.diagnosis",
    "serving": "kerasal.serving",
    "models": "kerasal.models",
    "registry": "kerasal.models.registry",
    "preprocessing": "kerasal.preprocessing",
    "images": "kerasal.images",
    "features": "kerasal.features",
    "labels": "kerasal.labels",
    "layers": "kerasal.layers",
    "hooks": "kerasal.hooks",
}
_ALSO = {"attribution": ["kerasal.attribution.faithfulness"], "serving": ["kerasal.serving.signatures"]}


def on_files(files, config):
    """Add a page for each package."""
    for page, module in PAGES.items():
        files.append(File.generated(config, f"api/{page}.md", content=reference(page, module)))
    return files


def reference(page, module):
    """Return the page of one package."""
    parts = [f"# {module}\n", _block(module, members=False)]
    parts += [_block(f"{module}.{name}") for name in exported(module)]
    for other in _ALSO.get(page, []):
        parts += [f"## {other}\n", _block(other, members=False)]
        parts += [_block(f"{other}.{name}", level=3) for name in exported(other)]
    return "\n".join(parts)


def _block(identifier, members=True, level=2):
    options = (
        f"heading_level: {level}" if members else "members: false, show_root_heading: false, show_root_toc_entry: false"
    )
    return f"::: {identifier}\n    options: {{{options}}}\n"


def exported(module):
    """Return the public names of a module: those that a package exports, or that a file defines."""
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    listed = [n.value for n in tree.body if isinstance(n, ast.Assign) and _is(n, "__all__")]
    handed_out = (
        {name.value for name in getattr(listed[0], "elts", []) if isinstance(name, ast.Constant)} if listed else set()
    )
    lazy = [node for node in tree.body if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"]
    names = []
    for node in ast.walk(tree) if path.name == "__init__.py" else tree.body:
        if isinstance(node, ast.ImportFrom):
            typed = any(node in block.body for block in lazy)  # lazy names, which a type checker is shown
            imported = [(alias.asname or alias.name, alias.asname == alias.name or typed) for alias in node.names]
            names += [name for name, public in imported if public or name in handed_out]
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node):
            names.append(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and target.id.isupper() and _documented(tree, node):
                names.append(target.id)
    wanted = set(ast.literal_eval(listed[0])) if listed and not _computed(listed[0]) else None
    public = [name for name in dict.fromkeys(names) if not name.startswith("_")]
    return [name for name in public if wanted is None or name in wanted]


def _documented(tree, node):
    after = tree.body[tree.body.index(node) + 1 :]
    return bool(after) and isinstance(after[0], ast.Expr) and isinstance(after[0].value, ast.Constant)


def _is(node, name):
    return isinstance(node.targets[0], ast.Name) and node.targets[0].id == name


def _computed(value):
    return any(isinstance(element, ast.Starred) for element in getattr(value, "elts", []))
