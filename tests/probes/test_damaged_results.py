"""Results that were damaged, and folders at which another process works: made anew, or an error that says which."""

import random
import subprocess
import sys
import zlib

import pytest

pytestmark = pytest.mark.slow

JOBS = ["localize-score", "exemplars", "probe", "score", "batch", "atlas", "train", "gaze train"]


@pytest.fixture(scope="module")
def damage(workplace):
    """The function that damages bytes at random."""
    import importlib.util
    import pathlib

    spec = importlib.util.spec_from_file_location("damage", pathlib.Path(workplace.__file__).with_name("damage.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.damage


@pytest.mark.parametrize("name", JOBS)
def test_what_a_job_left_is_damaged(name, cli, given, workplace, damage, tmp_path):
    command, draw = workplace.commands(given, 1, "out")[name], random.Random(zlib.crc32(name.encode()))
    code, said = cli(*command)
    assert code == 0, said
    state = [path for path in sorted((tmp_path / "out").rglob("*")) if path.suffix in (".json", ".npz", ".parquet")]
    files = state or [path for path in sorted((tmp_path / "out").rglob("*")) if path.is_file()]
    for file in draw.sample(files, min(2, len(files))):
        whole = file.read_bytes()
        file.write_bytes(damage(whole, draw))
        code, said = cli(*command)
        assert code in (0, 1, 2), said
        assert "--traceback shows where this came from" not in said, (file, said)
        if code:
            assert str(file.relative_to(tmp_path)) in " ".join(said.split()), (file, said)
            file.write_bytes(whole)
            assert cli(*command)[0] == 0


def test_a_batch_keeps_out_of_a_folder_at_which_another_process_is_at_work(cli, given, workplace, tmp_path):
    command = workplace.commands(given, 1, "out")["batch"]
    script = (
        "import pathlib, sys\nfrom kerasal.batch.output_folder import Folder\n"
        f"with Folder(pathlib.Path({str(tmp_path / 'out' / '1')!r})).lock():\n"
        "    print('locked', flush=True)\n    sys.stdin.read()\n"
    )
    other = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "locked\n"
        code, said = cli(*command)
        assert code == 1 and "Another run is" in said, said
    finally:
        other.kill()
        other.communicate()
    code, said = cli(*command)  # a kill ends the lock
    assert code == 0, said
