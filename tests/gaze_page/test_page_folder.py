"""The folder of the page: complete, or nothing is written; the runtime; the converted model."""

import json
import os
import re
import stat

import numpy as np
import onnx
import pytest

from kerasal import images
from kerasal.gaze import Predictor
from kerasal.gaze_page import build, page_folder, page_model, web_runtime


@pytest.fixture(scope="module")
def site(tmp_path_factory, density_model, false_runtime):
    folder = tmp_path_factory.mktemp("page") / "site"
    predictor = Predictor(density_model, "mean=127,std=128")
    return build(folder, predictor, runtime=false_runtime, title="Eyes & <b>more</b>", name="my <model>")


def test_everything_that_the_page_needs_is_in_the_folder(site):
    listed = {path.relative_to(site.folder).as_posix() for path in site.folder.rglob("*") if path.is_file()}
    assert listed == set(site.files)
    assert site.size == sum((site.folder / file).stat().st_size for file in site.files)
    page = (site.folder / "index.html").read_text(encoding="utf-8")
    named = re.findall(r'(?:src|href|data-file)="([^"#]+)"', page)
    assert {name for name in named if not name.startswith("data:")} <= listed
    scripts = [path.read_text(encoding="utf-8") for path in (site.folder / "assets").glob("*.js")]
    for script in scripts:
        for name in re.findall(r'from "\./([^"]+)"', script):
            assert f"assets/{name}" in listed
    assert not re.search(r"https?://(?!localhost)", "".join([page, *scripts]))
    assert all((site.folder / f"runtime/{name}").stat().st_size for name in ("LICENSE", "ThirdPartyNotices.txt"))
    assert "Apache-2.0" in (site.folder / "LICENSES.txt").read_text(encoding="utf-8")


def test_texts_are_escaped(site):
    page = (site.folder / "index.html").read_text(encoding="utf-8")
    assert "Eyes &amp; &lt;b&gt;more&lt;/b&gt;" in page and "my &lt;model&gt;" in page and "<b>more" not in page


def test_settings_are_those_of_the_predictor(site):
    settings = json.loads((site.folder / "settings.json").read_text())
    assert settings["log_density"] and settings["postprocess"] == "none" and settings["size"] is None
    assert (settings["image_size"], settings["step"], settings["narrow"]) == ([240, 320], 32, 16)
    assert site.runtime == settings["runtime"] == "9.8.7"
    assert site.difference < 1e-4


@pytest.mark.parametrize("name", ["density_model", "plain_model"])
def test_the_file_takes_any_photo_that_the_predictor_takes(name, request, tmp_path):
    import onnxruntime

    predictor = Predictor(request.getfixturevalue(name), "caffe", target_range="pm1")
    file = tmp_path / "model.onnx"
    file.write_bytes(page_model.convert_predictor(predictor).SerializeToString())
    session = onnxruntime.InferenceSession(file)
    (put,) = session.get_inputs()
    assert put.type == "tensor(uint8)" and put.shape[0] == 1
    for shape in ((48, 64), (64, 80)) if predictor.size is None else ((48, 64),):
        pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
        (maps,) = session.run(None, {put.name: pixels[None]})
        expected = predictor.forward(pixels[None]).numpy()
        np.testing.assert_allclose(maps, expected, atol=1e-5)


