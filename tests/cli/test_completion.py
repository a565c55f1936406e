"""Completion in the shells: what is proposed, without TensorFlow, and the scripts that call it."""

import json
import os
import pathlib
import subprocess
import sys
import zipfile

import pytest

from kerasal.cli import completion, run

import keras


@pytest.fixture
def complete(capsys, monkeypatch, tmp_path):
    """Return the proposals of Bash for a line, whose last word is completed."""
    monkeypatch.chdir(tmp_path)

    def call(line):
        words = line.split(" ")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
        monkeypatch.setenv("_KERASAL_COMPLETE", "complete_bash")
        with pytest.raises(SystemExit):
            run([])
        return [text for text in capsys.readouterr().out.splitlines() if text]

    return call


@pytest.fixture
def model_file(make_model, tmp_path):
    make_model("nested").save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def test_commands_methods_and_options(complete):
    assert complete("kerasal fea") == ["feature-maps"]
    assert complete("kerasal attribute gradc") == ["gradcam", "gradcam_plus_plus"]
    assert complete("kerasal attribute gradcam --model-o") == ["--model-output", "--model-option"]
    assert complete("kerasal maximize m.keras --preset ") == ["simonyan", "tang", "channel", "olah", "smooth"]
    assert complete("kerasal gaze train --recipe gaze") == ["gaze", "gaze_tune"]
    assert complete("kerasal localize m.keras --method smooth") == ["smoothgrad"]
    assert complete("kerasal batch occ") == ["occlusion"]
    assert complete("kerasal patterns m.keras --net") == []  # old spellings are not proposed


def test_models_of_the_zoo_and_files(complete, tmp_path):
    for name in ("vggmine.keras", "vgg.txt", "photos/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert complete("kerasal card vgg") == ["vgg16", "vgg19"]
    assert complete("kerasal compare vgg") == ["vgg16", "vgg19", "vggmine.keras"]
    (tmp_path / "photo.jpg").touch()
    assert complete("kerasal gaze predict phot") == ["photo.jpg", "photos"]
    assert complete("kerasal exemplars m.keras phot") == ["photo.jpg", "photos"]
    assert complete("kerasal compare phot") == ["photos"]
    assert complete("kerasal compare photos/") == []  # a path is the shell's


def test_layers_of_the_model_on_the_line(complete, model_file):
    assert complete("kerasal patterns model.keras --layer encoder/innermost/c") == ["encoder/innermost/conv1"]
    assert complete("kerasal field model.keras flat") == complete("kerasal maximize model.keras -l flat")
    assert complete("kerasal attribute gradcam model.keras a.png --layer flat") == ["flatten"]
    assert complete("kerasal probe model.keras x --layers conv2,flat") == ["conv2,flatten"]
    assert complete("kerasal maximize model.keras --channel flat") == ["flatten:"]
    assert complete("kerasal maximize --layer pool none.keras") == []


def test_the_layers_are_those_that_keras_has(make_model, model_file):
    with zipfile.ZipFile(model_file) as archive:
        paths = completion.layer_paths(json.loads(archive.read("config.json"))["config"])
    model = keras.saving.load_model(model_file)
    expected = [layer for layer in model._flatten_layers(include_self=False) if not isinstance(layer, keras.Model)]
    names = [layer.name for layer in expected if not isinstance(layer, keras.layers.InputLayer)]
    assert sorted(path.rpartition("/")[2] for path in paths) == sorted(names)


def test_a_run_knows_its_layers_and_classes(complete, model_file, tmp_path):
    run_folder = tmp_path / "run"
    run_folder.mkdir()
    model_file.rename(run_folder / "m.keras")
    (run_folder / "run.json").write_text(json.dumps({"model_file": "m.keras", "labels": ["ant", "bee", "black ant"]}))
    assert complete("kerasal patterns run --layer flat") == ["flatten"]
    assert complete("kerasal compare run a.png --class b") == ["bee"]
    assert complete("kerasal compare run a.png -c ") == ["ant", "bee", "'black ant'"]
    assert complete("kerasal compare m.keras a.png --labels digits --class 3") == ["3"]
    assert complete("kerasal compare m.keras a.png --labels none.txt --class 3") == []


def test_signatures(complete):
    from kerasal.serving import signatures

    assert complete("kerasal export m.keras -s predict") == ["predict", "predict_image", "predict_bytes"]
    assert complete("kerasal export m.keras -s maps=class") == ["maps=class_saliency"]
    assert set(completion.SIGNATURES) == set(signatures.KINDS)


def test_batch_methods():
    from kerasal.batch import methods
    from kerasal.cli.method_table import method_names

    assert sorted([*completion.BATCH_METHODS, *method_names()]) == methods()


@pytest.mark.parametrize("damage", [b"", b"PK", None])
def test_a_damaged_model_has_no_layers(complete, model_file, damage):
    if damage is None:
        with zipfile.ZipFile(model_file, "w") as archive:
            archive.writestr("config.json", "[1, 2]")
    else:
        model_file.write_bytes(damage)
    assert complete("kerasal patterns model.keras --layer ") == []


LINES = ["kerasal attribute ", "kerasal patterns model.keras --layer ", "kerasal export model.keras -s ", "kerasal "]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("line", LINES)
@pytest.mark.quick(
    "kerasal attribute -bash", "kerasal patterns model.keras --layer -zsh", "kerasal export model.keras -s -fish"
)
def test_no_shell_waits_for_tensorflow(line, shell, model_file, tmp_path):
    code = (
        "import resource, sys\nfrom kerasal.cli import run\n"
        "try:\n    run([])\nexcept SystemExit:\n    pass\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_utime, file=sys.stderr)"
    )
    checkout = str(pathlib.Path(__file__).resolve().parents[2])
    environment = {
        **os.environ,
        "PYTHONPATH": checkout,
        "_KERASAL_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    if shell != "bash":
        del environment["COMP_WORDS"]
    call = [sys.executable, "-c", code]
    done = subprocess.run(call, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    expected = {"attribute": "gradcam", "patterns": "flatten", "export": "predict_image"}.get(
        line.split(" ")[1], "card"
    )
    assert expected in done.stdout
    assert float(done.stderr.split()[-1]) < 2  # .4 s on an idle machine; TensorFlow alone takes longer


@pytest.mark.parametrize(
    ("shell", "part"), [("bash", "complete -o default"), ("zsh", "compdef"), ("fish", "complete ")]
)
def test_the_script_of_a_shell(cli, monkeypatch, shell, part):
    monkeypatch.setattr("shellingham.detect_shell", lambda: (shell, f"/bin/{shell}"))
    code, out, err = cli("--show-completion")
    assert code == 0, err
    assert part in out and f"_KERASAL_COMPLETE=complete_{shell}" in out


def test_the_script_is_installed(cli, monkeypatch, tmp_path):
    monkeypatch.setattr("shellingham.detect_shell", lambda: ("bash", "/bin/bash"))
    monkeypatch.setenv("HOME", str(tmp_path))
    code, _, err = cli("--install-completion")
    assert code == 0, err
    script = tmp_path / ".bash_completions" / "kerasal.sh"
    assert "_KERASAL_COMPLETE=complete_bash" in script.read_text()
    assert str(script) in (tmp_path / ".bashrc").read_text()
