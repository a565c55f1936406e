"""The atlas in a real browser: no error, links, slider, keys, both themes, a phone, and no JavaScript."""

import pathlib
import re

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = pathlib.Path("/usr/bin/chromium")
FLAGS = ("headless", "no-sandbox", "disable-gpu", "disable-background-networking", "disable-component-update")
FLAGS += ("disable-sync", "no-first-run")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.is_file(), reason=f"no browser: {CHROMIUM} is missing"),
]


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as running:
        found = running.chromium.launch(executable_path=str(CHROMIUM), args=[f"--{flag}" for flag in FLAGS])
        yield found
        found.close()


class Visit:
    """A tab that notes what goes wrong in it, and everything that it asks for."""

    def __init__(self, browser, folder, **options):
        self.folder = folder
        self.tab = browser.new_context(**options).new_page()
        self.wrong, self.asked = [], []
        self.tab.on("console", lambda one: self.wrong.append(one.text) if one.type in ("error", "warning") else None)
        self.tab.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.tab.on("requestfailed", self._failed)
        self.tab.on("request", lambda one: self.asked.append(one.url))

    def _failed(self, request):
        if request.failure != "net::ERR_ABORTED":  # what a page still wanted when another was opened
            self.wrong.append(f"{request.url} {request.failure}")

    def open(self, path):
        self.tab.goto((self.folder / path).as_uri().replace("%23", "#"))
        return self.tab

    @property
    def place(self):
        """The page that is open, as a path within the folder."""
        return self.tab.url.partition(self.folder.name + "/")[2]


@pytest.fixture
def visit(browser, site):
    tabs = []

    def make(**options):
        tabs.append(Visit(browser, site[0], **options))
        return tabs[-1]

    yield make
    for one in tabs:
        one.tab.context.close()
        assert not one.wrong
        assert {url.partition(":")[0] for url in one.asked} <= {"file", "data"}


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_opens_and_fits(visit, site, width, scheme):
    one = visit(viewport={"width": width, "height": 800}, color_scheme=scheme)
    for page in sorted(site[0].rglob("*.html")):
        tab = one.open(page.relative_to(site[0]))
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, page
        loaded = (
            """[...document.images].map(one => { one.loading = "eager"; return one.decode().then(() => 1, () => 0) })"""
        )
        assert all(tab.evaluate(f"Promise.all({loaded})")), page
    paper = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, paper[4:-1].split(","))) > 384) == (scheme == "light")


def test_every_link_of_a_page_can_be_clicked(visit):
    one = visit(viewport={"width": 1280, "height": 900})
    for start in ("index.html", "units/conv2/3.html", "images/a.html"):
        links = one.open(start).locator("main a[href]:visible, header a[href]")
        for number in range(links.count()):
            one.open(start)
            target = links.nth(number).evaluate("link => link.href")
            links.nth(number).click()
            one.tab.wait_for_url(target)
            playwright.expect(one.tab.locator("h1")).to_have_count(1)


def test_slider_methods_and_boxes(visit):
    tab = visit().open("images/a.html")
    over = tab.locator(".stage .over")
    slider = tab.locator(".stage input[type=range]")
    assert over.evaluate("one => getComputedStyle(one).opacity") == "0.75"
    for value, opacity in (("0", "0"), ("100", "1"), ("30", "0.3")):
        slider.fill(value)
        tab.wait_for_function(f"getComputedStyle(document.querySelector('.stage .over')).opacity === '{opacity}'")
    assert tab.locator(".stage output").inner_text() == "30 %"
    before = over.get_attribute("src")
    tab.locator("select.methods").select_option("integrated_gradients")
    assert over.get_attribute("src") != before and "integrated_gradients" in over.get_attribute("src")
    assert "integrated_gradients" in tab.locator(".stage figcaption").inner_text()
    assert "integrated_gradients" in over.get_attribute("alt")
    tab.locator("#smoothgrad .pair").click()
    assert tab.locator("select.methods").input_value() == "smoothgrad"
    assert not tab.locator(".stage .boxes").is_visible()
    tab.locator(".show-boxes").check()
    assert tab.locator(".stage .boxes").is_visible()


