"""Show the notebooks as pages: their text, code and stored outputs; nothing is executed.

A notebook becomes Markdown, so that its page has the theme, the search and the table of contents of all others. What
a browser would fetch or run (scripts, styles) is left out of stored HTML; tables of pandas are kept.
"""

import base64
import json
import pathlib
import re

from mkdocs.structure.files import File

NOTEBOOKS = pathlib.Path(__file__).resolve().parents[2] / "notebooks"
_PICTURES = {"image/png": "png", "image/jpeg": "jpg"}
_INTRODUCTION = """# Notebooks

Each notebook repeats the experiments of a paper or goes through a task, with text, code and the results of its last
full run. The files are in the folder `notebooks/`; at its top each says which data it needs.

| notebook | what it shows |
|---|---|
"""


def on_files(files, config):
    """Add a page for each notebook, its pictures, and a list of the notebooks."""
    rows = []
    for path in _paths():
        text, pictures = page(path)
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=text))
        for name, content in pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))
        title = text.partition("\n")[0].removeprefix("# ")
        name, _, question = title.partition(": ")
        rows.append(f"| [{name}]({path.stem}.md) | {question[:1].upper()}{question[1:]} |")
    files.append(File.generated(config, "notebooks/index.md", content=_INTRODUCTION + "\n".join(rows) + "\n"))
    return files


def titles():
    """Return (file name, title without its question) of each notebook, the quickstart first."""
    cells = [(path.stem, json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]) for path in _paths()]
    return [(name, "".join(source).partition("\n")[0].removeprefix("# ").partition(": ")[0]) for name, source in cells]


def _paths():
    return sorted(NOTEBOOKS.glob("*.ipynb"), key=lambda path: (path.stem != "quickstart", path.stem))


def page(path):
    """Return the Markdown of a notebook, and its pictures as file name -> bytes."""
    parts, pictures = [], {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"]).strip()
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        if source:
            parts.append(_fenced("python", source))
        parts += [_output(output, path.stem, pictures) for output in cell.get("outputs", [])]
    title, *rest = [part for part in parts if part]
    heading, _, introduction = title.partition("\n")
    where = f"*This page shows `notebooks/{path.name}` with its stored results.*"
    return "\n\n".join([heading, introduction.strip(), where, *rest]) + "\n", pictures


def _output(output, name, pictures):
    """Return an output as Markdown; a picture is added to ``pictures``."""
    if output["output_type"] == "stream":
        return _printed("".join(output["text"]))
    if output["output_type"] == "error":
        raise ValueError(f"A stored output of {name}.ipynb is an error: {output['ename']}. Run the notebook again.")
    data = {
        kind: "".join(content) for kind, content in output.get("data", {}).items() if isinstance(content, (str, list))
    }
    for kind, ending in _PICTURES.items():
        if kind in data:
            file = f"{name}-{len(pictures) + 1}.{ending}"
            pictures[file] = base64.b64decode(data[kind])
            return f"![Result of the cell above]({file})"
    if "text/html" in data:
        table = re.sub(r"<(style|script)\b.*?</\1>", "", data["text/html"], flags=re.DOTALL)
        lines = (line.strip() for line in table.splitlines())
        return f'<div class="dataframe" markdown="0">{"".join(lines)}</div>'
    return _printed(data.get("text/plain", ""))


def _printed(text):
    text = re.sub(r"\x1b\[[0-9;]*m", "", text).strip("\n")
    return _fenced("{ .text .output }", text) if text.strip() else ""


def _fenced(language, text):
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall(r"`+", text)), 3)
    return f"{fence} {language}\n{text}\n{fence}"
