"""A batch in this process: what is written, what a rerun does, and what is refused before anything is computed."""

import json

import numpy as np
import pandas as pd
import pytest

import kerasal
from kerasal import attribution, batch, images, preprocessing
from kerasal.batch import shard as shard_work

pytestmark = pytest.mark.slow  # whole batches

GOOD = ["a/1.png", "a/2.png", "b/1.png", "b/3.jpg", "b/4.webp", "gray.png", "moving.gif"]
BAD = ["a/cut.png", "b/empty.jpg", "b/text.jpg"]


def made(monkeypatch):
    """Note the shards that are made from now on."""
    numbers, original = [], shard_work.make_shard

    def make(kind, out, shard):
        numbers.append(shard.number)
        return original(kind, out, shard)

    monkeypatch.setattr(shard_work, "make_shard", make)
    return numbers


def test_maps_are_those_of_the_method_and_bad_images_are_dead_letters(run, photos, model_file, tmp_path):
    found = run()
    table = pd.read_parquet(tmp_path / "out" / "shards")
    assert sorted(table["image"]) == GOOD
    assert [letter["image"] for letter in found.dead_letters] == BAD
    assert "damaged or truncated" in found.dead_letters[0]["reason"]
    assert found.dead_letters[1]["path"] == str(photos / "b" / "empty.jpg")
    assert any("moving.gif has 2 frames" in text for text in found.remarks)
    assert found.new == 10
    assert found.results == 7
    model = kerasal.load_model(model_file)
    for row in table.itertuples():
        pixels = images.fit_image(images.read(photos / row.image), (8, 8))
        inputs = preprocessing.get("unit").apply(pixels)[None]
        outputs = np.asarray(model(inputs))[0]
        assert row[2] == outputs.argmax()
        assert row.score == pytest.approx(outputs.max(), rel=1e-5)
        expected = attribution.class_saliency(model, inputs)[0]
        np.testing.assert_allclose(row.map.reshape(row.shape), expected, rtol=1e-4, atol=1e-7)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["complete"]
    assert manifest["dead_letters"] == found.dead_letters
    assert manifest["kerasal"] == kerasal.__version__
    assert len(manifest["settings"]["model"]["sha256"]) == 64
    assert [shard["images"] for shard in manifest["shards"]] == [3, 3, 3, 1]


def test_smoothed_maps_are_those_of_smooth_and_the_folder_knows(run, photos, model_file, tmp_path):
    smoothing = {"samples": 3, "noise": 0.2}
    run("gradcam", smoothing=smoothing)
    table = pd.read_parquet(tmp_path / "out" / "shards")
    assert sorted(table["image"]) == GOOD
    model = kerasal.load_model(model_file)
    for row in table.itertuples():
        inputs = preprocessing.get("unit").apply(images.fit_image(images.read(photos / row.image), (8, 8)))[None]
        expected = attribution.smooth("gradcam", **smoothing)(model, inputs)[0]
        np.testing.assert_allclose(row.map.reshape(row.shape), expected, rtol=1e-4, atol=1e-7)
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["settings"]["smoothing"] == smoothing
    with pytest.raises(ValueError, match="smoothing"):
        run("gradcam")
    run("gradcam", out="plain")
    assert "smoothing" not in json.loads((tmp_path / "plain" / "manifest.json").read_text())["settings"]
    with pytest.raises(ValueError, match="smoothing must be None for predict"):
        run("predict", out="other", smoothing=smoothing)
    with pytest.raises(ValueError, match="smoothing must not include progress"):
        run(out="other", smoothing={"progress": True})


def test_an_npz_holds_the_same(run, tmp_path):
    run()
    run(out="npz", format="npz")
    table = pd.read_parquet(tmp_path / "out" / "shards")
    parts = [np.load(path, allow_pickle=False) for path in sorted((tmp_path / "npz" / "shards").glob("*.npz"))]
    assert [name for part in parts for name in part["image"]] == list(table["image"])
    maps = np.concatenate([part["map"] for part in parts if len(part["image"])])
    assert maps.shape == (7, 8, 8)
    np.testing.assert_array_equal(maps, np.stack([row.map.reshape(row.shape) for row in table.itertuples()]))


def test_pictures_lie_as_the_images_do(run, tmp_path):
    run(format="png")
    pictures = tmp_path / "out" / "pictures"
    assert sorted(path.relative_to(pictures).as_posix() for path in pictures.rglob("*.png")) == [
        f"{name}.png" for name in GOOD
    ]
    assert all(images.read(pictures / f"{name}.png").std() > 10 for name in GOOD)


