"""``kerasal batch`` as a person types it, and on workers: the same bytes for any number, and after kill -9 of one."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from kerasal import gaze, images
from kerasal.cli import run as command

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture
def quiet(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def cli(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as stop:
            command(["batch", *map(str, arguments), "--threads", "0"])
        captured = capsys.readouterr()
        return stop.value.code or 0, captured.out, captured.err

    return call


def kerasal(*arguments):
    """Start the command in a process of its own."""
    call = [sys.executable, "-m", "kerasal", "batch", *map(str, arguments)]
    checkout = str(pathlib.Path(__file__).resolve().parents[2])
    path = os.pathsep.join([checkout, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return subprocess.Popen(
        call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )


def finished(process, code=0):
    """Wait for the end of a command that ends with this exit code; return what it said."""
    out, err = process.communicate(timeout=600)
    assert process.returncode == code, err
    return out + err


@pytest.mark.slow
def test_the_command(cli, model_file, photos, tmp_path):
    code, out, err = cli("class_saliency", model_file, photos, "out", "-p", "unit", "--class", "2")
    assert code == 1  # because of the dead letters
    assert "7 of 10 images; 3 dead letters; manifest.json lists them" in out
    assert "b/empty.jpg: " in err
    assert set(pd.read_parquet("out/shards")["class"]) == {2}
    code, out, err = cli("class_saliency", model_file, photos, "out", "-p", "unit", "--class", "2")
    assert "7 of 10 images (10 images were done before)" in out
    code, out, err = cli("class_saliency", model_file, photos, "out", "-p", "unit", "--class", "3")
    assert code == 2
    assert "class: 2 there, 3 now" in err
    code, out, err = cli("class_saliency", model_file, photos / "b" / "text.jpg", "bad", "-p", "unit")
    assert code == 1
    assert "None of the images could be processed" in err
    assert cli("class_saliency", model_file, photos, "x", "-O", "samples")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "setting"),
    [
        (["rise", "MODEL", "IMAGES", "OUT", "--samples", "100"], "Set options of rise with -O: -O samples=100."),
        (["rise", "MODEL", "IMAGES", "OUT", "--no-subtract-mean"], "-O subtract_mean=False."),
        (["scorecam", "MODEL", "IMAGES", "OUT", "--max-channels=8"], "-O channels=8."),
        (["localize", "MODEL", "IMAGES", "OUT", "--top", "2"], "If it is an option of localize, set it with -O"),
    ],
)
def test_an_option_of_the_method_typed_as_a_flag(cli, arguments, setting):
    code, _, err = cli(*arguments)
    assert code == 2 and setting in err
    assert "-O" not in cli("rise", "MODEL", "IMAGES", "OUT", "--unknown")[2]


def test_smoothing_is_for_maps_only(cli, model_file, photos):
    code, _, err = cli("predict", model_file, photos / "a" / "1.png", "x", "-p", "unit", "--smooth", 2)
    assert code == 2 and "smoothing must be None for predict" in err
    code, _, err = cli("gradcam", model_file, photos / "a" / "1.png", "y", "-p", "unit", "--smooth", 2, "-f", "png")
    assert code == 0, err
    assert images.read("y/pictures/1.png.png").std() > 10


def test_predictions_and_boxes(cli, model_file, photos):
    code, _, err = cli("predict", model_file, photos / "a" / "1.png", "scores", "-p", "unit")
    assert code == 0, err
    row = pd.read_parquet("scores/shards").iloc[0]
    assert row["image"] == "1.png"
    assert row["output"].shape == (6,)
    assert row["output"].sum() == pytest.approx(1, abs=1e-5)
    code, _, err = cli("localize", model_file, photos / "a" / "1.png", "boxes", "-p", "unit", "-O", "top=2")
    assert code == 0, err
    table = pd.read_parquet("boxes/shards")
    assert list(table["class"]) == list(np.argsort(-row["output"])[:2])
    assert (table["x_min"] < table["x_max"]).all()
    assert (table["x_max"] <= 17).all()
    code, _, err = cli("predict", model_file, photos / "a" / "1.png", "drawn", "-p", "unit", "-f", "png")
    assert code == 0, err
    assert images.read("drawn/pictures/1.png.png").std() > 10


@pytest.mark.slow
def test_gaze(cli, photos):
    code, _, err = cli("gaze", "gaze", photos / "a", "maps", "-O", "side=14")
    assert code == 1, err
    assert "cut.png" in err
    table = pd.read_parquet("maps/shards")
    assert [tuple(shape) for shape in table["shape"]] == [(10, 14), (10, 14)]
    assert cli("gaze", photos / "a" / "1.png", "drawn", "-f", "png")[0] == 0
    assert images.read("drawn/pictures/1.png.png").std() > 10


@pytest.mark.slow
def test_a_large_photo_is_not_shrunk_before_the_prediction(cli, tmp_path):
    photo = np.random.default_rng(0).integers(0, 256, (320, 1280, 3)).astype(np.uint8)
    path = images.write(tmp_path / "wide" / "wide.png", photo)
    assert cli("gaze", "gaze", path, "wide-maps")[0] == 0
    row = pd.read_parquet("wide-maps/shards").iloc[0]
    assert tuple(row["shape"]) == (128, 512)
    found = gaze.resize_map(gaze.predict(photo).cells, (128, 512), "none")
    np.testing.assert_allclose(row["map"].reshape(128, 512), found / found.max(), atol=0.02)


def test_help_loads_no_tensorflow():
    code = (
        "from kerasal.cli import run\ntry:\n    run(['batch', '--help'])\nexcept SystemExit:\n    pass\n"
        "import sys, kerasal.batch; heavy = {'tensorflow', 'keras', 'ray', 'pyarrow'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    checkout = pathlib.Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=checkout, check=False)
    assert done.returncode == 0, done.stderr
    assert "--workers" in done.stdout


def descendants(pid):
    """Return the processes below one, as {pid: name}."""
    parents, names = {}, {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text().rpartition(") ")[2].split()
            names[int(folder.name)] = (folder / "cmdline").read_text().split("\0")[0]
        except (OSError, IndexError):
            continue
        parents[int(folder.name)] = int(stat[1])
    found, seen = {}, {pid}
    while new := {child for child, parent in parents.items() if parent in seen} - seen:
        seen |= new
        found |= {child: names[child] for child in new}
    return found


@pytest.mark.slow
def test_workers_give_the_same_bytes_even_when_one_is_killed(model_file, tmp_path, contents):
    random = np.random.default_rng(0)
    for number in range(40):
        images.write(tmp_path / "many" / f"{number}.png", random.integers(0, 255, (8, 8, 3), np.uint8))
    (tmp_path / "many" / "bad.png").write_text("no image")
    question = ("smoothgrad", model_file, tmp_path / "many", "-p", "unit", "-O", "samples=500", "--shard-size", "2")

    def ask(out, *more):
        return kerasal(*question[:3], out, *question[3:], *more)

    finished(ask("alone"), 1)  # 1: one image is a dead letter
    finished(ask("one", "--workers", "1"), 1)
    killed = ask("two", "--workers", "2")
    workers = []
    while killed.poll() is None and len(workers) < 2:  # they are there while they load the model
        workers = [pid for pid, name in descendants(killed.pid).items() if name.startswith("ray::Worker")]
        time.sleep(0.1)
    while killed.poll() is None and not list(tmp_path.glob("two/done/*.json")):
        time.sleep(0.005)
    os.kill(workers[0], signal.SIGKILL)
    assert len(list(tmp_path.glob("two/done/*.json"))) < 20, "the batch was over before a worker could be killed"
    finished(killed, 1)
    assert contents(tmp_path / "two") == contents(tmp_path / "one") == contents(tmp_path / "alone")
    assert len(list(tmp_path.glob("alone/done/*.json"))) == 21


@pytest.mark.slow
def test_an_error_in_a_worker_is_the_usual_one_and_a_killed_batch_goes_on(model_file, photos, tmp_path, contents):
    process = kerasal("class_saliency", model_file, photos, "out", "-p", "unit", "--workers", "1", "--address", "auto")
    said = finished(process, 1).splitlines()[-1]
    assert "Ray" in said
    assert "Error:" in said
    many = tmp_path / "many"
    for number in range(24):
        images.write(many / f"{number}.png", np.full((8, 8, 3), 10 * number, np.uint8))
    question = ("-p", "unit", "-O", "samples=500", "--shard-size", "2")
    first = kerasal("smoothgrad", model_file, many, "out", *question)
    while first.poll() is None and len(list(tmp_path.glob("out/done/*.json"))) < 2:
        time.sleep(0.02)
    first.kill()  # -9, of everything: the batch without Ray is one process
    first.communicate()
    assert 2 <= len(list(tmp_path.glob("out/done/*.json"))) < 12
    assert "done before" in finished(kerasal("smoothgrad", model_file, many, "out", *question))
    finished(kerasal("smoothgrad", model_file, many, "whole", *question))
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
