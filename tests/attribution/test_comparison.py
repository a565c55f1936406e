"""The comparison of all methods: grouped by question, with the score, the legends and what cannot run."""

import re

import numpy as np
import pytest

import kerasal
from kerasal import attribution, images
from kerasal.attribution.method_facts import FAMILIES
from kerasal.attribution.questions import QUESTIONS, MethodView, group_views


@pytest.fixture(scope="module")
def digit():
    photo = np.zeros((28, 28), np.uint8)
    photo[4:24, 12:16] = 255
    return photo


# For a model without attention, by the chosen methods.
ANSWERED = set(QUESTIONS) - {"", "attention", "pattern", "dependence"}


@pytest.fixture(scope="module")
def comparison(digit):
    model = kerasal.open_model("mnist_cnn")
    picture, inputs = model.show(digit[..., None])
    options = {"occlusion": {"window": 7, "stride": 7}, "scorecam": {"channels": 4}, "smoothgrad": {"samples": 2}}
    return attribution.compare_methods(model.keras_model, (picture, inputs), options=options)


def test_the_class_and_its_probability_are_those_of_the_model(comparison, digit):
    model = kerasal.open_model("mnist_cnn")
    outputs = np.asarray(model.keras_model(model.inputs(digit), training=False))[0]
    assert comparison.class_index == outputs.argmax()
    assert comparison.score == pytest.approx(outputs.max(), rel=1e-5)
    assert f"Probability {100 * outputs.max():.0f} %" in comparison.html("A title")


def test_every_method_has_a_question_and_says_when_to_trust_it():
    specs = [attribution.method_spec(name) for name in attribution.list_methods()]
    built_in = [spec for spec in specs if spec.function.__module__.startswith("kerasal.attribution")]
    assert len(built_in) >= 13
    for spec in built_in:
        assert spec.question in set(QUESTIONS) - {""}, spec.name
        if "gradient" in QUESTIONS[spec.question].reading.casefold():  # which says of what the map is the size
            assert spec.family == "gradient", spec.name
        assert spec.trust.endswith(".") and len(spec.trust) < 120, spec.name
    assert len({spec.summary.split()[0] for spec in built_in}) > len(built_in) / 3  # not all "Show …"


def test_groups_are_in_the_order_of_the_questions_and_have_the_legend_of_their_maps(comparison):
    groups = group_views(comparison.views)
    assert [group.key for group in groups] == [key for key in QUESTIONS if key in ANSWERED]
    assert sum(len(group.views) for group in groups) == len(comparison.views)
    bars = {group.key: [bar[0] for bar in group.legend] for group in groups}
    assert bars == {
        "region": ["heat"],
        "contribution": ["signed"],
        "sensitivity": ["heat"],
        "detail": ["signed"],  # the gradient of a gray image has one channel
    }


def test_a_method_without_a_question_is_shown_last(comparison):
    view = comparison.views[0]
    spec = attribution.method_spec("gradcam")
    other = MethodView(type(spec)(**{**vars(spec), "name": "other", "question": ""}), *list(vars(view).values())[1:])
    assert [group.key for group in group_views([other, *comparison.views])][-1] == ""


def test_the_page_has_every_map_once_and_what_is_missing_at_the_end(comparison):
    comparison.left_out.append(("a_method", "The model must have <ReLUs>."))
    page = comparison.html("What makes it see 1 & 7", facts=["mnist_cnn", "digit.png"])
    comparison.left_out.pop()
    assert page.count("data:image/png;base64,") == 2 * len(comparison.views) + 1
    assert page.index("<img") < page.index("<h1>What makes it see 1 &amp; 7</h1>")  # the image is at the top
    order = [page.index(f"<h2>{question.text}") for key, question in QUESTIONS.items() if key in ANSWERED]
    assert order == sorted(order)
    assert page.index("Not available for this model</h2>") > max(order)
    assert "The model must have &lt;ReLUs&gt;." in page and "digit.png" in page
    assert page.count("linear-gradient") == 4  # a legend per group
    assert "prefers-color-scheme: dark" in page and "viewport" in page
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page)  # nothing is loaded
    assert "(Selvaraju et al. 2017)" not in page and "Selvaraju et al. 2017, equations 1 and 2" in page


def test_the_picture_has_the_same_groups(comparison):
    sheet = comparison.sheet("What makes it see 1")
    assert sheet.dtype == np.uint8 and sheet.shape[2] == 3
    alone = attribution.MethodComparison(comparison.picture, comparison.views[:1], []).sheet("What makes it see 1")
    assert len(alone) < len(sheet) / 2
    missing = attribution.MethodComparison(comparison.picture, comparison.views[:1], [("a", "No ReLU.")])
    assert len(missing.sheet("What makes it see 1")) > len(alone)


def test_evidence_against_the_class_is_blue_in_the_overlay(comparison):
    """The overlay of a signed map never warms a place where the map is clearly negative."""
    for view in comparison.views:
        if view.kind != "signed" or view.values.ndim != 2:
            continue
        values = images.resize(np.asarray(view.values, np.float32), view.over.shape[:2])
        place = np.unravel_index(values.argmin(), values.shape)
        if values[place] > -0.5 * np.abs(values).max():
            continue
        red, _, blue = view.over[place].astype(int)
        assert blue >= red, view.spec.name


def test_all_methods_are_shown_on_request_and_those_that_are_named():
    model = kerasal.create_model("mnist_cnn")
    inputs = np.random.default_rng(0).random((1, 28, 28, 1), np.float32)
    shown = np.zeros((28, 28, 3), np.uint8), inputs
    named = attribution.compare_methods(model, shown, methods=["layercam", "deconvnet"])
    assert [view.spec.name for view in named.views] == ["layercam", "deconvnet"]
    with pytest.raises(ValueError, match="attribution method"):
        attribution.compare_methods(model, shown, methods=["layercamm"])
    with pytest.raises(ValueError, match='"chosen", "all" or a sequence of names'):
        attribution.compare_methods(model, shown, methods="most")


def test_every_family_has_methods_and_a_method_tells_its_cost():
    specs = [attribution.method_spec(name) for name in attribution.list_methods()]
    built_in = [spec for spec in specs if spec.function.__module__.startswith("kerasal.attribution")]
    for spec in built_in:
        assert spec.family in set(FAMILIES) - {""}, spec.name
        assert spec.cost({}) and "{" not in spec.cost({}), spec.name
    assert attribution.method_spec("smoothgrad").cost({"samples": 7}) == "7 passes"
    assert sum(spec.compared for spec in built_in) < 14
