"""Compare the page of ``kerasal gaze page`` in headless Chromium with ``kerasal.gaze.predict``, photo by photo.

    python benchmarks/gaze_page.py PHOTO [PHOTO ...] [--runtime FOLDER] [--model MODEL] [--rounds 7] [--isolated]

The page is built in a temporary folder and served on this machine. Every photo is predicted in both in turn; times are
medians over the rounds. In both, they are those of resizing the photo, running the model and enlarging the map to the
photo's size; decoding the file is left out. ``difference`` is the largest of the map, whose values are 0..1. For
``photo``, both get the file, which each decodes itself; for ``pixels``, the browser gets a PNG of the pixels that
Python decodes. With ``--isolated``, the server sends the headers with which browsers allow threads. Needs playwright.
"""

import argparse
import base64
import functools
import http.server
import os
import pathlib
import statistics
import sys
import tempfile
import threading
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from markdown_tables import print_table
from playwright.sync_api import expect, sync_playwright

from kerasal import gaze, images, open_model
from kerasal.gaze_page import build

CHROMIUM = "/usr/bin/chromium"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
PREDICT = """async (text) => {
  const file = new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))]);
  const { map, milliseconds } = await kerasalGaze.predict(file);
  const reader = new FileReader();
  await new Promise((done) => { reader.onload = done; reader.readAsDataURL(new Blob([map])); });
  return [reader.result, milliseconds];
}"""


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serve a folder silently; with ``isolated``, allow threads in the browser."""

    isolated = False

    def log_message(self, *_):
        pass

    def end_headers(self):
        if self.isolated:
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()


def predict_in_browser(tab, content):
    """Return the map and the times in milliseconds of a file's content in the browser."""
    text, milliseconds = tab.evaluate(PREDICT, base64.b64encode(content).decode())
    return np.frombuffer(base64.b64decode(text.partition(",")[2]), np.float32), milliseconds


def measure(tab, predictor, path, rounds):
    """Return the row of one photo."""
    photo, own, browser = images.read(path), [], []
    for _ in range(rounds):
        start = time.perf_counter()
        expected = gaze.predict(photo, predictor).map
        own.append(1000 * (time.perf_counter() - start))
        values, milliseconds = predict_in_browser(tab, path.read_bytes())
        browser.append(milliseconds)
    pixels, _ = predict_in_browser(tab, images.encode_png(photo))
    times = {key: statistics.median(entry[key] for entry in browser) for key in browser[0]}
    return {
        "pixels (width × height)": f"{photo.shape[1]} × {photo.shape[0]}",
        "difference, photo": f"{np.abs(values - expected.ravel()).max():.1e}",
        "difference, pixels": f"{np.abs(pixels - expected.ravel()).max():.1e}",
        "browser, ms": f"{times['predict']:.0f}",
        "of it the model": f"{times['model']:.0f}",
        "Python, ms": f"{statistics.median(own):.0f}",
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", type=pathlib.Path)
    parser.add_argument("--runtime", type=pathlib.Path)
    parser.add_argument("--model", default="gaze")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--isolated", action="store_true")
    arguments = parser.parse_args()
    predictor = gaze.Predictor.from_image_model(open_model(arguments.model))
    Handler.isolated = arguments.isolated
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as running:
        written = build(folder, predictor, runtime=arguments.runtime)
        handler = functools.partial(Handler, directory=folder)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = running.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        tab = browser.new_page()
        tab.goto(f"http://127.0.0.1:{server.server_port}/")
        expect(tab.locator("#status")).to_contain_text("predicted in", timeout=60_000)
        rows = {path.name: measure(tab, predictor, path, arguments.rounds) for path in arguments.photos}
        version, threads = browser.version, tab.evaluate("kerasalGaze.threads")
        browser.close()
        server.shutdown()
        server.server_close()
    print_table(f"Chromium {version}, onnxruntime-web {written.runtime}, {threads} thread(s)", rows)


if __name__ == "__main__":
    main()
