"""Every block of the README and of the pages runs as it stands there; what one needs that is not here is said."""

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))  # what run_page.py, a program of its own, shares with this

import page_blocks
import page_needs

BLOCKS = {path.name: page_blocks.read(path) for path in page_blocks.WRITTEN}
QUICK = {"metrics.md"}  # a page without TensorFlow
RUN = [name for name, found in BLOCKS.items() if any(block.language in ("python", "sh") for block in found)]


def test_there_are_blocks():
    assert len(RUN) >= 7
    assert sum(len(found) for found in BLOCKS.values()) > 50


@pytest.mark.parametrize("path", page_blocks.WRITTEN, ids=lambda path: path.name)
def test_every_block_says_what_it_is(path):
    assert all(block.language in ("python", "sh", "ini", "text") for block in BLOCKS[path.name])
    outside = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    assert not re.search(r"^ {4}\S", outside, re.MULTILINE), "an indented block would not be run"


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in RUN])
def test_the_blocks_of_a_page_run(name, tmp_path):
    path = next(path for path in page_blocks.WRITTEN if path.name == name)
    program = pathlib.Path(__file__).with_name("run_page.py")
    environment = {**os.environ, "PYTHONPATH": str(page_blocks.ROOT), "COLUMNS": "120", "NO_COLOR": "1"}
    environment.pop("TF_CONFIG", None)
    command = [sys.executable, program, path, tmp_path / "work", tmp_path / "report.json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=1800)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads((tmp_path / "report.json").read_text())
    assert [one["block"] for one in report] == [str(b) for b in BLOCKS[name] if b.language in ("python", "sh")]
    assert any("seconds" in one for one in report) or all(block.needs for block in BLOCKS[name])


NEEDY = [pytest.param(block, id=str(block)) for found in BLOCKS.values() for block in found if block.needs]


@pytest.mark.parametrize("block", NEEDY)
def test_what_a_block_needs_is_here(block):
    """The runner leaves these out for the same reasons; here they are counted and named."""
    for need in block.needs:
        if reason := page_needs.reason(need):
            pytest.skip(f"{block} is left out: {reason}")
