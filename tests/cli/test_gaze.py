import json
import pathlib
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from kerasal import gaze
from kerasal.cli.gaze import app
from kerasal.cli.gaze_options import split_model_and_images
from kerasal.models import open_model

NET = ("shallow_saliency", "--model-option", "filters=(2,3,4)", "--model-option", "hidden=8", "--batch-norm")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A student's folder: eight photographs with a bright spot, and a table of where people looked."""
    folder = tmp_path_factory.mktemp("student")
    (folder / "images").mkdir()
    random = np.random.default_rng(0)
    rows = []
    for i in range(8):
        y, x = random.integers(10, 50), random.integers(10, 70)
        image = random.integers(0, 40, (60, 80, 3)).astype(np.uint8)
        image[y - 6 : y + 7, x - 6 : x + 7] = 230
        Image.fromarray(image).save(folder / "images" / f"photo{i}.png")
        spots = np.clip(random.normal((x, y), 2, (10, 2)), 0, (79, 59)).round().astype(int)
        rows += [(f"photo{i}", *spot) for spot in spots]
    pd.DataFrame(rows, columns=["image", "x", "y"]).to_csv(folder / "fixations.csv", index=False)
    return folder


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    output = tmp_path_factory.mktemp("run")
    result = invoke("train", *NET, "--data", folder, "-o", output, "--epochs", 3, "--batch-size", 4, "--seed", 3)
    assert result.exit_code == 0, result.output + str(result.exception)
    return output, result


def test_train(run, folder):
    output, result = run
    assert "7 images to train on, 1 to validate on" in result.stderr.replace("\n", " ")
    assert "3/3  loss" in result.stderr and "images/s" in result.stderr
    assert "3 epochs, 6 steps." in result.stdout and "Next: kerasal gaze evaluate" in result.stdout
    assert len(pd.read_csv(output / "history.csv")) == 3
    facts = json.loads((output / "run.json").read_text())
    assert (facts["recipe"], facts["model"], facts["data"]) == ("default", "shallow_saliency", [str(folder)])
    again = invoke("train", *NET, "--data", folder, "-o", output, "--epochs", 3, "--batch-size", 2, "--seed", 3, "-q")
    assert "batch_size: 4 there, 2 now" in str(again.exception) and again.stdout == ""


def test_predict(run, folder, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"nothing")
    result = invoke("predict", run[0], folder / "images", bad, "-o", tmp_path / "maps")
    assert result.exit_code == 1  # one could not be read, the others are done
    assert "bad.jpg" in result.stderr and "8 maps" in result.stdout
    with Image.open(tmp_path / "maps" / "photo3.png") as picture:
        assert picture.size == (80, 60) and picture.mode == "I;16"
    with Image.open(tmp_path / "maps" / "photo3-overlay.jpg") as picture:  # with a legend below it
        assert picture.size[0] >= 80 and picture.size[1] > 60 and picture.mode == "RGB"
    assert len(list((tmp_path / "maps").iterdir())) == 16


def test_predict_never_replaces_an_image(run, folder):
    before = (folder / "images" / "photo0.png").read_bytes()
    result = invoke("predict", run[0], folder / "images", "-o", folder / "images")
    assert "would replace the input" in " ".join(result.output.replace("│", " ").split())
    assert (folder / "images" / "photo0.png").read_bytes() == before


@pytest.mark.slow
def test_evaluate(run, folder, tmp_path):
    result = invoke("evaluate", run[0], "--data", folder, "-o", tmp_path / "s.csv")
    assert result.exit_code == 0, result.output + str(result.exception)
    table = pd.read_csv(tmp_path / "s.csv", index_col="image")
    assert len(table) == 8 and {"cc", "center_cc", "mean_coursework_cc", "auc_shuffled"} <= set(table)
    summary = json.loads((tmp_path / "s.json").read_text())["summary"]
    assert summary["cc"]["mean"] == pytest.approx(table["cc"].mean())
    assert (tmp_path / "s.png").stat().st_size > 5000
    assert "coursework_cc" in result.stdout and "center" in result.stdout
    assert "fixations without observers" in " ".join(result.stderr.split())


