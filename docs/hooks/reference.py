"""Generate the Python reference: the docstring of each package, then its public names."""

import ast
import functools
import pathlib
import re

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).resolve().parents[2]
GROUPS = {
    "Explain": ("attribution", "objectives", "localization", "viewer"),
    "Features": ("maximization", "receptive_field", "features", "probe", "diagnosis"),
    "Gaze": ("gaze", "gaze_page", "metrics", "losses", "datasets"),
    "Train": ("training", "report", "callbacks"),
    "Deploy": ("serving", "batch", "atlas"),
    "Models": ("models", "registry", "preprocessing", "labels", "layers"),
    "Tools": ("images", "hooks", "compat"),
}
"""The pages in the order of the navigation, below ``kerasal`` itself."""
PAGES = {"kerasal": "kerasal", **{page: f"kerasal.{page}" for group in GROUPS.values() for page in group}}
PAGES["registry"] = "kerasal.models.registry"
_INDEX = """# Python reference

Images are uint8 `(H, W, 3)`, model inputs float32 `(N, H, W, C)` and already preprocessed, maps raw and signed; sizes
are `(height, width)`, coordinates `(x, y)` from 0. `import kerasal` loads no TensorFlow, packages are loaded when
they are used.
"""
_ALSO = {
    "attribution": ["kerasal.attribution.evaluation", "kerasal.attribution.ranking"],
    "serving": ["kerasal.serving.signatures"],
}


def on_files(files, config):
    """Add a page for each package, and a list of the packages."""
    files.append(File.generated(config, "api/index.md", content=index()))
    for page, module in PAGES.items():
        files.append(File.generated(config, f"api/{page}.md", content=reference(page, module)))
    return files


def index():
    """Return the list of the packages by group, each with what it is for."""
    parts = [_INDEX, _packages(["kerasal"])]
    for title, group in GROUPS.items():
        parts += [f"## {title}\n", _packages(group)]
    return "\n".join(parts)


def reference(page, module):
    """Return the page of one package: what it is for, its names in a table, then each name."""
    parts = [f"# {module}\n", _block(module, members=False), _names(module)]
    parts += [_block(f"{module}.{name}") for name in exported(module)]
    for other in _ALSO.get(page, []):
        parts += [f"## {other}\n", _block(other, members=False), _names(other)]
        parts += [_block(f"{other}.{name}", level=3) for name in exported(other)]
    return "\n".join(parts)


def _packages(group):
    rows = [f"| [`{PAGES[page]}`]({page}.md) | {_summary(PAGES[page])} |" for page in group]
    return "| package | what it is for |\n|---|---|\n" + "\n".join(rows) + "\n"


def _names(module):
    """Return a table of the public names of a module, each with the first sentence of its documentation."""
    rows = [f"| [`{name}`](#{module}.{name}) | {_summary(f'{module}.{name}')} |" for name in exported(module)]
    return "| name | what it is |\n|---|---|\n" + "\n".join(rows) + "\n" if rows else ""


@functools.cache
def sources():
    """Return the package as griffe reads it, without importing it."""
    import griffe

    return griffe.load("kerasal", search_paths=[str(ROOT)], resolve_aliases=True)


def _summary(identifier):
    """Return the first sentence of a docstring, for a cell of a table."""
    found = sources()[identifier.partition(".")[2]] if "." in identifier else sources()
    found = found.final_target if found.is_alias else found
    paragraph = " ".join(found.docstring.value.split("\n\n")[0].split()) if found.docstring else ""
    sentence = re.split(r"(?<=[a-z)`0-9]\.)\s(?=[A-Z])", paragraph)[0].removesuffix(":")
    return re.sub(r"([*|])(?=[^`]*(`[^`]*`[^`]*)*$)", r"\\\1", sentence.replace("``", "`"))  # outside of code


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