def test_a_class_is_chosen_and_its_map_is_shown(visit):
    tab = visit().open("images/a.html")
    classes, over = tab.locator("select.classes"), tab.locator(".stage .over")
    numbers = classes.locator("option").evaluate_all("options => options.map(one => one.value)")
    names = classes.locator("option").all_inner_texts()
    assert len(numbers) == 5 == tab.locator(".class-card").count()
    for number, name in zip(numbers, names, strict=True):
        classes.select_option(number)
        assert re.search(rf"(class-{number}|-{number}-over)\.", over.get_attribute("src"))
        assert tab.locator(".stage figcaption .class-name").inner_text() == name.rpartition(" (")[0]
        assert tab.locator(".class-card.chosen").get_attribute("data-class") == number
    first, last = numbers[0], numbers[-1]
    assert tab.locator("select.methods option").count() == 1  # the last class is unlikely: Grad-CAM only
    tab.locator(f".class-card[data-class='{first}']").click()
    assert classes.input_value() == first and tab.locator("select.methods option").count() > 5
    assert tab.locator(f".by-class[data-of='{first}']").is_visible() and tab.locator(".by-class:visible").count() == 1
    tab.locator("select.methods").select_option("occlusion")
    assert tab.locator(".stage .for-signed").is_visible() and not tab.locator(".stage .for-unsigned").is_visible()
    classes.select_option(numbers[1])
    assert tab.locator("select.methods").input_value() == "occlusion"  # kept where the class has it
    classes.select_option(last)
    assert tab.locator("select.methods").input_value() == "gradcam"
    assert not tab.locator(".stage .for-signed").is_visible() and tab.locator(".stage .for-unsigned").is_visible()
    tab.reload()  # the address has the map
    assert classes.input_value() == last


def test_boxes_have_the_color_of_their_class(visit):
    tab = visit().open("images/a.html")
    tab.locator(".show-boxes").check()
    rows = tab.locator(".boxed .legend li").count()
    ranks = tab.locator(".scores li").evaluate_all(
        "rows => rows.map(one => getComputedStyle(one).getPropertyValue('--class'))"
    )
    assert len(set(ranks)) == 5
    legend = tab.locator(".legend li").evaluate_all(
        "rows => rows.map(one => getComputedStyle(one).getPropertyValue('--class'))"
    )
    assert legend == ranks[:rows] and rows >= 1


def test_deep_links(visit):
    one = visit()
    tab = one.open("layers/conv1.html#2")
    assert tab.evaluate("document.querySelector(':target').id") == "2"
    assert tab.locator(".card:target").evaluate("one => one.getBoundingClientRect().top") < 720
    tab = one.open("images/a.html#occlusion")
    assert "occlusion" in tab.locator(".stage .over").get_attribute("src")
    tab.locator("select.methods").select_option("smoothgrad")
    assert one.place == "images/a.html#smoothgrad"  # to be copied
    tab.evaluate("location.hash = '%'")  # which no address should end in
    tab.reload()
    assert "gradcam" in tab.locator(".stage .over").get_attribute("src")


def test_keys(visit):
    one = visit(color_scheme="light")
    tab = one.open("units/conv1/1.html")
    for key, place in (
        ("ArrowRight", "units/conv1/2.html"),
        ("ArrowLeft", "units/conv1/1.html"),
        ("u", "layers/conv1.html#1"),
        ("o", "index.html"),
    ):
        with tab.expect_navigation():
            tab.keyboard.press(key)
        assert one.place == place
    tab.keyboard.press("t")
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"
    tab.reload()
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"
    tab.keyboard.press("?")
    assert tab.locator("dialog").is_visible()
    tab.keyboard.press("Escape")
    assert not tab.locator("dialog").is_visible()
    tab = one.open("images/a.html")
    first = tab.locator("select.methods").input_value()
    tab.keyboard.press("m")
    assert tab.locator("select.methods").input_value() != first
    tab.keyboard.press("[")
    assert tab.locator(".stage output").inner_text() == "65 %"
    tab.locator(".stage input[type=range]").focus()
    tab.keyboard.press("ArrowRight")  # the slider's own, not the next image
    assert tab.locator(".stage output").inner_text() == "66 %" and one.place.startswith("images/a.html")


def test_without_javascript(visit):
    one = visit(java_script_enabled=False)
    tab = one.open("images/a.html")
    assert tab.locator(".stage .over").is_visible() and tab.locator(".stage .base").is_visible()
    assert not tab.locator(".controls").is_visible() and not tab.locator("button").count()
    assert (
        tab.locator("[data-method]").count() > 10
        and tab.locator(".class-card").first.is_visible()
        and tab.locator("#gradcam .pair img").first.is_visible()
    )
    assert "All attribution methods" in tab.locator("main").inner_text()
    assert tab.locator(".boxed .boxes").is_visible()
    tab = one.open("index.html")
    tab.locator(".column a[href='layers/conv2.html']").click()
    assert one.place == "layers/conv2.html" and tab.locator(".card").count() == 4


def test_hostile_names_stay_text(visit):
    one = visit()
    one.tab.on("dialog", lambda dialog: one.wrong.append(dialog.message))
    tab = one.open("classes/0.html")
    assert tab.locator("h1").inner_text() == "<script>alert(1)</script>"
    assert tab.locator("script").count() == 1
