"""The page in a real browser: equal to Python, boxes, keys, files, webcam, errors, both themes, a phone, no request."""

import base64
import functools
import http.server
import json
import pathlib
import threading

import numpy as np
import pytest
from PIL import Image

from kerasal import gaze, images
from kerasal.gaze_page import build

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

expect = playwright.expect
ASSETS = pathlib.Path(images.__file__).parents[1] / "assets"
CHROMIUM = pathlib.Path("/usr/bin/chromium")
FLAGS = ("headless", "no-sandbox", "disable-gpu", "disable-background-networking", "disable-component-update")
FLAGS += ("disable-sync", "no-first-run", "use-fake-device-for-media-stream", "use-fake-ui-for-media-stream")
# Large arrays travel as base64, which is faster than lists of numbers.
PREDICT = """async (text) => {
  const file = new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))]);
  const { map, height, width, hotspots, milliseconds } = await kerasalGaze.predict(file);
  const reader = new FileReader();
  await new Promise((done) => { reader.onload = done; reader.readAsDataURL(new Blob([map])); });
  return { map: reader.result, height, width, hotspots, milliseconds };
}"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.is_file(), reason=f"no browser: {CHROMIUM} is missing"),
]


@pytest.fixture(scope="module")
def chromium():
    expect.set_options(timeout=60_000)
    with playwright.sync_playwright() as running:
        yield running.chromium


@pytest.fixture(scope="module")
def browser(chromium):
    found = chromium.launch(executable_path=str(CHROMIUM), args=[f"--{flag}" for flag in FLAGS])
    yield found
    found.close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def serve(folder):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture(scope="module")
def address(tmp_path_factory, runtime, plain_model):
    """Serve the page of the bundled model, and that of a plain model in the folder ``plain``."""
    folder = tmp_path_factory.mktemp("page") / "site"
    build(folder, runtime=runtime)
    build(folder / "plain", gaze.Predictor(plain_model), runtime=runtime)
    server = serve(folder)
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def visit(browser, address):
    """Open the page in a tab that refuses requests to other machines, and note what goes wrong in it."""
    opened, wrong = [], []

    def make(path="", ready=True, script=None, **options):
        context = browser.new_context(accept_downloads=True, **options)
        tab = context.new_page()
        tab.set_default_timeout(60_000)
        tab.on("console", lambda one: wrong.append(one.text) if one.type in ("error", "warning") else None)
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on(
            "request", lambda one: None if one.url.startswith((address, "data:", "blob:")) else wrong.append(one.url)
        )
        if script:
            tab.add_init_script(script)
        tab.goto(address + path)
        opened.append(context)
        if ready:
            expect(tab.locator("#status")).to_contain_text("predicted in")
        return tab

    yield make
    for context in opened:
        context.close()
    assert not wrong


def choose(tab, path):
    tab.locator("#file").set_input_files(path)
    expect(tab.locator("#status")).to_contain_text(f"{path.name}: ")
    return tab.evaluate("kerasalGaze.describe()")


def predict(tab, path):
    """Return the map of a file in the browser, and the rest of its prediction."""
    found = tab.evaluate(PREDICT, base64.b64encode(path.read_bytes()).decode())
    values = np.frombuffer(base64.b64decode(found["map"].partition(",")[2]), np.float32)
    return values.reshape(found["height"], found["width"]), found


@pytest.mark.parametrize("name", ["cat.png", "narrow.png", "tiny.png", "large.png", "half.png", "admiral.jpg"])
def test_the_map_is_that_of_python(visit, tmp_path, name):
    cat = images.read(ASSETS / "cat.jpg")
    photos = {
        "cat.png": cat,
        "narrow.png": images.resize(cat, (60, 600)),
        "tiny.png": images.resize(cat, (9, 12)),
        "large.png": images.resize(cat, (1111, 1500)),
        "half.png": images.resize(cat, (480, 640)),
    }
    path = images.write(tmp_path / name, photos[name]) if name in photos else ASSETS / name
    tab = visit()
    values, found = predict(tab, path)
    expected = gaze.predict(path)
    assert values.shape == expected.map.shape
    assert np.abs(values - expected.map).max() < 1e-3
    spots = np.reshape([[spot["x"], spot["y"], spot["height"]] for spot in found["hotspots"]], (-1, 3))
    np.testing.assert_allclose(spots, expected.hotspots, atol=2e-3)
    assert all(time >= 0 for time in found["milliseconds"].values())


def test_a_model_of_plain_maps_is_that_of_python(visit, plain_model):
    tab = visit("plain/")
    for name in ("cat.jpg", "rocket.jpg"):
        values, _ = predict(tab, ASSETS / name)
        expected = gaze.predict(ASSETS / name, plain_model, preprocessing="unit").map
        # The map of such a model is rounded to 8 bits, in which a value next to a step differs by 1.
        assert np.abs(values - expected).max() < 1.5 / 255 and np.abs(values - expected).mean() < 1e-4


def test_boxes_are_drawn_moved_named_and_removed(visit):
    tab = visit(viewport={"width": 1300, "height": 1000})
    layer = tab.locator("#boxes").bounding_box()
    x, y, width, height = (layer[side] for side in ("x", "y", "width", "height"))
    tab.mouse.move(x + 0.2 * width, y + 0.2 * height)
    tab.mouse.down()
    tab.mouse.move(x + 0.4 * width, y + 0.3 * height)
    tab.mouse.move(x + 0.6 * width, y + 0.7 * height)
    tab.mouse.up()
    assert tab.locator(".box").count() == 1
    tab.keyboard.press("b")
    expect(tab.locator(".box")).to_have_count(2)
    expect(tab.locator(".box").nth(1)).to_be_focused()
    for _ in range(3):
        tab.keyboard.press("ArrowRight")
    tab.keyboard.press("Shift+ArrowDown")
    tab.get_by_label("Name of Box A").fill("Eyes, both")
    tab.wait_for_timeout(300)
    told = tab.evaluate("kerasalGaze.describe()")
    first, second = told["boxes"]
    assert first["name"] == "Eyes, both" and second["name"] == "Box B"
    assert second["x_min"] > round(0.35 * told["width"])
    assert first["share"] + second["share"] + told["rest"] == pytest.approx(1, abs=1e-9)
    density = np.exp(gaze.predict(ASSETS / "cat.jpg").log_density)
    covering = np.zeros(density.shape)
    places = [np.s_[box["y_min"] : box["y_max"], box["x_min"] : box["x_max"]] for box in told["boxes"]]
    for place in places:
        covering[place] += 1
    for box, place in zip(told["boxes"], places, strict=True):
        assert box["share"] == pytest.approx((density / np.maximum(covering, 1))[place].sum(), abs=1e-3)
    box = tab.locator(".box").first.bounding_box()
    tab.mouse.move(box["x"] + 5, box["y"] + 30)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 5 - width, box["y"] + 30 - height)  # not beyond the edge
    tab.mouse.up()
    moved = tab.evaluate("kerasalGaze.describe()")["boxes"][0]
    assert moved["x_min"] == moved["y_min"] == 0
    assert moved["x_max"] == first["x_max"] - first["x_min"] and moved["y_max"] == first["y_max"] - first["y_min"]
    tab.locator(".box").first.focus()
    tab.keyboard.press("Delete")
    expect(tab.locator(".box")).to_have_count(1)
    tab.get_by_label("Remove Box B").click()
    expect(tab.locator(".box")).to_have_count(0)
    expect(tab.locator("#rest")).to_be_hidden()


def test_picture_map_and_numbers_are_saved(visit, tmp_path):
    tab = visit()
    path = images.write(tmp_path / "my photo.png", images.resize(images.read(ASSETS / "coffee.jpg"), (200, 300)))
    choose(tab, path)
    tab.locator("#add-box").click()
    tab.wait_for_timeout(300)
    saved = {}
    for key, button in (("p", "#save-picture"), ("m", "#save-map"), ("j", "#save-numbers")):
        expect(tab.locator(button)).to_be_enabled()
        with tab.expect_download() as download:
            tab.keyboard.press(key)
        saved[key] = tmp_path / download.value.suggested_filename
        download.value.save_as(saved[key])
    assert [file.name for file in saved.values()] == ["my photo-gaze.png", "my photo-map.png", "my photo-gaze.json"]
    picture, photo = images.read(saved["p"]), images.read(path)
    assert picture.shape == photo.shape and np.abs(picture.astype(int) - photo).mean() > 5
    expected = gaze.predict(path).map
    shares = (expected - expected.min()) / (expected.max() - expected.min())
    assert np.abs(np.asarray(Image.open(saved["m"])) / 65535 - shares).max() < 1e-3
    numbers = json.loads(saved["j"].read_text())
    assert numbers["photo"] == "my photo.png" and (numbers["height"], numbers["width"]) == (200, 300)
    assert numbers["boxes"][0]["share"] + numbers["rest"] == pytest.approx(1)
    assert np.shape(numbers["cells"]) == gaze.predict(path).cells.shape


def test_views_strength_and_hotspots_change_the_picture(visit):
    tab = visit()
    seen = []

    def look():
        seen.append(tab.evaluate("document.getElementById('picture').toDataURL()"))

    look()
    tab.keyboard.press("h")
    look()
    tab.keyboard.press("[")
    look()
    tab.keyboard.press("v")
    assert tab.get_by_label("Spotlight").is_checked()
    look()
    tab.keyboard.press("v")
    look()
    assert len(set(seen)) == 5
    assert tab.locator("#strength-value").inner_text() == "60 %"


def test_the_webcam_is_predicted_and_its_last_frame_is_kept(visit):
    tab = visit(permissions=["camera"])
    tab.keyboard.press("c")
    expect(tab.locator("#status")).to_contain_text("frames per second")
    assert tab.locator("#camera").get_attribute("aria-pressed") == "true"
    expect(tab.locator("#save-picture")).to_be_disabled()
    tab.locator("#camera").click()
    expect(tab.locator("#status")).to_contain_text("webcam.png: ")
    expect(tab.locator("#save-picture")).to_be_enabled()


def test_a_dropped_file_is_predicted(visit):
    tab = visit()
    moved = tab.evaluate_handle(
        "(bytes) => { const moved = new DataTransfer();"
        "moved.items.add(new File([new Uint8Array(bytes)], 'dropped.jpg', {type: 'image/jpeg'})); return moved }",
        list((ASSETS / "rocket.jpg").read_bytes()),
    )
    for event in ("dragover", "drop"):
        tab.locator("#stage").dispatch_event(event, {"dataTransfer": moved})
    expect(tab.locator("#status")).to_contain_text("dropped.jpg: ")


def test_what_cannot_be_predicted_is_a_sentence_and_the_photo_stays(visit, tmp_path):
    tab = visit()
    (tmp_path / "fake.png").write_bytes(b"no image at all")
    tab.locator("#file").set_input_files(tmp_path / "fake.png")
    expect(tab.get_by_role("alert")).to_contain_text("fake.png must be an image that this browser can read")
    strip = images.write(tmp_path / "strip.png", np.full((1, 2000, 3), 200, np.uint8))
    tab.locator("#file").set_input_files(strip)
    expect(tab.get_by_role("alert")).to_contain_text("strip.png has 2000 × 1 pixels.")
    expect(tab.get_by_role("alert")).to_contain_text("at most 16 times")
    assert tab.evaluate("kerasalGaze.describe().photo") == "cat.jpg"
    choose(tab, ASSETS / "rocket.jpg")
    expect(tab.locator("#problem")).to_be_hidden()


def test_a_browser_without_simd_is_told(visit):
    tab = visit(ready=False, script="WebAssembly.validate = () => false")
    expect(tab.get_by_role("alert")).to_contain_text("no WebAssembly SIMD")
    expect(tab.locator("#workspace")).to_be_hidden()


def test_a_browser_without_webassembly_is_told(chromium, address):
    browser = chromium.launch(
        executable_path=str(CHROMIUM), args=[*(f"--{flag}" for flag in FLAGS), "--js-flags=--jitless"]
    )
    tab = browser.new_page()
    tab.goto(address)
    expect(tab.get_by_role("alert")).to_contain_text("no WebAssembly")
    browser.close()


def test_without_a_server_or_without_scripts_the_page_says_what_to_do(browser, tmp_path, runtime, plain_model, address):
    build(tmp_path / "site", gaze.Predictor(plain_model), runtime=runtime)
    tab = browser.new_page()
    tab.goto((tmp_path / "site" / "index.html").as_uri())
    expect(tab.locator("#blocked")).to_be_visible()
    expect(tab.locator("#blocked")).to_contain_text("python -m http.server 8000 --directory site")
    tab.close()
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(address)
    expect(tab.locator("#blocked")).to_be_visible()
    context.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 390), ("light", 1280), ("dark", 1280)])
def test_both_themes_and_a_phone(visit, scheme, width):
    tab = visit(viewport={"width": width, "height": 844}, color_scheme=scheme)
    brightness = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number).reduce((a, b) => a + b)"
    assert (tab.evaluate(brightness) > 384) == (scheme == "light")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    box = tab.locator("#picture").bounding_box()
    assert box["y"] < 500 and box["width"] > 0.8 * min(width, 340)
    tab.keyboard.press("t")
    assert (tab.evaluate(brightness) > 384) == (scheme == "dark")
    tab.reload()
    assert (tab.evaluate(brightness) > 384) == (scheme == "dark")


def test_every_control_has_a_name_and_can_be_reached_by_tab(visit):
    tab = visit(viewport={"width": 1280, "height": 900})
    tab.keyboard.press("b")
    nameless = tab.evaluate(
        "[...document.querySelectorAll('button, input, [tabindex]')].filter((one) => one.checkVisibility() &&"
        "!(one.ariaLabel || one.textContent.trim() || (one.labels && one.labels.length))).map((one) => one.outerHTML)"
    )
    assert nameless == []
    reached = set()
    tab.evaluate("document.activeElement.blur()")
    for _ in range(40):
        tab.keyboard.press("Tab")
        reached.add(tab.evaluate("document.activeElement.id || document.activeElement.className"))
    assert {
        "open",
        "camera",
        "example",
        "box",
        "strength",
        "show-hotspots",
        "add-box",
        "save-picture",
        "theme",
    } <= reached
