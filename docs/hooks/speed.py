"""Add ``benchmarks/README.md`` as the page about speed."""

import pathlib

from mkdocs.structure.files import File

SOURCE = pathlib.Path(__file__).resolve().parents[2] / "benchmarks" / "README.md"


def on_files(files, config):
    """Add the page."""
    text = SOURCE.read_text(encoding="utf-8").partition("\n")[2]
    files.append(File.generated(config, "speed.md", content=f"# Speed\n{text}"))
    return files