@pytest.mark.slow
def test_evaluate_prints_the_share_of_the_ceiling(run, folder, tmp_path):
    (tmp_path / "images").symlink_to(folder / "images")
    table = pd.read_csv(folder / "fixations.csv")
    table.assign(subject=table.groupby("image").cumcount() % 2).to_csv(tmp_path / "fixations.csv", index=False)
    result = invoke("evaluate", run[0], "--data", tmp_path, "-o", tmp_path / "s.csv")
    assert result.exit_code == 0, result.output + str(result.exception)
    content = json.loads((tmp_path / "s.json").read_text())
    text = " ".join(result.stdout.split())
    assert f"The model explains {content['explained']['share']:.0%} [" in text and "ceiling_nss: NSS" in text
    scores = pd.read_csv(tmp_path / "s.csv")
    share = scores["density_gain"].mean() / scores["ceiling_density_gain"].mean()
    assert content["explained"]["share"] == pytest.approx(share)


def test_share(run, folder, tmp_path):
    photo = folder / "images" / "photo0.png"
    result = invoke("share", run[0], photo, "--box", "left=0,0,40,60", "--box", "40,0,80,60", "-o", tmp_path / "s.png")
    assert result.exit_code == 0, result.output + str(result.exception)
    lines = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines()[2:5]}
    shares = [float(lines[name][0].rstrip("%")) for name in ("left", "2")]
    assert sum(shares) == pytest.approx(100, abs=0.11) and lines["left"][2] == "50.0%" and lines["rest"][3] == "–"
    with Image.open(tmp_path / "s.png") as picture:
        assert picture.size == (80, 60)
    (tmp_path / "boxes.csv").write_text(
        "image,class,x_min,y_min,x_max,y_max\nphoto0,eye,1,1,9,9\nphoto0,eye,11,1,19,9\n"
    )
    result = invoke("share", run[0], photo, "--boxes", tmp_path / "boxes.csv")
    assert "eye 2" in result.stdout and "rest" in result.stdout
    for words, message in (
        ((photo,), "either --box or --boxes"),
        ((photo, "--box", "1,2,3"), "must be X1,Y1,X2,Y2 or NAME=X1,Y1,X2,Y2, got '1,2,3'"),
        ((photo, "--box", "a=0,0,1,1", "--box", "a=0,0,2,2"), "got 'a' twice"),
        ((folder / "images", "--box", "0,0,1,1", "-o", tmp_path / "t.png"), "needs a single photo, got 8"),
    ):
        found = invoke("share", run[0], *words)
        assert found.exit_code == 2 and message in " ".join(found.output.replace("│", " ").split())
    found = invoke("share", run[0], folder / "images" / "photo1.png", "--boxes", tmp_path / "boxes.csv")
    assert "must have boxes of photo1.png, got none" in str(found.exception)


def test_adapt_refuses_few_images_and_other_maps(run, folder, tmp_path):
    output = tmp_path / "adapted.keras"
    result = invoke("adapt", run[0], "--data", folder, "-o", output)
    assert "must be a model of log-densities" in str(result.exception)
    result = invoke("adapt", "gaze", "--weights", "kerasal", "--data", folder, "-o", output)
    assert "at least 10 images to adapt to, got 8" in str(result.exception)
    assert not output.exists()


def test_panel_filters_diagnose_describe(run, folder, tmp_path):
    for arguments, file in (
        (("panel", run[0], "--data", folder), "panel.png"),
        (("panel", run[0], "--data", folder, "--image", "photo2"), "two.png"),
        (("filters", run[0]), "filters.png"),
        (("diagnose", run[0], "--data", folder), "wrap.png"),
    ):
        result = invoke(*arguments, "-o", tmp_path / file)
        assert result.exit_code == 0, result.output + str(result.exception)
        with Image.open(tmp_path / file) as picture:
            assert np.asarray(picture.convert("L")).std() > 10
    assert "from the image" in result.stdout and "own" in result.stdout
    result = invoke("describe", "--data", folder)
    assert result.exit_code == 0 and "8" in result.stdout


