"""kerasal localize and localize-score: pictures and tables, whole or not at all, and a run that goes on."""

import json

import numpy as np
import pandas as pd
import pytest

from kerasal import images, localization
from kerasal.localization import folder_evaluation
from kerasal.row_journal import journal_path

import keras

BOXES = {"red": (6, 4, 26, 24), "blue": (30, 20, 44, 30)}
COLORS_OF_MODEL = ("red", "green", "blue")
COLORS = {"red": (230, 30, 30), "blue": (30, 30, 230)}


@pytest.fixture
def model_file(tmp_path, color_classifier):
    """The classifier of colors and its names as files."""
    color_classifier.save(tmp_path / "net.keras")
    (tmp_path / "names.txt").write_text("red\ngreen\nblue\n")
    return tmp_path / "net.keras"


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    random = np.random.default_rng(0)
    rows = ["image,class,x_min,y_min,x_max,y_max"]
    for number, name in enumerate(("red", "blue", "red")):
        pixels = random.normal(110, 5, (40, 50, 3))
        x_min, y_min, x_max, y_max = BOXES[name]
        pixels[y_min:y_max, x_min:x_max] = COLORS[name] + random.normal(0, 5, (y_max - y_min, x_max - x_min, 3))
        images.write(folder / f"p{number}.png", np.clip(pixels, 0, 255).astype(np.uint8))
        rows.append(f"p{number},{name},{x_min},{y_min},{x_max},{y_max}")
    (tmp_path / "boxes.csv").write_text("\n".join(rows) + "\n")
    return folder


def _how(model_file):
    return "-p", "unit", "--labels", model_file.parent / "names.txt"


def test_localize_writes_a_row_a_class(cli, model_file, photos):
    code, out, error = cli("localize", model_file, photos / "p0.png", "-c", "red", "-c", "blue", *_how(model_file))
    assert code == 0, error
    assert "red" in out
    assert "map of class 2 is 0 everywhere" in error  # nothing is blue
    picture = images.read("p0-boxes.png")
    assert picture.shape[1] > 5 * 190
    for color in ((0, 0, 255), (0, 255, 255), (255, 40, 40)):  # seeds and the box, drawn over the photograph
        assert (np.abs(picture.astype(int) - color).max(axis=2) < 90).any(), color


def test_score_writes_errors_and_overlaps(cli, model_file, photos, tmp_path):
    code, out, error = cli(
        "localize-score", model_file, photos, tmp_path / "boxes.csv", "-o", "out.csv", "--top", 2, *_how(model_file)
    )
    assert code == 0, error
    assert "top-1 localization error" in out
    table = pd.read_csv("out.csv", index_col="image")
    assert table.index.tolist() == ["p0", "p1", "p2"]
    assert (table["iou"] > 0.6).all()
    assert (table["missed_1"] == 0).all()
    summary = json.loads((tmp_path / "out.json").read_text())["summary"]
    assert summary["iou"]["mean"] == pytest.approx(table["iou"].mean())
    assert not journal_path(tmp_path / "out.csv").exists()


def test_an_interrupted_run_goes_on(cli, model_file, photos, tmp_path, monkeypatch):
    done = []
    original = folder_evaluation._score_row

    def interrupted(opened, file, *rest):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(file.name)
        return original(opened, file, *rest)

    arguments = ("localize-score", model_file, photos, tmp_path / "boxes.csv", "-o", "out.csv", *_how(model_file))
    monkeypatch.setattr(folder_evaluation, "_score_row", interrupted)
    code, _, error = cli(*arguments)
    assert code == 130
    assert "run the same command again to continue" in error
    assert not (tmp_path / "out.csv").exists()
    done.clear()
    code, _, error = cli(*arguments)
    assert code == 0
    assert done == ["p2.png"]
    assert "results of 2 images were reused" in error


@pytest.mark.slow
def test_rows_of_other_weights_are_not_taken_over(cli, model_file, photos, tmp_path, monkeypatch):
    """The folder of a training, whose model is replaced between the two parts of a run; compared with a run at once."""
    run = tmp_path / "run"
    run.mkdir()
    facts = {
        "model_file": "net.keras",
        "task": "classification",
        "labels": list(COLORS_OF_MODEL),
        "preprocessing": "unit",
    }
    (run / "run.json").write_text(json.dumps(facts))
    model = keras.saving.load_model(model_file)
    model.save(run / "net.keras")
    original, done = folder_evaluation._score_row, []

    def interrupted(opened, file, *rest):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(file.name)
        return original(opened, file, *rest)

    arguments = ("localize-score", run, photos, tmp_path / "boxes.csv")
    monkeypatch.setattr(folder_evaluation, "_score_row", interrupted)
    assert cli(*arguments, "-o", "out.csv")[0] == 130
    monkeypatch.setattr(folder_evaluation, "_score_row", original)
    kernel, bias = model.get_layer("colors").get_weights()
    model.get_layer("colors").set_weights([kernel[..., [1, 0, 2]], bias])  # red is called green
    model.save(run / "net.keras")
    code, _, error = cli(*arguments, "-o", "out.csv")
    assert code == 0 and "reused" not in error and "Starting over" in error
    assert cli(*arguments, "-o", "fresh.csv")[0] == 0
    pd.testing.assert_frame_equal(pd.read_csv("out.csv"), pd.read_csv("fresh.csv"))
    assert pd.read_csv("out.csv")["missed_1"].tolist() == [1, 0, 1]


