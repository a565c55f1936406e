"""``view``: the server of the live page, on the loopback interface of this machine only."""

import errno
import logging
import os
import pathlib
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kerasal.checks import check_int
from kerasal.process import load_tensorflow
from kerasal.viewer.photo_list import list_photos

if TYPE_CHECKING:
    from kerasal.viewer.live_model import LiveModel

HOST = "127.0.0.1"
PORT = 8600
_CONFIG = {
    "browser.gatherUsageStats": False,
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "global.developmentMode": False,
    "logger.hideWelcomeMessage": True,
    "server.address": HOST,
    "server.allowedHosts": [HOST, "localhost"],
    "server.fileWatcherType": "none",
    "server.headless": True,
    "theme.light.primaryColor": "#c63d32",
    "theme.dark.primaryColor": "#e8685c",
}
_page: list[Any] = []


def current_page() -> "tuple[LiveModel, dict[str, pathlib.Path]]":
    """Return the model and the photos of the page that is served."""
    return _page[-1]


def view(
    model: Any,
    images: str | os.PathLike | Sequence[str | os.PathLike] | None = None,
    *,
    port: int | None = None,
    browser: bool = True,
    started: Callable[[str], None] | None = None,
) -> None:
    """Serve a live page of a model on this machine until it is interrupted, and open it in the browser.

    On the page one drops a photo or chooses one, and chooses class, layer and method; the map is drawn over the photo
    at its own resolution, with the prediction of where people will look beside it. Other machines cannot reach the
    page, and it loads nothing from the network.

    Args:
        model: an ``ImageModel``, or any model that ``kerasal.open_model`` takes: a file, the name of a zoo model or a
            ``keras.Model``. To pass preprocessing or labels, call ``open_model`` first.
        images: image files and folders that the page lists; the bundled photos are listed after them.
        port: port of the page, 1..65535; by default 8600, or another that is free if it is in use.
        browser: open the page in the browser, if this machine has a screen.
        started: function that is called with the address of the page once it is served; by default it is printed.

    Raises:
        KeyboardInterrupt: Ctrl-C, or the interruption of a notebook's cell, ends the server.
        ModuleNotFoundError: Streamlit is not installed.
        NoPreprocessing: a ValueError; the preprocessing of the model is unknown and must be passed to ``open_model``.
        ValueError: the model cannot be opened or takes no images, ``images`` holds none, or the port is in use.
        FileNotFoundError: the model or an image does not exist.
        RuntimeError: a page is already served by this process.
    """
    need_streamlit()
    if port is not None:
        check_int("port", port, none="None")
    files = list_photos(images)
    if _page:
        raise RuntimeError("view must be interrupted before another page is served by the same process.")
    listener = _listen(port)
    try:
        load_tensorflow()
        from kerasal.models import open_model  # imported here because it loads TensorFlow
        from kerasal.viewer.live_model import LiveModel

        _page.append((LiveModel(open_model(model)), files))
        _serve(listener, browser, started or print)
    finally:
        _page.clear()
        listener.close()


def need_streamlit() -> None:
    """Raise an error if Streamlit is not installed, with the command that installs it."""
    try:
        import streamlit  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"The live page requires {error.name}. Install it with python -m pip install 'kerasal[view]'."
        ) from error


def _listen(port: int | None) -> socket.socket:
    """Return a socket that listens on a port of the loopback interface."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name != "nt":  # there this would allow two servers on one port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        try:
            listener.bind((HOST, PORT if port is None else port))
        except OSError as error:
            if port is not None or error.errno != errno.EADDRINUSE:
                raise
            listener.bind((HOST, 0))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or "Not a port"
        raise ValueError(f"port must be free and in 1..65535, got {port} ({reason}). Choose another.") from error
    return listener


def _serve(listener: socket.socket, browser: bool, started: Callable[[str], None]) -> None:
    """Serve the page in a thread until this one is interrupted; a notebook has an event loop here already."""
    import uvicorn
    from streamlit import config
    from streamlit.runtime import Runtime
    from streamlit.starlette import App

    port = listener.getsockname()[1]
    for option, value in {**_CONFIG, "server.port": port, "browser.serverAddress": HOST}.items():
        config.set_option(option, value)
    log = logging.getLogger("uvicorn.error")
    log.setLevel(logging.WARNING)
    app = App(pathlib.Path(__file__).with_name("page_script.py"))
    settings = uvicorn.Config(
        app, log_config=None, access_log=False, ws="websockets-sansio", timeout_graceful_shutdown=1
    )
    server, failed, ended = uvicorn.Server(settings), [], threading.Event()

    def run() -> None:
        try:
            server.run(sockets=[listener])
        except BaseException as error:
            failed.append(error)
        finally:
            ended.set()  # an interrupted Thread.join takes the thread for dead

    threading.Thread(target=run, name="kerasal-view", daemon=True).start()
    try:
        while not (ended.wait(0.05) or server.started):
            pass
        if server.started:
            address = f"http://{HOST}:{port}"
            started(address)
            if browser and _has_screen():
                webbrowser.open(address)
        while not ended.wait(1):  # without a limit, Windows would not deliver Ctrl-C
            pass
    finally:
        log.setLevel(logging.CRITICAL)  # open tabs are cut off, which is no error
        server.should_exit = True
        ended.wait(5)
        Runtime._instance = None  # else Streamlit would serve no second page in this process, such as a notebook
    if failed:
        raise RuntimeError(f"The server of the page has stopped: {failed[0]}.") from failed[0]


def _has_screen() -> bool:
    """Return whether a browser can open a window; on Linux without a screen, it would take over the terminal."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