def test_diagnose_draws_the_map_of_the_stored_input(run, tmp_path):
    """Of a coursework pickle the model gets X, not X_original."""
    random = np.random.default_rng(0)
    photos = random.random((3, 96, 96, 3)).astype(np.float32)
    fixations = np.zeros((96, 96), np.uint8)
    fixations[40, 30] = 1
    density = random.random((48, 48)).astype(np.float32)
    samples = [
        {"X": 1 - x, "y": density, "X_original": x, "y_original": fixations, "file_name": f"{i}"}
        for i, x in enumerate(photos)
    ]
    (tmp_path / "val.pkl").write_bytes(pickle.dumps(samples))
    result = invoke("diagnose", run[0], "--data", tmp_path / "val.pkl", "-o", tmp_path / "wrap.png")
    assert result.exit_code == 0, result.output + str(result.exception)
    photo, stored = (np.round(255 * values).astype(np.uint8) for values in (photos, 1 - photos))
    predictor = gaze.Predictor.from_image_model(open_model(run[0]))
    expected = [gaze.wrap_panel(x, raw) for x, raw in zip(photo, predictor.raw(stored), strict=True)]
    drawn = np.asarray(Image.open(tmp_path / "wrap.png").convert("RGB"))
    assert any(np.array_equal(drawn, panel) for panel in expected)


def test_dump(run, folder, tmp_path):
    result = invoke("dump", run[0], "--data", folder, "-o", tmp_path / "preds.pkl")
    assert result.exit_code == 0, result.output + str(result.exception)
    assert "8 maps" in result.stdout
    maps = pickle.loads((tmp_path / "preds.pkl").read_bytes())
    assert len(maps) == 8 and all(values.shape == (2304,) for values in maps)
    result = invoke("dump", run[0], "--data", folder, "-o", tmp_path / "preds.csv")
    assert result.exit_code == 2 and ".pkl" in result.output and not (tmp_path / "preds.csv").exists()


@pytest.mark.slow
def test_center_bias_is_trained_and_switched_off(folder, tmp_path):
    result = invoke("train", *NET, "--data", folder, "-o", tmp_path, "--epochs", 1, "--center-bias", "learned", "-q")
    assert result.exit_code == 0, result.output + str(result.exception)
    result = invoke("diagnose", tmp_path, "--data", folder)
    assert "Without its CenterBias layer: own" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "shallow_salienc", "--data", "FOLDER"), "Did you mean shallow_saliency"),
        (("train", "shallow_saliency", "--data", "/no/where"), "/no/where"),
        (("train", "shallow_saliency", "--data", "FOLDER", "--loss", "mae"), "Unknown loss"),
        (("train", "shallow_saliency", "--data", "FOLDER", "--model-option", "preset=smal"), "preset must be one of"),
        (("predict", "shallow_saliency", "/no/image.jpg"), "There is no image file or folder /no/image.jpg"),
        (("evaluate", "/no/run.keras", "--data", "FOLDER"), "There is no model file /no/run.keras"),
        (("evaluate", "UNFINISHED", "--data", "FOLDER"), "is not finished"),
    ],
)
def test_errors_are_one_clear_line(folder, tmp_path, arguments, message):
    (tmp_path / "unfinished").mkdir()
    facts = {"model_file": "net.keras", "preprocessing": "unit", "size": [8, 8], "target_range": "unit"}
    (tmp_path / "unfinished" / "run.json").write_text(json.dumps(facts))
    given = [{"FOLDER": folder, "UNFINISHED": tmp_path / "unfinished"}.get(one, one) for one in arguments]
    output = tmp_path / ("scores.csv" if arguments[0] == "evaluate" else "out")
    result = invoke(*given, "-o", output)
    assert message in str(result.exception) and "\n" not in str(result.exception)
    assert not output.exists()


@pytest.mark.parametrize("option", ["batch_norm", "=3"])
def test_a_model_option_is_key_and_value(folder, option):
    result = invoke("train", "shallow_saliency", "--data", folder, "--model-option", option)
    assert result.exit_code == 2 and "KEY=VALUE" in result.output


def test_help_loads_no_tensorflow():
    code = "import kerasal.cli.gaze, sys; sys.exit(bool({'tensorflow', 'keras', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_on_real_gaze(data_folder, tmp_path):
    """A few epochs on OSIE: the net with batch norm leaves the mean map behind."""
    given = (
        "shallow_saliency",
        "--model-option",
        "preset=small",
        "--batch-norm",
        "--data",
        data_folder / "osie",
        "-o",
        tmp_path,
    )
    result = invoke("train", *given, "--epochs", 20, "-q")
    assert result.exit_code == 0, result.output + str(result.exception)
    invoke("evaluate", tmp_path, "--data", data_folder / "osie", "-o", tmp_path / "s.csv")
    mean = pd.read_csv(tmp_path / "s.csv").mean(numeric_only=True)
    assert mean["cc"] > max(mean["center_cc"], mean["mean_cc"]) + 0.03
    assert mean["auc_shuffled"] > mean["center_auc_shuffled"]


