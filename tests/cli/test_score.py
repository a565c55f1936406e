"""kerasal score: the table of evaluate, nothing dropped silently, and a run that can be interrupted."""

import concurrent.futures
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from kerasal import metrics
from kerasal.cli.score import score
from kerasal.metrics import score_job
from kerasal.row_journal import journal_path

RANDOM = np.random.default_rng(12)
SHAPE = (24, 32)
NAMES = ["a", "b", "c", "d"]
MAPS = {name: RANDOM.integers(0, 255, SHAPE).astype(np.uint8) for name in NAMES}
POINTS = {
    name: np.stack([RANDOM.integers(0, 32, 12), RANDOM.integers(0, 24, 12)], axis=1)[[0, 0, *range(12)]]
    for name in NAMES
}

app = typer.Typer()
app.command()(score)


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def folders(tmp_path):
    maps, fixations = tmp_path / "maps", tmp_path / "fixations"
    maps.mkdir()
    fixations.mkdir()
    for name in NAMES:
        Image.fromarray(MAPS[name]).save(maps / f"{name}.png")
        marked = np.zeros(SHAPE, np.uint8)
        marked[POINTS[name][:, 1], POINTS[name][:, 0]] = 255
        Image.fromarray(marked).save(fixations / f"{name}.png")
    return maps, fixations, tmp_path / "out" / "scores.csv"


def test_table_is_the_one_of_evaluate(folders):
    maps, fixations, output = folders
    result = call(maps, fixations, "--sigma", "2", "-o", output)
    assert result.exit_code == 0, result.output
    found = pd.read_csv(output, index_col="image")
    assert found.pop("error").isna().all()
    wanted = metrics.evaluate(MAPS.values(), POINTS.values(), names=NAMES, sigma=2)
    binary = metrics.evaluate(
        MAPS.values(), [np.unique(points, axis=0) for points in POINTS.values()], names=NAMES, sigma=2
    )
    assert not wanted.equals(binary)  # a picture of marks cannot say how often
    pd.testing.assert_frame_equal(found, binary, check_exact=False, rtol=1e-12)
    for text in ("auc_judd", "4 images", "center", "mean", "MIT"):
        assert text in result.output
    described = json.loads(output.with_suffix(".json").read_text())
    assert described["definitions"]["nss"].startswith("NSS")
    assert described["summary"]["nss"]["images"] == 4
    with Image.open(output.with_suffix(".png")) as figure:
        assert min(figure.size) > 300
        assert np.asarray(figure.convert("L")).std() > 10
    assert sorted(path.name for path in output.parent.iterdir()) == ["scores.csv", "scores.json", "scores.png"]


def test_processes_change_nothing(folders):
    maps, fixations, output = folders
    assert call(maps, fixations, "-o", output).exit_code == 0
    once = output.read_text()
    environment = dict(os.environ)
    assert call(maps, fixations, "-o", output, "--workers", "2").exit_code == 0
    assert output.read_text() == once
    assert dict(os.environ) == environment


def test_options_reach_the_table(folders):
    maps, fixations, output = folders
    result = call(
        maps, fixations, "-m", "nss", "-m", "auc", "--definition", "tuebingen", "--baseline", "none", "-o", output
    )
    assert result.exit_code == 0, result.output
    table = pd.read_csv(output, index_col="image")
    assert table.columns.tolist() == ["nss", "auc", "error"]
    points = np.unique(POINTS["a"], axis=0)
    assert table.loc["a", "nss"] == pytest.approx(metrics.nss(MAPS["a"], points, ddof=0), abs=1e-12)
    assert table.loc["a", "auc"] == pytest.approx(metrics.auc(MAPS["a"], points, negatives="all"), abs=1e-12)


def test_densities_and_resizing(folders, tmp_path):
    maps, fixations, output = folders
    densities = tmp_path / "densities"
    densities.mkdir()
    for name in NAMES:
        np.save(densities / f"{name}.npy", metrics.blur_fixations(POINTS[name], 2, SHAPE))
        Image.fromarray(MAPS[name]).resize((16, 12)).save(maps / f"{name}.png")
    refused = call(maps, fixations, "--densities", densities, "-o", output)
    assert isinstance(refused.exception, RuntimeError)
    assert "must have the shape (24, 32) of the ground truth" in pd.read_csv(output)["error"].iloc[0]
    assert call(maps, fixations, "--densities", densities, "--resize", "-m", "cc", "-o", output).exit_code == 0
    small = np.asarray(Image.fromarray(MAPS["b"]).resize((16, 12)))
    wanted = metrics.cc(small, metrics.blur_fixations(POINTS["b"], 2, SHAPE), resize="matlab")
    assert pd.read_csv(output, index_col="image").loc["b", "cc"] == pytest.approx(wanted, abs=1e-12)