def test_the_same_twice_is_the_same_bytes(run, tmp_path, contents):
    for format in ("parquet", "npz", "png"):
        run(out="one", format=format)
        run(out="two", format=format)
        assert contents(tmp_path / "one") == contents(tmp_path / "two")
        for folder in ("one", "two"):
            (tmp_path / folder).rename(tmp_path / f"{format}-{folder}")


def test_a_rerun_does_only_what_is_missing(run, tmp_path, contents, monkeypatch, photos):
    run()
    before, numbers = contents(tmp_path / "out"), made(monkeypatch)
    assert run().new == 0
    assert numbers == []
    (tmp_path / "out" / "shards" / "00001.parquet").unlink()
    (tmp_path / "out" / "done" / "00002.json").write_text("{torn")
    assert run().new == 6
    assert numbers == [1, 2]
    assert contents(tmp_path / "out") == before
    images.write(photos / "a" / "0-new.png", np.zeros((9, 9), np.uint8))
    assert run().new == 1
    assert numbers == [1, 2, 4]
    images.write(photos / "b" / "text.jpg", np.zeros((9, 9, 3), np.uint8))  # repaired
    found = run()
    assert numbers == [1, 2, 4, 2]
    assert [letter["image"] for letter in found.dead_letters] == BAD[:2]
    assert found.results == 9


def test_what_was_damaged_in_place_is_made_again(run, tmp_path, contents, monkeypatch):
    run(format="npz")
    before, numbers = contents(tmp_path / "out"), made(monkeypatch)
    shard = tmp_path / "out" / "shards" / "00001.npz"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 255
    shard.write_bytes(data)
    assert run(format="npz").new == 3
    assert numbers == [1]
    assert contents(tmp_path / "out") == before


def test_images_that_are_gone_are_not_counted(run, tmp_path, monkeypatch, photos):
    run()
    numbers = made(monkeypatch)
    for name in ("a/2.png", "b/text.jpg"):
        (photos / name).unlink()
    found = run()
    assert (found.new, numbers, found.results) == (0, [], 6)
    assert [letter["image"] for letter in found.dead_letters] == BAD[:2]
    assert "also holds 1 result of images that are not part of this batch" in found.remarks[0]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (manifest["gone"], manifest["images"], manifest["results"]) == (["a/2.png"], 8, 6)
    rows = pd.read_parquet(tmp_path / "out" / "shards")["image"]
    assert set(rows) - set(manifest["gone"]) == set(GOOD) - {"a/2.png"}


def test_what_is_interrupted_goes_on(run, tmp_path, contents, monkeypatch):
    run(out="whole")
    original = shard_work.make_shard

    def stop(kind, out, shard):
        if shard.number == 2:
            (out / "shards" / ".00002-abcdefgh.parquet").touch()  # as a kill leaves it
            raise KeyboardInterrupt
        return original(kind, out, shard)

    monkeypatch.setattr(shard_work, "make_shard", stop)
    with pytest.raises(KeyboardInterrupt, match="repeat the call to continue"):
        run()
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["complete"] is False
    monkeypatch.setattr(shard_work, "make_shard", original)
    assert run().new == 4
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_retry_tries_dead_letters_again(run, monkeypatch):
    run()
    numbers = made(monkeypatch)
    assert run(retry=True).new == 6
    assert numbers == [0, 2]


def test_another_question_is_refused_and_says_what_differs(run, tmp_path, make_model, contents, monkeypatch):
    run()
    before, numbers = contents(tmp_path / "out"), made(monkeypatch)
    with pytest.raises(ValueError, match="method: class_saliency there, input_gradient now"):
        run("input_gradient")
    with pytest.raises(ValueError, match=r"options: \{\} there, \{'channel_reduction': 'norm'\} now"):
        run(options={"channel_reduction": "norm"})
    with pytest.raises(ValueError, match=r"preprocessing: .* there, tf now"):
        run(preprocessing="tf")
    make_model("sequential").save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match=r"model name: net.keras there, other.keras now; model sha256: \w{64} there"):
        run(model=tmp_path / "other.keras")
    assert numbers == []
    assert contents(tmp_path / "out") == before