@pytest.mark.slow
def test_the_command_and_the_function_give_the_maps_of_the_net_that_ships(folder, tmp_path):
    invoke("predict", folder / "images" / "photo0.png", "-o", tmp_path / "maps")
    written = np.asarray(Image.open(tmp_path / "maps" / "photo0.png")) / 65535
    found = gaze.predict(folder / "images" / "photo0.png").map
    assert written.max() == found.max() == 1
    np.testing.assert_allclose(written, (found - found.min()) / (1 - found.min()), atol=1 / 65535)


def test_no_photograph_is_replaced_and_equal_names_are_told_apart(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.jpg", "a.png", "b.png", "b-overlay.jpg"):
        Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "in" / name)
    before = (tmp_path / "in" / "b-overlay.jpg").read_bytes()
    result = invoke("predict", tmp_path / "in", "-o", tmp_path / "in")
    assert "would replace the input" in " ".join(result.output.replace("│", " ").split())
    assert (tmp_path / "in" / "b-overlay.jpg").read_bytes() == before
    result = invoke("predict", tmp_path / "in", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output + str(result.exception)
    names = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert names == {"a-jpg.png", "a-png.png", "b.png", "b-overlay.png"}


def test_log_densities_are_not_multiplied_by_a_center(folder, tmp_path):
    net = ("gaze", "--model-option", "encoder_width=0.25", "--model-option", "taps=(2,)")
    result = invoke("train", *net, "--data", folder, "-o", tmp_path / "run", "--center-bias", "learned", "-q")
    assert "got log-densities of gaze" in str(result.exception)
    assert not (tmp_path / "run").exists()


def test_photographs_alone_go_to_the_net_that_ships(folder, tmp_path):
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(
        tmp_path / "moving.gif", save_all=True, append_images=[Image.fromarray(np.full((20, 30, 3), 255, np.uint8))]
    )
    result = invoke("predict", folder / "images", tmp_path / "moving.gif", "-o", tmp_path / "maps")
    assert result.exit_code == 0, result.output + str(result.exception)
    assert "9 maps" in " ".join(result.stdout.split())
    assert "moving.gif contains 2 frames; the map is that of the first" in result.stderr.replace("\n", " ")
    assert np.asarray(Image.open(tmp_path / "maps" / "photo0.png")).shape == (60, 80)


@pytest.mark.parametrize(
    ("arguments", "net", "images"),
    [
        (["photo.jpg"], "gaze", ["photo.jpg"]),
        (["salnet", "photo.jpg"], "salnet", ["photo.jpg"]),
        (["net.keras", "a.png", "b.png"], "net.keras", ["a.png", "b.png"]),
        (["."], "gaze", ["."]),
    ],
)
def test_a_net_before_the_images_is_told_from_images(arguments, net, images):
    assert split_model_and_images(arguments) == (net, [pathlib.Path(one) for one in images])


@pytest.mark.slow
def test_a_folder_of_results_does_not_shadow_the_net(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        result = invoke("predict", folder / "images" / "photo0.png", "-o", "gaze")
        assert result.exit_code == 0, result.output + str(result.exception)
    assert split_model_and_images(["gaze", "a.png"]) == ("gaze", [pathlib.Path("a.png")])
    assert split_model_and_images(["gaze"]) == ("gaze", [pathlib.Path("gaze")])
    result = invoke("evaluate", "gaze", "--data", folder, "--data", folder, "-o", tmp_path / "scores.csv")
    assert result.exit_code == 0, result.output + str(result.exception)
    assert len(pd.read_csv(tmp_path / "scores.csv")) == 16


def test_a_net_without_images_is_refused():
    with pytest.raises(ValueError, match="The model salnet must be followed by photos"):
        split_model_and_images(["salnet"])


def test_import_vxm(data_folder, tmp_path, folder):
    output = tmp_path / "net.keras"
    result = invoke("import-vxm", data_folder / "models" / "fastgaze.vxm", "-o", output)
    assert "121,061 parameters" in " ".join(result.stdout.split())
    convention = result.stdout.split("-p ")[1].strip()
    result = invoke("predict", output, folder / "images" / "photo0.png", "-p", convention, "-o", tmp_path / "maps")
    assert result.exit_code == 0 and (tmp_path / "maps" / "photo0-overlay.jpg").exists()