def test_bad_files_are_named_and_counted(folders):
    maps, fixations, output = folders
    (maps / "b.png").write_bytes(b"not a picture")
    (fixations / "c.png").unlink()
    Image.fromarray(np.zeros(SHAPE, np.uint8)).save(fixations / "d.png")
    Image.fromarray(MAPS["a"]).save(maps / "e.png")
    Image.fromarray(255 * (MAPS["a"] > 200).astype(np.uint8)).save(fixations / "e.png")
    Image.fromarray(MAPS["a"]).save(fixations / "spare.png")
    result = call(maps, fixations, "-o", output)
    assert result.exit_code == 1
    assert "3 of 5 images could not be scored" in result.output
    assert "1 images in" in result.output and "spare" in result.output
    errors = pd.read_csv(output, index_col="image")["error"]
    assert "b.png cannot be read as an image" in errors["b"]
    assert "there are no fixations of this name" in errors["c"]
    assert "must have at least one fixation, got a map of zeros" in errors["d"]
    assert errors[["a", "e"]].isna().all()


def test_all_bad_is_an_error_after_the_table(folders):
    maps, fixations, output = folders
    for name in NAMES:
        (maps / f"{name}.png").write_bytes(b"")
    result = call(maps, fixations, "-o", output)
    assert isinstance(result.exception, RuntimeError)
    assert "None of the 4 images could be scored" in str(result.exception)
    assert pd.read_csv(output)["error"].notna().all()


def test_interrupted_run_is_resumed(folders, monkeypatch):
    maps, fixations, output = folders
    calls = []
    original = score_job.Job.score

    def interrupted(job, name):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(name)
        return original(job, name)

    monkeypatch.setattr(score_job.Job, "score", interrupted)
    assert call(maps, fixations, "-o", output).exit_code != 0
    assert not output.exists()
    journal = journal_path(output)
    journal.write_text(journal.read_text() + '{"image": "c", "torn')

    def counted(job, name):
        calls.append(name)
        return original(job, name)

    monkeypatch.setattr(score_job.Job, "score", counted)
    result = call(maps, fixations, "-o", output)
    assert result.exit_code == 0, result.output
    assert calls == NAMES
    assert "results of 2 images were reused" in " ".join(result.output.split())
    resumed = output.read_text()
    assert call(maps, fixations, "-o", output).exit_code == 0
    assert output.read_text() == resumed
    assert not journal.exists()


def test_changed_files_and_settings_are_not_taken_over(folders, monkeypatch):
    maps, fixations, output = folders
    original = score_job.Job.score
    calls = []

    def interrupted(job, name):
        calls.append(name)
        if name == "d":
            raise KeyboardInterrupt
        return original(job, name)

    monkeypatch.setattr(score_job.Job, "score", interrupted)
    call(maps, fixations, "-o", output)
    Image.fromarray(255 - MAPS["a"]).save(maps / "a.png", compress_level=0)
    calls.clear()
    call(maps, fixations, "-o", output)
    assert calls == ["a", "d"]
    calls.clear()
    call(maps, fixations, "-o", output, "--seed", "3")
    assert calls == NAMES