def test_weights_that_half_precision_holds_are_stored_in_it():
    random = np.random.default_rng(0)
    exact = random.normal(size=(40, 40)).astype(np.float16).astype(np.float32)
    other, small = random.normal(size=(40, 40)).astype(np.float32), np.ones(3, np.float32)
    weights = {"exact": exact, "other": other, "small": small, "huge": np.full((40, 40), 1e9, np.float32)}
    value = onnx.helper.make_tensor_value_info
    nodes = [onnx.helper.make_node("Identity", [name], [f"{name}_out"]) for name in weights]
    graph = onnx.helper.make_graph(
        nodes,
        "g",
        [],
        [value(f"{name}_out", onnx.TensorProto.FLOAT, array.shape) for name, array in weights.items()],
        [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    page_model.store_in_half(model)
    onnx.checker.check_model(model)
    assert [entry.name for entry in model.graph.initializer if entry.data_type == onnx.TensorProto.FLOAT16] == [
        "exact_half"
    ]
    import onnxruntime

    outputs = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {})
    for output, array in zip(outputs, weights.values(), strict=True):
        np.testing.assert_array_equal(output, array)


def test_a_model_that_computes_something_else_is_refused(
    plain_model, density_model, false_runtime, tmp_path, monkeypatch
):
    other = page_model.convert_predictor(Predictor(plain_model, "none"))
    monkeypatch.setattr(page_folder, "convert_predictor", lambda predictor: other)
    with pytest.raises(ValueError, match=r"must be the same in onnxruntime .* got a difference of"):
        build(tmp_path / "site", Predictor(plain_model, "unit"), runtime=false_runtime)
    with pytest.raises(ValueError, match="onnxruntime cannot run the gaze model 'density'"):
        build(tmp_path / "site", Predictor(density_model), runtime=false_runtime)
    assert not (tmp_path / "site").exists()


def test_a_page_is_replaced_and_other_files_are_kept(plain_model, false_runtime, tmp_path):
    photo = images.write(tmp_path / "straße 1.png", np.zeros((30, 40, 3), np.uint8))
    site, predictor = tmp_path / "site", Predictor(plain_model)
    first = build(site, predictor, runtime=false_runtime)
    assert (site / "examples/1-cat.jpg").is_file() and first.files
    (site / "robots.txt").write_text("mine")
    second = build(site, predictor, runtime=false_runtime, examples=[photo])
    assert [file for file in second.files if file.startswith("examples")] == ["examples/1-stra-e-1.png"]
    assert [path.name for path in (site / "examples").iterdir()] == ["1-stra-e-1.png"]
    assert (site / "robots.txt").read_text() == "mine"


def test_examples_that_no_browser_reads_become_png(plain_model, false_runtime, tmp_path):
    photo = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    np.save(tmp_path / "photo.npy", photo)
    build(tmp_path / "site", Predictor(plain_model), runtime=false_runtime, examples=[tmp_path / "photo.npy"])
    np.testing.assert_array_equal(images.read(tmp_path / "site/examples/1-photo.png"), photo)


def test_a_folder_with_other_files_is_refused(plain_model, false_runtime, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="which has other files"):
        build(tmp_path, Predictor(plain_model), runtime=false_runtime)
    (tmp_path / "settings.json").write_text('{"kind": "something else", "files": ["thesis.txt"]}')
    with pytest.raises(FileExistsError, match="which has other files"):
        build(tmp_path, Predictor(plain_model), runtime=false_runtime)
    with pytest.raises(FileExistsError, match="got the file"):
        build(tmp_path / "thesis.txt", Predictor(plain_model), runtime=false_runtime)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_no_file_outside_the_folder_is_removed(plain_model, false_runtime, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    build(tmp_path / "site", Predictor(plain_model), runtime=false_runtime)
    settings = tmp_path / "site" / "settings.json"
    files = ["../mine.txt", str(tmp_path / "mine.txt")]
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "files": files}))
    build(tmp_path / "site", Predictor(plain_model), runtime=false_runtime)
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "place", ["", "node_modules", "node_modules/onnxruntime-web", "node_modules/onnxruntime-web/dist"]
)
def test_a_runtime_is_found_in_the_folder_of_an_installation(false_runtime, place):
    with web_runtime.open_runtime(false_runtime / place) as (folder, version):
        assert version == "9.8.7" and all((folder / name).is_file() for name in web_runtime.FILES)


def test_a_folder_without_the_runtime_says_how_to_get_it(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with (
            pytest.raises(
                FileNotFoundError, match=f"^runtime must be .* npm install onnxruntime-web@{web_runtime.VERSION}"
            ),
            web_runtime.open_runtime(folder),
        ):
            pass


def test_without_npm_the_error_says_what_to_do(monkeypatch, tmp_path, plain_model):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(web_runtime.NoRuntime, match=r"^npm must be installed .* pass it as runtime='FOLDER'\.$"):
        build(tmp_path / "site", Predictor(plain_model))
    assert not (tmp_path / "site").exists()


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands for npm")
def test_a_failure_of_npm_is_reported_with_its_reason(monkeypatch, tmp_path):
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error code ENOTFOUND' >&2\nexit 1\n")
    npm.chmod(npm.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with (
        pytest.raises(web_runtime.NoRuntime, match=r"npm could not get .*: npm error code ENOTFOUND\. On any"),
        web_runtime.open_runtime(None),
    ):
        pass
