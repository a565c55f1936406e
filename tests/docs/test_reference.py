"""The generated pages say what the sources say: whole sentences, and every flag as it is typed."""

import importlib.util
import inspect
import json
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

griffe = pytest.importorskip("griffe")
pytest.importorskip("mkdocs")
HOOKS = ROOT / "docs" / "hooks"


def _hook(name):
    spec = importlib.util.spec_from_file_location(f"docs_hook_{name}", HOOKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def options():
    """Return the options with which the site reads docstrings."""
    text = (ROOT / "docs" / "mkdocs.yml").read_text(encoding="utf-8")
    block = re.search(r"docstring_options:\n((?: {14}.*\n)+)", text)[1]
    return {name: value == "true" for name, value in re.findall(r"(\w+): (true|false)", block)}


def _documented(found, seen):
    """Yield every function, class and module of the package that has a docstring."""
    if found.is_alias or found.path in seen:
        return
    seen.add(found.path)
    if found.docstring:
        yield found
    for member in getattr(found, "members", {}).values():
        yield from _documented(member, seen)


def _words(text):
    return re.sub(r"[\s`():]+", " ", text).strip()


@pytest.mark.slow
def test_no_sentence_of_the_reference_is_cut(options):
    """Each "Returns" and "Yields" is one item with the whole text; each item of "Raises" names a class."""
    package = griffe.load("kerasal", search_paths=[str(ROOT)])
    counted = 0
    for found in _documented(package, set()):
        text = inspect.cleandoc(found.docstring.value)
        for section in griffe.parse_google(found.docstring, warnings=False, **options):
            if section.kind.value in ("returns", "yields"):
                counted += 1
                assert len(section.value) == 1, f"{found.path}: {[item.description for item in section.value]}"
                raw = re.search(rf"^{section.kind.value.title()}:\n((?: .*\n|\n)+)", f"{text}\n", re.MULTILINE)
                assert raw, found.path
                assert _words(section.value[0].description) == _words(raw[1]), found.path
            if section.kind.value == "raises":
                for item in section.value:
                    assert re.fullmatch(r"\(?(\w+\.)*[A-Z]\w*(, [A-Z]\w*)*\)?", str(item.annotation)), (
                        f"{found.path}: {item.annotation}"
                    )
    assert counted > 50


def test_the_reference_lists_every_public_name_with_a_sentence():
    reference = _hook("reference")
    for page, module in reference.PAGES.items():
        text = reference.reference(page, module)
        for name in reference.exported(module):
            row = re.search(rf"^\| \[`{name}`\]\(#{re.escape(module)}\.{name}\) \| (.*) \|$", text, re.MULTILINE)
            assert row and row[1], f"{module}.{name} needs a docstring whose first sentence describes it"
        assert f"({page}.md)" in reference.index()


def _flags(command):
    return {flag for one in command.params for flag in (*one.opts, *one.secondary_opts) if flag.startswith("-")}


def test_the_pages_of_commands_have_every_flag_and_nothing_else():
    commands = _hook("commands")
    text = commands.pages()
    names = set()
    for words, command, group in commands.walk():
        page = text[f"commands/{group.lower()}.md"]
        section = re.search(rf"^## kerasal {' '.join(words)} .*?(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)[0]
        every = commands.methods(command).values() if words == ("attribute",) else [command]
        for one in every:
            visible = [parameter for parameter in one.params if not getattr(parameter, "hidden", False)]
            shown = {flag for parameter in visible for flag in (*parameter.opts, *parameter.secondary_opts)}
            for flag in (flag for flag in shown - {"--help", "-h"} if flag.startswith("-")):
                assert re.search(rf"`{re.escape(flag)}[` ]", section), f"{words}: {flag}"
                names.add(flag)
            hidden = _flags(one) - shown - {"--help", "-h"}
            for flag in hidden:
                assert f"`{flag}`" not in section, f"{words}: {flag} is hidden in the help"
    written = set(re.findall(r"`(-[\w-]+)", "".join(text.values()))) - {"--traceback"}
    assert written == names
    assert {"--output", "--class", "--preprocessing", "--no-logits"} <= names
    assert "--context" not in names


def test_the_list_of_commands_is_complete():
    commands = _hook("commands")
    index = commands.pages()["commands/index.md"]
    for words, _, group in commands.walk():
        assert f"[`kerasal {' '.join(words)}`]({group.lower()}.md#{'-'.join(words)})" in index
    assert len(re.findall(r"^\| \[`kerasal", index, re.MULTILINE)) > 20


def test_the_list_of_models_says_where_their_weights_are():
    import kerasal

    rows = {row.split("`")[1]: row for row in _hook("cards").index().splitlines() if row.startswith("| [`")}
    assert list(rows) == [name for name in kerasal.list_models() if name in rows] and len(rows) >= 12
    for name, row in rows.items():
        weights = kerasal.model_spec(name).weights.values()
        expected = "your file" if not weights else "installed" if any(one.file for one in weights) else "downloaded"
        assert row.endswith(f"| {expected} |"), row


def test_the_link_to_the_repository_is_that_of_the_package(tmp_path, monkeypatch):
    repository = _hook("repository")

    class Config:
        repo_url = repo_name = None

    for line, expected in (
        ("", (None, None)),
        ("url = https://example.org/some/where/\n", ("https://example.org/some/where/", "some/where")),
    ):
        setup = tmp_path / "setup.cfg"
        setup.write_text(f"[metadata]\nname = kerasal\n{line}")
        monkeypatch.setattr(repository, "SETUP", setup)
        config = repository.on_config(Config())
        assert (config.repo_url, config.repo_name) == expected


def test_every_notebook_becomes_a_page():
    notebooks = _hook("notebook_pages")
    names = [name for name, _ in notebooks.titles()]
    assert sorted(names) == sorted(path.stem for path in notebooks.NOTEBOOKS.glob("*.ipynb"))
    for name in names:
        text, pictures = notebooks.page(notebooks.NOTEBOOKS / f"{name}.ipynb")
        assert text.startswith("# ") and f"`notebooks/{name}.ipynb`" in text
        assert pictures and all(f"]({file})" in text for file in pictures)
        assert "<script" not in text and "<style" not in text


def test_a_stored_error_is_not_published(tmp_path):
    cells = [
        {"cell_type": "markdown", "source": ["# Title"]},
        {"cell_type": "code", "source": ["1/0"], "outputs": [{"output_type": "error", "ename": "ZeroDivisionError"}]},
    ]
    path = tmp_path / "broken.ipynb"
    path.write_text(json.dumps({"cells": cells}))
    with pytest.raises(ValueError, match="ZeroDivisionError"):
        _hook("notebook_pages").page(path)