def test_a_folder_in_the_outputs_place_is_seen_at_once(cli, model_file, photos, tmp_path):
    (tmp_path / "out.csv").mkdir()
    code, _, error = cli(
        "localize-score", model_file, photos, tmp_path / "boxes.csv", "-o", "out.csv", *_how(model_file)
    )
    assert code == 2
    assert "is a folder" in error
    assert not journal_path(tmp_path / "out.csv").exists()


@pytest.mark.slow
def test_a_torn_journal_loses_no_further_row(cli, model_file, photos, tmp_path, monkeypatch):
    arguments = ("localize-score", model_file, photos, tmp_path / "boxes.csv", "-o", "out.csv", *_how(model_file))
    original, done = folder_evaluation._score_row, []

    def stopped_after(count):
        def row(opened, file, *rest):
            if len(done) == count:
                raise KeyboardInterrupt
            done.append(file.name)
            return original(opened, file, *rest)

        return row

    monkeypatch.setattr(folder_evaluation, "_score_row", stopped_after(1))
    assert cli(*arguments)[0] == 130
    journal = journal_path(tmp_path / "out.csv")
    journal.write_text(journal.read_text() + '{"image": "p1", "sta')
    monkeypatch.setattr(folder_evaluation, "_score_row", stopped_after(2))
    assert cli(*arguments)[0] == 130
    monkeypatch.setattr(folder_evaluation, "_score_row", stopped_after(3))
    assert cli(*arguments)[0] == 0
    assert done == ["p0.png", "p1.png", "p2.png"]


def test_a_class_that_is_guessed_is_localized_once(cli, model_file, photos, tmp_path, monkeypatch):
    asked, original = [], localization.localize

    def localize(*args, **options):
        asked.append(options.get("classes"))
        return original(*args, **options)

    monkeypatch.setattr(folder_evaluation, "localize", localize)
    arguments = ("localize-score", model_file, photos, tmp_path / "boxes.csv", *_how(model_file))
    assert cli(*arguments, "--top", 3, "-o", "all.csv")[0] == 0
    assert asked == [None, None, None]
    asked.clear()
    (tmp_path / "boxes.csv").write_text((tmp_path / "boxes.csv").read_text().replace("p2,red", "p2,green"))
    assert cli(*arguments, "--top", 1, "-o", "one.csv")[0] == 0
    assert asked == [None, None, None, [1]]


def test_boxes_of_another_size_are_scaled(cli, model_file, photos, tmp_path):
    rows = ["image,class,xmin,ymin,xmax,ymax,width,height"]
    for number, name in enumerate(("red", "blue", "red")):
        box = ",".join(str(3 * side) for side in BOXES[name])
        rows.append(f"p{number},{name},{box},150,120")
    (tmp_path / "large.csv").write_text("\n".join(rows) + "\n")
    for file in ("boxes.csv", "large.csv"):
        assert cli("localize-score", model_file, photos, tmp_path / file, "-o", f"of-{file}", *_how(model_file))[0] == 0
    one, other = (pd.read_csv(f"of-{file}") for file in ("boxes.csv", "large.csv"))
    assert one["iou"].tolist() == pytest.approx(other["iou"].tolist())
    (tmp_path / "square.csv").write_text("\n".join(rows).replace("150,120", "150,150") + "\n")
    code, _, error = cli("localize-score", model_file, photos, tmp_path / "square.csv", *_how(model_file))
    assert code == 1
    assert "must have the aspect ratio" in error


def test_images_without_boxes_are_named_and_others_scored(cli, model_file, photos, tmp_path):
    (photos / "broken[red].png").write_bytes(b"\x89PNG nothing")
    text = (tmp_path / "boxes.csv").read_text()
    (tmp_path / "boxes.csv").write_text(
        "\n".join(line for line in text.splitlines() if not line.startswith("p1")) + "\nbroken[red],red,0,0,9,9\n"
    )
    code, _, error = cli(
        "localize-score", model_file, photos, tmp_path / "boxes.csv", "-o", "out.csv", *_how(model_file)
    )
    assert code == 1
    assert "p1: " in error
    assert "has no box for this image" in error
    assert "broken[red]: " in error
    table = pd.read_csv("out.csv", index_col="image")
    assert table["iou"].notna().tolist() == [False, True, False, True]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("red", "redd"), "Did you mean red"),
        (lambda text: text.replace("red", "rad"), "--class-map CSV"),
        (lambda text: text.replace("p0", "q0").replace("p1", "q1").replace("p2", "q2"), "must match, got"),
        (lambda text: text.replace("6,4,26,24", "6,4,260,24"), "must lie in the image, 50 × 40"),
    ],
)
def test_boxes_that_do_not_fit(cli, model_file, photos, tmp_path, change, message):
    (tmp_path / "boxes.csv").write_text(change((tmp_path / "boxes.csv").read_text()))
    code, _, error = cli(
        "localize-score", model_file, photos, tmp_path / "boxes.csv", "-o", "out.csv", *_how(model_file)
    )
    assert code == (1 if (tmp_path / "out.csv").exists() else 2)  # 1: the boxes of each image are wrong
    assert message in error


def test_a_table_of_classes_gives_their_numbers(cli, model_file, photos, tmp_path):
    text = (tmp_path / "boxes.csv").read_text()
    (tmp_path / "boxes.csv").write_text(text.replace("red", "n01").replace("blue", "n02"))
    (tmp_path / "classes.csv").write_text("wnid,name,imagenet_index\nn01,red,0\nn02,blue,2\n")
    code, _, error = cli(
        "localize-score",
        model_file,
        photos,
        tmp_path / "boxes.csv",
        "--class-map",
        tmp_path / "classes.csv",
        "-p",
        "unit",
        "-o",
        "out.csv",
    )
    assert code == 0, error
    assert (pd.read_csv("out.csv")["iou"] > 0.6).all()
