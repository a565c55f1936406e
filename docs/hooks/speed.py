"""The page of speed is ``benchmarks/README.md``, where the numbers stand beside the commands that measured them."""

import pathlib

from mkdocs.structure.files import File

SOURCE = pathlib.Path(__file__).resolve().parents[2] / "benchmarks" / "README.md"


def on_files(files, config):
    """Add the page under its own title."""
    text = SOURCE.read_text(encoding="utf-8").partition("\n")[2]
    files.append(File.generated(config, "speed.md", content=f"# Speed\n{text}"))
    return files
