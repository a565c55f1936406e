"""A whole atlas as files: every link leads somewhere, nothing is trusted, everything can be read without JavaScript."""

import json
import pathlib
import re

import pytest
from atlas_pages import Page, check_links, pages

import kerasal
from kerasal import images
from kerasal.atlas.captions import abbreviate_paths, format_number, make_slug, make_slugs


@pytest.mark.slow
def test_every_link_leads_somewhere(site):
    folder, built = site
    assert built.index == folder / "index.html" and built.remaining == 0 and built.completed > 5
    assert check_links(folder) > 300
    assert built.pages == len(pages(folder))
    assert not list(folder.rglob(".*")) and not list(folder.rglob("*.partial"))


@pytest.mark.slow
def test_there_is_a_page_for_everything(site):
    folder, _ = site
    made = {str(path.relative_to(folder)) for path in folder.rglob("*.html")}
    assert {"index.html", "classes/index.html", "images/index.html", "layers/flatten.html"} <= made
    assert {f"units/conv1/{number}.html" for number in range(4)} <= made
    assert {f"units/conv2/{number}.html" for number in (0, 1, 3, 4)} <= made  # 4 of 5, evenly spaced
    assert {"classes/0.html", "classes/5.html"} <= made and "classes/1.html" not in made  # 4 of 6
    assert sum(name.startswith("images/") for name in made) == 6  # an index and five images


@pytest.mark.slow
def test_pages_are_well_formed_and_load_nothing_else(site):
    for page in pages(site[0]):
        assert not page.open and not page.wrong, page.path
        assert len(page.ids) == len(set(page.ids)), page.path
        assert all("alt" in one and one["width"] and one["height"] for one in page.images), page.path
        assert not {one for one in page.attributes if one.startswith("on")}, page.path
        assert page.tags.isdisjoint({"iframe", "object", "form", "base", "noscript"})


@pytest.mark.slow
def test_untrusted_names_are_escaped(site):
    folder, _ = site
    for page in pages(folder):
        source = page.path.read_text(encoding="utf-8")
        assert source.count("<script") == 1, page.path  # our own
        assert "net <b>" not in source and "net &lt;b&gt;" in source
    text = Page(folder / "classes" / "0.html").text
    assert "<script>alert(1)</script>" in text
    gallery = Page(folder / "images" / "index.html")
    assert "<script>x" in gallery.text and 'quote"onerror=1' in gallery.text
    assert "torn" in gallery.text and "torn.jpg must be an image" in gallery.text.replace("\n", " ")


@pytest.mark.slow
def test_what_a_page_says_is_what_the_network_does(site, shared_model, photographs):
    import numpy as np

    folder, _ = site
    model = shared_model("functional")
    picture = images.fit_image(images.read(photographs / "a.png"), (8, 8))
    scores = model(np.float32(picture[None]) / 255, training=False).numpy()[0]
    entries = json.loads((folder / "data" / "images" / "a.json").read_text())["entries"]
    entry, methods = entries["image"], entries["methods"]
    assert [one["number"] for one in entry["top"]] == np.argsort(-scores)[:5].tolist()
    assert f"{100 * scores.max():.1f} %" in Page(folder / "images" / "a.html").text
    from kerasal import attribution

    likely = [int(i) for i in np.argsort(-scores) if scores[i] >= 0.1]
    assert [one["number"] for one in methods["classes"]] == likely[:3] and len(likely) > 1
    for one in methods["classes"]:
        shown = {map["name"] for map in one["maps"]} | {map["name"] for map in methods["left_out"]}
        chosen = {name for name in attribution.list_methods() if attribution.method_spec(name).compared}
        assert shown == chosen and len(one["maps"]) > 5
    signed = {map["name"] for map in methods["classes"][0]["maps"] if map["signed"]}
    assert "occlusion" in signed and "gradcam" not in signed
    assert [one["number"] for one in entry["maps"]] == [one["number"] for one in entry["top"]]
    assert {one["number"] for one in entry["boxes"]} <= set(likely)


@pytest.mark.slow
def test_a_layer_without_channels_says_what_adds_them(site):
    text = " ".join(Page(site[0] / "layers" / "flatten.html").text.split())
    assert "To add this part, run kerasal atlas" in text and text.count("--layers flatten.") == 1


@pytest.mark.slow
def test_class_pages_show_the_images_with_the_highest_probability(site, shared_model, photographs):
    import numpy as np

    model = shared_model("functional")
    names = [path.stem for path in sorted(photographs.glob("*.png"))]
    read = [images.fit_image(images.read(photographs / f"{name}.png"), (8, 8)) for name in names]
    scores = model(np.float32(read) / 255, training=False).numpy()
    for index in (0, 5):
        record = json.loads((site[0] / "data" / "class-exemplars.json").read_text())["entries"][str(index)]
        order = [i for i in np.argsort(-scores[:, index]) if scores[i, index] >= 0.01]
        assert [pathlib.Path(one["file"]).stem for one in record["shown"]] == [names[i] for i in order]
        text = Page(site[0] / "classes" / f"{index}.html").text
        assert all(f"{100 * scores[i, index]:.1f} %" in text for i in order)