def test_a_kill_in_the_first_moment_leaves_a_folder_that_can_be_used(run, tmp_path, contents):
    run(out="whole")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".manifest-ab_defg1.json").touch()
    run()
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_folder_with_something_else_is_refused(run, tmp_path, photos):
    with pytest.raises(ValueError, match=r"got other files \(a, b, gray.png, …\)"):
        run(out="photos")
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="must be a folder, got the file"):
        run(out="file")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "manifest.json").write_text('{"format": 7}')
    with pytest.raises(
        ValueError, match=r"manifest.json must identify the folder as results of kerasal batch, got a damaged"
    ):
        run(out="theirs")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"method": "class_saliencies"}, "Did you mean class_saliency"),
        ({"model": "no/such.keras"}, "no model file"),
        ({"method": "gradcam", "options": {"layer": "conv9"}}, "Unknown layer 'conv9'"),
        ({"method": "smoothgrad", "options": {"sample": 3}}, "Did you mean samples"),
        ({"class_": "17"}, "6"),
        ({"channel": ("conv1", 40)}, "There are 4 channels"),
        ({"method": "predict", "options": {"top": 3}}, "Unknown option 'top'"),
        ({"format": "csv"}, "parquet, npz, png"),
        ({"workers": -1}, "workers must be 0 or a positive integer, got -1"),
        ({"address": "auto"}, "workers must be a positive integer if address is set"),
        ({"preprocesing": "tf"}, "Did you mean preprocessing"),
        ({"preprocessing": None}, "preprocessing must be known"),
        ({"model": "vgg16"}, "random weights"),
        ({"images": "nowhere"}, "There is no image file or folder"),
    ],
)
def test_a_wrong_question_fails_before_anything_is_made(run, tmp_path, monkeypatch, given, message):
    if given.get("model") == "vgg16":
        from kerasal.models import registry

        monkeypatch.setattr(registry, "load_model", lambda *_, **__: kerasal.create_model("mnist_cnn"))
    numbers = made(monkeypatch)
    with pytest.raises((ValueError, TypeError, FileNotFoundError), match=message):
        run(**given)
    assert numbers == []
    assert not (tmp_path / "out").exists()


def test_an_image_that_the_method_fails_on_costs_the_others_nothing(run, monkeypatch, tmp_path):
    original = attribution.class_saliency

    def picky(model, inputs, *given, **options):
        if len(inputs) > 1 or np.ptp(inputs, axis=-1).max() == 0:
            raise ValueError("class_saliency gave NaN")
        return original(model, inputs, *given, **options)

    monkeypatch.setattr(attribution, "class_saliency", picky)
    monkeypatch.setattr(shard_work, "try_once", lambda *_: None)
    found = run()
    assert sorted(pd.read_parquet(tmp_path / "out" / "shards")["image"]) == GOOD[:5]
    assert sorted(letter["image"] for letter in found.dead_letters) == sorted([*BAD, *GOOD[5:]])  # and the gray ones


def test_a_model_in_memory_is_refused(run, shared_model):
    with pytest.raises(TypeError, match="model must be a path or the name of a zoo model"):
        run(model=shared_model("functional"))


def test_a_decoder_may_raise_anything(run, monkeypatch):
    original = images.read

    def read(path):
        if str(path).endswith("a/2.png"):
            raise AssertionError("odd")
        return original(path)

    monkeypatch.setattr(images, "read", read)
    assert {"image", "path", "reason"} == set(run().dead_letters[0])
    assert run(out="again").dead_letters[0]["reason"] == "odd"


def test_every_image_is_bad(run, photos, tmp_path):
    found = run(images=[photos / "a" / "cut.png", photos / "nowhere.png"])
    assert found.results == 0
    assert "There is no image file" in found.dead_letters[1]["reason"]
    assert pd.read_parquet(tmp_path / "out" / "shards").shape == (0, 6)


def test_threads_that_can_no_longer_be_set_are_said(run, tmp_path):
    run()
    with pytest.raises(RuntimeError, match="before TensorFlow computes anything in this process"):
        run(out="other", threads=7)


def test_a_second_run_is_kept_out(run, tmp_path):
    from kerasal.batch.output_folder import Folder

    with Folder(tmp_path / "out").lock(), pytest.raises(ValueError, match="Another run is writing"):
        run()


def test_no_ray_is_explained(run, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r'pip install "kerasal\[batch\]"'):
        run(workers=2)
    assert batch.methods()


def test_the_name_of_weights_is_not_a_folder_of_that_name(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kerasal").mkdir()
    images.write(tmp_path / "digits" / "0.png", np.zeros((28, 28), np.uint8))
    run("predict", model="mnist_cnn", weights="kerasal", images=tmp_path / "digits", preprocessing=None)
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["settings"]["weights"] == "kerasal"
