"""The server of the live page: what is refused before it starts."""

import socket
import sys

import pytest

import kerasal
from kerasal.viewer import page_server


def test_a_missing_extra_is_named_with_its_remedy(monkeypatch, opened):
    monkeypatch.setitem(sys.modules, "streamlit", None)
    with pytest.raises(ModuleNotFoundError, match=r"requires streamlit.*pip install 'kerasal\[view\]'"):
        kerasal.view(opened)


def test_a_port_in_use_is_an_error_if_it_was_chosen_and_else_another_is_taken():
    with socket.socket() as other:
        other.bind((page_server.HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ValueError, match=f"port must be free and in 1..65535, got {port} "):
            page_server._listen(port)
    listener = page_server._listen(None)
    second = page_server._listen(None)
    assert listener.getsockname()[0] == second.getsockname()[0] == "127.0.0.1"
    assert listener.getsockname()[1] != second.getsockname()[1]
    listener.close()
    second.close()


@pytest.mark.parametrize("port", [70000, 0, 8600.5])
def test_a_wrong_port_is_an_error(opened, port):
    pytest.importorskip("streamlit")
    with pytest.raises((ValueError, TypeError), match="port must be"):
        kerasal.view(opened, port=port)


def test_wrong_photos_and_models_are_errors(opened, shared_model, tmp_path):
    pytest.importorskip("streamlit")
    with pytest.raises(FileNotFoundError):
        kerasal.view(opened, tmp_path / "none.jpg")
    with pytest.raises(kerasal.models.NoPreprocessing):
        kerasal.view(shared_model("functional"))
    assert page_server._page == []


def test_no_browser_without_a_screen(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert not page_server._has_screen()
    monkeypatch.setenv("DISPLAY", ":0")
    assert page_server._has_screen()