@pytest.mark.slow
def test_exemplars_are_those_of_the_search(site, shared_model, photographs):
    import numpy as np

    from kerasal import feature_maps

    folder, _ = site
    names = ["a", "b", "<script>x", 'quote"onerror=1', "index"]
    inputs = [images.fit_image(images.read(photographs / f"{name}.png"), (8, 8)) for name in names]
    maps = feature_maps(shared_model("functional"), np.float32(inputs) / 255, "conv2").max(axis=(1, 2))
    compared = 0
    for channel in (0, 1, 3, 4):
        text = " ".join(Page(folder / "units" / "conv2" / f"{channel}.html").text.split())
        strongest = maps[:, channel]
        shown = [f"{format_number(strongest[i])} {names[i]} " for i in np.argsort(-strongest) if strongest[i] > 0]
        places = [text.index(one) for one in shown]
        assert places == sorted(places)
        assert ("searched activates it" in text) == (not shown)
        compared += len(shown)
    assert compared > 5


@pytest.mark.slow
def test_a_sample_is_said_to_be_one(site):
    text = " ".join(Page(site[0] / "layers" / "conv2.html").text.split())
    assert "4 of 5 channels, evenly spaced" in text
    assert "evenly spaced" not in Page(site[0] / "layers" / "conv1.html").text


def test_slugs_are_safe_and_differ():
    assert make_slug("conv1") == "conv1" and make_slug("block5_conv3") == "block5_conv3"
    names = ["block/a:0", "block:a/0", "Conv1", "conv1", "..", "", "index", "con", "x" * 300, "ü", "a b", "\udcff"]
    made = [make_slug(name) for name in names]
    assert len({one.lower() for one in made}) == len(names)
    assert all(one and set(one) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-") and len(one) < 80 for one in made)
    assert not any(one in ("index", "con") or one.startswith(".") for one in made)
    assert make_slugs(["x/a.png", "y/a.png", "z/b.png"], ["a", "a", "b"])[2] == "b"
    assert len(set(make_slugs(["x/a.png", "y/a.png"], ["a", "a"]))) == 2


def test_images_of_one_name_are_told_apart():
    files = [pathlib.Path(one) for one in ("x/a.png", "x/a.jpg", "x/b.png", "y/b.png", "c.png")]
    assert abbreviate_paths(files) == ["a.png", "a.jpg", "x/b.png", "y/b.png", "c"]


def test_the_top_classes_box_is_drawn_last():
    from kerasal.atlas.atlas_pages import _make_environment
    from kerasal.atlas.contents import Contents

    boxes = [{"box": [0, 0, 4, 4]}, {"box": [0, 0, 4, 4]}, {"box": [1, 1, 3, 3]}]
    entry = {"picture": {"width": 4, "height": 4}, "boxes": [{**one, "whole": False} for one in boxes]}
    drawn = Contents.boxes(entry)
    assert [(one["style"], one["same"]) for one in drawn] == [(1, False), (2, True), (3, False)]
    svg = str(_make_environment().get_template("parts.html").module.boxes(Contents, entry))
    assert re.findall(r'<rect class="box box-(\d)"', svg) == ["3", "2", "1"]


def test_a_folder_of_something_else_is_refused_before_the_model_is_opened(tmp_path):
    from typer.testing import CliRunner

    from kerasal.cli.app import app

    (tmp_path / "mine.txt").write_text("mine")
    result = CliRunner().invoke(app, ["atlas", "there-is-no-such-model.keras", "-o", str(tmp_path)])
    assert result.exit_code != 0 and "hold an atlas, got other files (mine.txt)" in str(result.exception)
    assert [one.name for one in tmp_path.iterdir()] == ["mine.txt"]


def test_a_class_page_says_why_it_has_no_images():
    from types import SimpleNamespace

    from kerasal.atlas.atlas_pages import _make_environment

    source = (pathlib.Path(kerasal.__file__).parent / "atlas" / "templates" / "unit.html").read_text()
    start = source.index('<p class="missing">{% if unit.exemplars %}')
    template = '{% import "parts.html" as parts %}' + source[start : source.index("</p>", start)]
    template = _make_environment().from_string(template)

    def says(exemplars, files):
        return template.render(
            unit=SimpleNamespace(exemplars=exemplars), scope=SimpleNamespace(files=files), command="run me"
        )

    assert "In none of the 7 images" in says({"seen": 7}, ["a"])
    assert "Not searched yet. To add this part, run <code>run me</code>" in says(None, ["a"])
    assert "No images were provided. To add this part, run <code>run me --images PHOTOS/</code>" in says(None, [])
