"""A disk that is full: an error that says so, earlier results as they were, and nothing half-written under a name."""

import pathlib
import re
import subprocess

import pytest

pytestmark = pytest.mark.slow

PICTURES = ["attribute", "attribute, raw", "compare", "maximize", "feature-maps", "filters", "localize", "patterns"]
PICTURES += ["exemplars", "gaze predict"]
JOBS = ["localize-score", "probe", "score", "export", "batch", "atlas", "train", "gaze train"]
TEMPORARY = re.compile(r"\..+-[a-z0-9_]{8}(\.[^.]+)*")


@pytest.fixture
def disk(tmp_path):
    """A small file system of its own, and a way to fill it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def _fill(folder):
    with (folder / "ballast").open("wb", buffering=0) as file:
        try:
            while file.write(bytes(2**20)):
                pass
        except OSError:
            pass


def _refused(code, said):
    assert code == 1, said
    assert re.search("No space left on device|the disk may be full", " ".join(said.split("Error:")[-1].split())), said


@pytest.mark.parametrize("name", PICTURES)
def test_the_earlier_picture_stays(name, cli, disk, given, workplace, contents):
    command = workplace.commands(given, 1, disk / "out")[name]
    places = [one for one in command if str(one).startswith(str(disk))]
    for place in map(pathlib.Path, places if name != "gaze predict" else [disk / "out" / "looks" / "1.png"]):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("earlier")
    before = contents(disk)
    assert before
    _fill(disk)
    _refused(*cli(*command))
    (disk / "ballast").unlink()
    assert contents(disk) == before


@pytest.mark.parametrize("name", JOBS)
def test_a_job_goes_on_when_there_is_room_again(name, cli, disk, given, workplace, contents):
    first, second = (workplace.commands(given, number, disk / "out")[name] for number in (1, 2))
    code, said = cli(*first)
    assert code == 0, said
    before = contents(disk)
    assert before
    _fill(disk)
    _refused(*cli(*second))
    (disk / "ballast").unlink()
    after = contents(disk)
    assert {path: after.get(path) for path in before} == before
    new = [path for path in sorted(after) if path not in before and path.name != ".lock" and path.suffix != ".partial"]
    assert not [path for path in new if not after[path] or TEMPORARY.fullmatch(path.name)]
    code, said = cli(*second)
    assert code == 0, said
