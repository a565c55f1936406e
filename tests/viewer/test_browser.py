"""The live page in a real browser: photos, menus, errors, both themes, a phone, and no request to other machines."""

import pathlib
import signal
import socket
import subprocess
import sys

import pytest

from kerasal import images

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("streamlit", reason="streamlit is not installed")

expect = playwright.expect
ASSETS = pathlib.Path(images.__file__).parents[1] / "assets"
CHROMIUM = pathlib.Path("/usr/bin/chromium")
FLAGS = ("headless", "no-sandbox", "disable-gpu", "disable-background-networking", "disable-component-update")
FLAGS += ("disable-sync", "no-first-run")
FIRST = "document.querySelector('[data-testid=stImage] img')?.getAttribute('src')"
IDLE = "document.querySelector('[data-test-script-state=notRunning]')"
IDLE += " && !document.querySelector('[data-testid=stSpinner]')"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.is_file(), reason=f"no browser: {CHROMIUM} is missing"),
]


@pytest.fixture(scope="module")
def browser():
    expect.set_options(timeout=120_000)
    with playwright.sync_playwright() as running:
        found = running.chromium.launch(executable_path=str(CHROMIUM), args=[f"--{flag}" for flag in FLAGS])
        yield found
        found.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The command as a user starts it, and the address that it prints; Ctrl-C ends it."""
    import keras

    folder = tmp_path_factory.mktemp("view")
    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, activation="tanh", name="conv1"),
            layers.Conv2D(5, 3, activation="tanh", name="conv2"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(6, activation="softmax"),
        ]
    )
    model.save(folder / "small.keras")
    (folder / "names.txt").write_text("ant\nbee\ncat\ndog\neel\nfox\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "kerasal", "view", "small.keras", "--labels", "names.txt", "--no-browser"]
    command += ["--port", str(port)]
    running = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = running.stdout.readline()
    assert line == f"http://127.0.0.1:{port}  (stop with Ctrl-C)\n", running.communicate(timeout=60)[1]
    with pytest.raises(ConnectionRefusedError):  # a server on all interfaces would accept this
        socket.create_connection(("127.0.0.2", port), timeout=5).close()
    yield line.split()[0]
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert out == "" and "Stopped." in err.splitlines() and "Traceback" not in err


@pytest.fixture
def visit(browser, server):
    """Open the page in a tab that refuses requests to other machines, and note what goes wrong in it."""
    opened, wrong = [], []

    def refuse_others(route):
        if route.request.url.startswith((server, "data:", "blob:")):
            route.continue_()
        else:
            wrong.append(f"request to {route.request.url}")
            route.abort()

    def make(**options):
        context = browser.new_context(**options)
        context.route("**/*", refuse_others)
        tab = context.new_page()
        tab.set_default_timeout(120_000)
        tab.on("console", lambda one: wrong.append(one.text) if one.type in ("error", "warning") else None)
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("websocket", lambda one: None if f"ws{server[4:]}" in one.url else wrong.append(one.url))
        tab.goto(server)
        opened.append(context)
        picture(tab)
        return tab

    yield make
    for context in opened:
        context.close()
    assert not wrong


def wait(tab):
    tab.wait_for_timeout(500)
    tab.wait_for_function(IDLE)


def picture(tab, number=0):
    """Return the address of a picture, which is a hash of its content, once nothing is computed any more."""
    wait(tab)
    return tab.locator("[data-testid=stImage] img").nth(number).get_attribute("src")


def choose(tab, menu, text):
    """Choose from a menu, and return the address of the first picture, which the choice has changed."""
    old = address(tab)
    tab.get_by_label(menu, exact=True).click()
    tab.keyboard.type(text)
    tab.get_by_role("option").first.click()
    return changed(tab, old)


def address(tab):
    return tab.evaluate(FIRST)


def changed(tab, old):
    tab.wait_for_function(f"old => {FIRST} !== old", arg=old)
    return picture(tab)


def drop(tab, path):
    """Drop a file on the page as a mouse does."""
    content = list(path.read_bytes())
    transfer = tab.evaluate_handle(
        "([bytes, name]) => { const moved = new DataTransfer();"
        "moved.items.add(new File([new Uint8Array(bytes)], name, {type: 'image/png'})); return moved }",
        [content, path.name],
    )
    zone = tab.get_by_test_id("stFileUploaderDropzone")
    for event in ("dragenter", "dragover", "drop"):
        zone.dispatch_event(event, {"dataTransfer": transfer})


def title(tab):
    return tab.locator("[data-testid=stImage]").first.locator("img").get_attribute("alt")


def test_photo_class_layer_and_method_change_the_map(visit, tmp_path):
    tab = visit(viewport={"width": 1400, "height": 900})
    assert tab.title() == "kerasal view: small.keras"
    seen = [picture(tab)]
    assert title(tab).startswith("gradcam: ")
    pixels = images.read(ASSETS / "cat.jpg")[:, ::-1].copy()
    drop(tab, images.write(tmp_path / "mirrored.png", pixels))
    seen.append(changed(tab, seen[0]))
    seen.append(choose(tab, "Layer", "conv1"))
    expect(tab.locator("body")).to_contain_text("Layer conv1")
    seen.append(choose(tab, "Method", "occlusion"))
    expect(tab.locator("body")).to_contain_text("raises the score")
    best = title(tab).removeprefix("occlusion: ")
    other = next(name for name in ("dog", "eel", "fox") if name != best)
    seen.append(choose(tab, "Class", other))
    assert title(tab) == f"occlusion: {other}"
    tab.get_by_role("radio", name="Map", exact=True).click()
    seen.append(changed(tab, seen[-1]))
    assert len(set(seen)) == len(seen)
    assert not tab.get_by_test_id("stAlert").count()


def test_the_map_has_the_resolution_of_the_photo_and_can_be_saved(visit, tmp_path):
    tab = visit()
    size = tab.locator("[data-testid=stImage] img").first.evaluate("one => [one.naturalHeight, one.naturalWidth]")
    photo = images.read(ASSETS / "admiral.jpg")
    assert size == list(photo.shape[:2])
    with tab.expect_download() as saved:
        tab.get_by_role("button", name="Save").first.click()
    saved.value.save_as(tmp_path / "saved.png")
    assert images.read(tmp_path / "saved.png").shape == photo.shape


def test_gaze_can_be_switched(visit):
    tab = visit()
    shown = tab.locator("[data-testid=stImage] img")
    expect(shown).to_have_count(2)
    expect(shown.nth(1)).to_have_attribute("alt", "Where people will look")
    tab.get_by_text("Where people look", exact=True).click()
    expect(shown).to_have_count(1)


def test_what_cannot_work_is_a_sentence(visit, tmp_path):
    tab = visit()
    choose(tab, "Method", "guided_backprop")
    alert = tab.get_by_test_id("stAlert")
    expect(alert).to_contain_text("ReLU")
    expect(tab.get_by_alt_text("Where people will look")).to_have_count(1)  # what works is shown
    choose(tab, "Method", "gradcam")
    expect(alert).to_have_count(0)
    (tmp_path / "fake.png").write_bytes(b"no image at all")
    drop(tab, tmp_path / "fake.png")
    expect(alert).to_contain_text("fake.png must be an image")
    assert "Traceback" not in tab.locator("body").inner_text()
    expect(tab.get_by_alt_text("Where people will look")).to_have_count(0)
    choose(tab, "Photo", "coffee")
    expect(alert).to_have_count(0)


@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1280)])
def test_both_themes_and_a_phone(visit, scheme, width):
    tab = visit(viewport={"width": width, "height": 844}, color_scheme=scheme)
    paper = tab.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor")
    assert (sum(map(int, paper[4:-1].split(",")[:3])) > 384) == (scheme == "light")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    top = tab.locator("[data-testid=stImage] img").first.evaluate("one => one.getBoundingClientRect().top")
    assert top < 700  # a part of the map is on the first screen
