"""Copy pictures from the outputs of the notebooks and from ``notebooks/pictures`` into the site.

A page writes ``figures/NOTEBOOK/SECTION-NUMBER.png`` for the NUMBER-th picture below the heading "## SECTION. …" of
that notebook (section 0 is the part before the first heading), and ``notebook-pictures/FILE`` for a file.
"""

import base64
import json
import pathlib
import re

from mkdocs.structure.files import File

NOTEBOOKS = pathlib.Path(__file__).resolve().parents[2] / "notebooks"
_ENDINGS = {"image/png": "png", "image/jpeg": "jpg"}


def on_files(files, config):
    """Add the pictures that the pages refer to; the strict build reports missing ones."""
    written = "\n".join(page.content_string for page in files.documentation_pages())
    for notebook in sorted(set(re.findall(r"figures/(\w+)/", written))):
        for name, content in pictures(NOTEBOOKS / f"{notebook}.ipynb"):
            uri = f"figures/{notebook}/{name}"
            if uri in written:
                files.append(File.generated(config, uri, content=content))
    for path in sorted((NOTEBOOKS / "pictures").iterdir()):
        if f"notebook-pictures/{path.name}" in written:
            files.append(File.generated(config, f"notebook-pictures/{path.name}", abs_src_path=str(path)))
    return files


def pictures(path):
    """Yield (``SECTION-NUMBER.ending``, bytes) of every picture in a notebook's outputs."""
    section, number = "0", 0
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        for heading in re.findall(r"^## (\d+)\.", "".join(cell["source"]), re.MULTILINE):
            if cell["cell_type"] == "markdown":
                section, number = heading, 0
        for output in cell.get("outputs", []):
            for kind, ending in _ENDINGS.items():
                if kind in output.get("data", {}):
                    number += 1
                    yield f"{section}-{number}.{ending}", base64.b64decode("".join(output["data"][kind]))
                    break
