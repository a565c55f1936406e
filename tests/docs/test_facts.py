"""What the pages say is so: numbers stand where they are said to be from, and nothing that exists is forgotten."""

import ast
import functools
import pathlib
import re
from decimal import Decimal

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "pages"


def _text(name):
    return (PAGES / name).read_text(encoding="utf-8")


@functools.cache
def _known(path):
    """Return the numbers of a source; of a notebook, those outside of its pictures."""
    text = re.sub(r'"image/\w+": "[^"]+"', "", path.read_text(encoding="utf-8"))
    return _numbers(text) | _uncertain(text.replace("\\u00b1", "±").replace("\\u2212", "-"))


def _uncertain(text):
    """Return the numbers with what they are uncertain by, ``1 ± .2`` or ``1 [.8, 1.2]``, as one fact each."""
    number = r"[-−+]?(\d*\.\d+|\d+)"
    found = re.findall(rf"{number} (?:± {number}|[\[(]{number}(?:,| to) {number}[\])])", text)
    return {tuple(Decimal(part) for part in one if part) for one in found}


def _numbers(text):
    """Return the measured numbers of a text: with a decimal point, or in thousands; signs left aside."""
    plain = text.replace("_", ",").replace("\u2009", "")
    found = re.findall(r"(?<![\w.])\d{1,3}(?:,\d{3})+(?![\w])|(?<![\w])\d*\.\d+(?!\w)", plain)
    return {Decimal(one.replace(",", "")) for one in found}


def _rows(text):
    """Yield the cells of the rows of all tables, headings left out."""
    for line in text.splitlines():
        if line.startswith("|") and not re.match(r"\|[-| ]+\|$", line):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


VERDICTS = {"reproduced", "weaker", "not reproduced", "not tested"}


def _fidelity():
    rows = [row for row in _rows(_text("fidelity.md")) if row[0] != "what"]
    return [pytest.param(*row[:3], row[3:-1], row[-1], id=row[0][:40]) for row in rows]


def test_the_head_counts_the_verdicts():
    text = _text("fidelity.md")
    rows = [row for row in _rows(text) if row[0] != "what"]
    assert {len(row) for row in rows} == {5}, "each row has a verdict"
    counts = {verdict: sum(row[3] == verdict for row in rows) for verdict in VERDICTS}
    assert sum(counts.values()) == len(rows)
    head = " ".join(text[: text.index("## ")].split())
    assert f"Of the {len(rows)} rows below, {counts['reproduced']} are reproduced, {counts['weaker']} weaker" in head
    assert f"{counts['not reproduced']} not reproduced and {counts['not tested']} not tested." in head
    tried = sum(row[3] == "not tested" and bool(row[4]) for row in rows)
    assert f"Of those not tested, {tried} were tried" in head
    listed = re.search(r"Not reproduced: ([^.]*)\.", head)
    assert listed is not None and len(listed[1].split("; ")) == counts["not reproduced"]


@pytest.mark.parametrize(("what", "theirs", "ours", "verdict", "made_by"), _fidelity())
def test_a_number_of_ours_stands_in_its_source(what, theirs, ours, verdict, made_by):
    assert ours and set(verdict) <= VERDICTS
    sources = [
        ROOT / name for name in re.findall(r"`((?:notebooks|zoo|tests|benchmarks)/[\w/.]+|README\.md)`", made_by)
    ]
    assert all(source.is_file() for source in sources)
    assert made_by or "not tested" in verdict or "not reproduced" in ours, "a row says who made it, or why nobody did"
    known = set().union(*map(_known, sources), _numbers(theirs))
    missing = (_numbers(ours) | _uncertain(ours)) - known
    assert not missing, f"not in {made_by}: {missing}"


@pytest.mark.parametrize(
    ("page", "first", "source"),
    [
        ("coursework.md", "plain net", "notebooks/coursework.ipynb"),
        ("coursework.md", "with batch normalization", "notebooks/coursework.ipynb"),
        ("coursework.md", "center Gaussian", "notebooks/coursework.ipynb"),
        ("coursework.md", "mean map", "notebooks/coursework.ipynb"),
        ("methods.md", "random order", "notebooks/attribution.ipynb"),
        ("methods.md", "`class_saliency`", "notebooks/attribution.ipynb"),
        ("methods.md", "`guided_backprop`", "notebooks/attribution.ipynb"),
        *(("methods.md", name, "benchmarks/README.md") for name in ("Grad-CAM", "integrated gradients", "D-RISE")),
        *(("trust.md", name, "benchmarks/README.md") for name in ("gradcam", "deeplift", "sobol", "two causes")),
        *(("training_with_maps.md", row, "benchmarks/README.md") for row in ("corner", "continued", "gaze")),
        ("metrics.md", "AUC-Judd", "benchmarks/README.md"),
        ("metrics.md", "KL divergence, nats", "benchmarks/README.md"),
    ],
)
def test_rows_of_other_pages_too(page, first, source):
    rows = [row for row in _rows(_text(page)) if row[0].startswith(first)]
    assert rows
    known = _known(ROOT / source)
    for row in rows:
        assert _numbers(" ".join(row[1:])) <= known