def test_coursework(folders, tmp_path):
    _, fixations, output = folders
    predictions = tmp_path / "predictions"
    predictions.mkdir()
    raw = {name: RANDOM.normal(0.5, 0.4, 2304).astype("float32") for name in NAMES}
    for name in NAMES:
        np.save(predictions / f"{name}.npy", raw[name])
    result = call(predictions, fixations, "--definition", "coursework", "-o", output)
    assert result.exit_code == 0, result.output
    plain = pd.read_csv(output, index_col="image")
    assert plain.columns.tolist() == ["cc", "auc_shuffled", "auc_borji", "error"]
    others = np.vstack([POINTS[name] for name in "bcd"])
    wanted = metrics.coursework_scores(raw["a"], POINTS["a"], others, SHAPE)
    assert plain.loc["a", "cc"] == pytest.approx(wanted["cc"], abs=1e-12)
    assert plain.loc["a", "auc_shuffled"] == pytest.approx(wanted["auc_shuffled"], abs=1e-12)
    assert call(predictions, fixations, "--definition", "coursework", "--legacy", "-o", output).exit_code == 0
    legacy = pd.read_csv(output, index_col="image")
    assert (legacy["cc"] != plain["cc"]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-m", "nsss"], "Unknown metric 'nsss'. Did you mean nss"),
        (["-m", "cc"], "'cc' must have densities"),
        (["--definition", "coursework", "-m", "nss"], "Unknown metric of the coursework 'nss'"),
        (["--baseline", "middle"], "Unknown baseline 'middle'"),
        (["--sigma", "wide"], "sigma must be a positive number of pixels"),
    ],
)
def test_bad_options(folders, arguments, message):
    maps, fixations, output = folders
    result = call(maps, fixations, *([] if "-o" in arguments else ["-o", output]), *arguments)
    assert isinstance(result.exception, ValueError)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)
    assert not output.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--legacy"], "--legacy can only be used with --definition coursework."),
        (["--coordinate-size", "wide"], "--coordinate-size must be HEIGHTxWIDTH"),
        (["-o", "scores.txt"], "The output must end in .csv"),
    ],
)
def test_bad_options_of_the_command(folders, arguments, message):
    maps, fixations, output = folders
    result = call(maps, fixations, *([] if "-o" in arguments else ["-o", output]), *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())
    assert not output.exists()


def test_folders_that_do_not_fit(folders, tmp_path):
    maps, fixations, output = folders
    result = call(tmp_path / "nowhere", fixations, "-o", output)
    assert isinstance(result.exception, FileNotFoundError)
    (tmp_path / "empty").mkdir()
    assert "must have maps, got none" in str(call(tmp_path / "empty", fixations, "-o", output).exception)
    assert "must have files of fixations" in str(call(maps, tmp_path / "empty", "-o", output).exception)
    (tmp_path / "other").mkdir()
    Image.fromarray(MAPS["a"]).save(tmp_path / "other" / "zzz.png")
    assert "must have names in common" in str(call(maps, tmp_path / "other", "-o", output).exception)
    Image.fromarray(MAPS["a"]).save(maps / "a.bmp")
    assert "must have maps of different names" in str(call(maps, fixations, "-o", output).exception)


def test_a_single_image(folders):
    maps, fixations, output = folders
    for name in NAMES[1:]:
        (maps / f"{name}.png").unlink()
    result = call(maps, fixations, "-o", output)
    assert result.exit_code == 0, result.output
    assert "The shuffled AUC and the baseline mean need several images" in result.output
    columns = pd.read_csv(output).columns
    assert "nss" in columns and "center_nss" in columns
    assert not {"auc_shuffled", "mean_nss"} & set(columns)
    assert call(maps, fixations, "-m", "auc_shuffled", "--baseline", "none", "-o", output).exception is not None
    assert "must have the fixations of other images" in pd.read_csv(output)["error"].iloc[0]


def test_a_single_image_with_named_metrics(folders):
    maps, fixations, output = folders
    for name in NAMES[1:]:
        (maps / f"{name}.png").unlink()
    result = call(maps, fixations, "-m", "nss", "-o", output)
    assert result.exit_code == 0, result.output
    assert "The baseline mean needs several images" in result.output
    assert {"nss", "center_nss"} == set(pd.read_csv(output).columns) - {"image", "error"}
    assert call(maps, fixations, "-m", "nss", "--baseline", "mean", "-o", output).exception is not None
    assert "must have at least two images" in pd.read_csv(output)["error"].iloc[0]


_PARENT = """
import concurrent.futures, multiprocessing, os, time
from kerasal.metrics import score_job
if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(1, context, initializer=score_job._start_worker, initargs=(None,))
    print(pool.submit(os.getpid).result(), flush=True)
    time.sleep(60)
"""


def test_workers_end_with_a_killed_parent(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(_PARENT)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        parent.kill()
        # The worker holds the other end of the pipe, so it closes when the worker has ended.
        with concurrent.futures.ThreadPoolExecutor(1) as waiting:
            try:
                waiting.submit(parent.stdout.read).result(timeout=10)
            except TimeoutError:
                os.kill(worker, signal.SIGKILL)
                pytest.fail("the worker outlived its parent")
