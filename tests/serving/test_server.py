"""``kerasal serve``: which server is started, and what is said where there is none."""

import os
import subprocess
import sys

import pytest

from kerasal.serving import server


@pytest.fixture
def export(tmp_path):
    """A folder as an export leaves it; what is in the versions does not matter here."""
    for name in ("digits", "letters"):
        (tmp_path / "models" / name / "1").mkdir(parents=True)
        (tmp_path / "models" / name / "1" / "saved_model.pb").write_text("")
    return tmp_path / "models"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Put programs that say how they were called first on the path; Docker is there only if it is asked for."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def install(name, fails_on=""):
        check = f'case "$*" in *"{fails_on}"*) exit 1;; esac\n' if fails_on else ""
        (folder / name).write_text(f'#!/bin/sh\n{check}echo "{name} $@"\n')
        (folder / name).chmod(0o755)

    return install


def test_the_model_is_found_in_or_at_the_folder(export):
    assert server.find_model(export, "digits") == export / "digits"
    assert server.find_model(export / "digits") == export / "digits"
    assert server.find_model(export / "digits" / "1") == export / "digits"
    with pytest.raises(ValueError, match=r"It has the models digits, letters\. Choose one"):
        server.find_model(export)
    with pytest.raises(ValueError, match="named 'numbers'"):
        server.find_model(export, "numbers")
    with pytest.raises(FileNotFoundError, match=r"kerasal\.export"):
        server.find_model(export / "nothing")
    (export / "empty").mkdir()
    with pytest.raises(ValueError, match=r"kerasal\.export"):
        server.find_model(export / "empty")


def _serve(*arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-m", "kerasal", "serve", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.slow
def test_without_a_server_it_says_what_to_install(export, installed):
    done = _serve(export / "digits")
    assert done.returncode == 1
    assert f"-p 127.0.0.1:8501:8501 -p 127.0.0.1:8500:8500 -v {export}/digits:/models/digits:ro" in done.stderr
    assert "not installed" in done.stderr
    assert _serve(export / "digits", "--dry-run").stdout.startswith("docker run --rm -p 127.0.0.1:8501:8501")


@pytest.mark.slow
def test_docker_is_used_where_the_image_is(export, installed):
    installed("docker")
    done = _serve(export, "--name", "letters", "--port", 9000)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("docker run --rm -p 127.0.0.1:9000:8501")
    assert done.stdout.strip().endswith("-e MODEL_NAME=letters tensorflow/serving")
    assert "http://127.0.0.1:9000/v1/models/letters:predict" in done.stderr


@pytest.mark.slow
def test_no_image_is_downloaded(export, installed):
    installed("docker", fails_on="image inspect")
    done = _serve(export / "digits")
    assert (done.returncode, done.stdout) == (1, "")
    assert "not installed" in done.stderr


@pytest.mark.slow
def test_a_bare_server_listens_everywhere_only_if_that_is_said(export, installed):
    installed("tensorflow_model_server")
    done = _serve(export / "digits")
    assert done.returncode == 1
    assert "listens on every network interface" in done.stderr
    done = _serve(export / "digits", "--all-interfaces")
    assert done.returncode == 0, done.stderr
    options = "--rest_api_port=8501 --port=8500 --model_name=digits"
    assert f"{options} --model_base_path={export}/digits" in done.stdout