def _methods():
    tree = ast.parse((ROOT / "kerasal/attribution/__init__.py").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom) and ".methods." in node.module]
    return sorted(alias.name for node in imports for alias in node.names)


def test_methods_are_drawn_for_one_and_for_two_objects():
    from PIL import Image

    for name in _methods():
        with Image.open(PAGES / "pictures" / "methods" / f"{name}.jpg") as picture:
            assert picture.width >= 3 * 240 and picture.height >= 240, name


def test_every_method_has_its_picture_its_cost_and_its_limits():
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|^</div>)", _text("methods.md"), re.DOTALL | re.MULTILINE))
    assert sorted(sections) == _methods()
    for name, text in sections.items():
        assert f"(pictures/methods/{name}.jpg)" in text
        assert "**Cost**:" in text
        assert "**Can't tell**:" in text


def test_costs_are_those_of_the_benchmark():
    measured = {}
    text = (ROOT / "benchmarks/README.md").read_text(encoding="utf-8")
    (floor,) = re.findall(r"^## Attribution: methods and packages.*?(?=^## )", text, re.DOTALL | re.MULTILINE)
    for cells in _rows(floor):
        name = re.match(r"(\w+)", cells[0])
        if name and name[1] in _methods() and len(cells) == 7:  # a row of the tables against the floor
            measured.setdefault(name[1], []).append(cells[1])
    assert len(measured) >= 9
    for name, text in re.findall(r"^### (\w+)\n(.*?)(?=^##|^</div>)", _text("methods.md"), re.DOTALL | re.MULTILINE):
        cost = re.search(r"\*\*Cost\*\*:(.*?)\*\*Can't", text, re.DOTALL)[1]
        if name in measured:
            assert _numbers(cost) == set(map(Decimal, measured[name])), name


def test_code_fits_the_column():
    """A line of 96 characters fits the column of a window of 1,280 pixels; longer ones would wrap."""
    for path in [*PAGES.rglob("*.md"), *(ROOT / "docs" / "examples").glob("*.py")]:
        text = path.read_text(encoding="utf-8")
        blocks = re.findall(r"^```.*?\n(.*?)^```", text, re.DOTALL | re.MULTILINE) if path.suffix == ".md" else [text]
        long = [line for block in blocks for line in block.splitlines() if len(line) > 96]
        assert not long, path.name


def test_the_logo_asks_nobody():
    for path in (PAGES / "pictures").glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        assert text.startswith("<svg") and len(text) < 2000
        assert re.findall(r"https?:[^\"]+", text) == ["http://www.w3.org/2000/svg"]


def test_pictures_are_small():
    files = [
        path
        for path in (ROOT / "docs").rglob("*")
        if path.suffix in (".jpg", ".png", ".webp") and "site" not in path.parts
    ]
    assert files
    assert sum(path.stat().st_size for path in files) < 2_600_000


def test_nothing_of_this_machine_is_named():
    for path in (ROOT / "docs").rglob("*"):
        if path.suffix in (".md", ".py", ".yml", ".css") and "site" not in path.parts:
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"\.\./shared|/work/|/root/", text), path


def test_every_picture_of_the_gallery_has_its_command():
    text = _text("index.md")
    for name in re.findall(r"\(pictures/gallery/(\w+)\.jpg\)", text):
        assert (PAGES / "pictures" / "gallery" / f"{name}.jpg").is_file(), name
        block = text[text.index(f"gallery/{name}.jpg") :].partition("```sh\n")[2].partition("```")[0]
        assert block.startswith("kerasal ") and f"-o {name}.jpg" in block, name
    blocks = text.count("\n```sh\n")
    assert blocks == len(re.findall(r"^!\[", text, re.MULTILINE)) >= 8


def _calls():
    """Yield the calls in the right column of the tables that map other packages to this one."""
    for row in _rows(_text("coming_from.md")):
        for code in re.findall(r"`([^`]+)`", row[-1]):
            if re.match(r"[\w.]+\(", code) and row[-1] != "kerasal":
                yield pytest.param(code, id=code)


@pytest.mark.parametrize("code", list(_calls()))
def test_calls_beside_those_of_other_packages_exist(code):
    """The functions, and their arguments by name and number, are those of the library."""
    import inspect

    import kerasal
    from kerasal import attribution, objectives

    names = {"kerasal": kerasal, "attribution": attribution, "objectives": objectives, "abs": abs}
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    assert calls
    for call in calls:
        function = eval(ast.unparse(call.func), names)
        if function is not abs:
            arguments = {keyword.arg: None for keyword in call.keywords}
            inspect.signature(function).bind(*[None] * len(call.args), **arguments)


def test_the_readme_is_short():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.encode()) <= 8_000 and text.count("\n") <= 200


@pytest.mark.parametrize("page", ["README.md", "docs/pages/index.md", "docs/pages/comparison.md"])
def test_the_number_of_methods_is_that_of_the_library(page):
    from kerasal import attribution

    numbers = re.findall(r"\b(\d+) (?:attribution )?methods\b", (ROOT / page).read_text(encoding="utf-8"))
    assert numbers and set(numbers) == {str(len(attribution.list_methods()))}
