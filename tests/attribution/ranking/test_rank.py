"""Methods are ordered by their metrics beside controls, resumed, and their options tried on the other half."""

import json

import numpy as np
import pandas as pd
import pytest

from kerasal import attribution
from kerasal.attribution.evaluation import Evaluation
from kerasal.attribution.ranking import measurement, method_ranking, suggestions
from kerasal.attribution.ranking.ranking_result import Ranking, order_methods, rank_columns, rank_images

import keras

METRICS = {"deletion": {"steps": 5}, "mu_fidelity": {"samples": 12}, "random_logit": {}}


@pytest.fixture(scope="module")
def linear():
    """A linear model of two classes on 6 × 6 images, for which gradient × input is the truth; twelve images."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    return model, np.random.default_rng(0).normal(size=(12, 6, 6, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def ranked(linear):
    methods = ["class_saliency", "gradient_x_input", "gradcam"]
    return attribution.rank(*linear, methods=methods, metrics=METRICS, suggest_options=False)


def test_the_truth_of_a_linear_model_is_first(ranked):
    assert ranked.methods[0] == ranked.order.index[0] == "gradient_x_input"
    controls = {"random map", "center", "edges of the image"}
    assert set(ranked.order.index) == {"gradient_x_input", "class_saliency"} | controls
    assert ranked.order.loc["gradient_x_input", "against_random"] == "better than random"
    assert ranked.order.loc["gradient_x_input", "mu_fidelity"] == pytest.approx(1, abs=1e-4)
    assert ranked.order["mean_rank"].is_monotonic_increasing
    assert "gradient_x_input" not in ranked.not_better
    assert (ranked.order["low"] <= ranked.order["mean_rank"]).all()
    assert ranked.order["seconds"].notna().tolist() == [name in ranked.methods for name in ranked.order.index]


def test_methods_that_do_not_work_are_left_out_with_the_reason(ranked):
    ((name, reason),) = ranked.left_out
    assert name == "gradcam" and "layer" in reason


def test_sanity_tests_do_not_count_in_the_order(ranked):
    assert "random_logit" not in ranked.order and ranked.metrics[-1] == "random_logit"
    assert ranked.checks["metric"].unique().tolist() == ["random_logit"]
    # With two classes, the other class has the same squared gradient only up to its weights.
    assert set(ranked.checks["method"]) == set(ranked.methods)


def evaluation_of(metric, better, values, **controls):
    arrays = {name: np.array(part) for name, part in controls.items()}
    return Evaluation(metric, better, np.array(values, float), arrays)


def test_ranks_count_metrics_of_different_units_alike():
    count = 12
    good = {
        "deletion": evaluation_of("deletion", "lower", [0.1] * count, random=[0.5] * count),
        "insertion": evaluation_of("insertion", "higher", [900.0] * count, random=[100.0] * count),
    }
    poor = {
        "deletion": evaluation_of("deletion", "lower", [0.5] * count, random=[0.5] * count),
        "insertion": evaluation_of("insertion", "higher", [np.nan] * count, random=[100.0] * count),
    }
    results = {"poor": poor, "good": good}
    order = order_methods(results, rank_images(results), {"good": 2.0, "poor": 1.0})
    assert order.index.tolist() == ["good", "random map", "poor"]
    assert order["mean_rank"].tolist() == pytest.approx([1, (2.5 + 2) / 2, 2.5])
    assert order.loc["poor", "against_random"] == "worse than random"
    assert order.loc["good", "seconds"] == 2


def test_equal_values_share_a_rank_and_undefined_ones_have_none():
    ranks = rank_columns(np.array([[1.0, np.nan], [0, 5], [1, 4]]))
    np.testing.assert_array_equal(ranks, [[2.5, np.nan], [1, 2], [2.5, 1]])


def test_an_interrupted_run_continues(linear, tmp_path, monkeypatch):
    seen, explain = [], measurement.Measurements.explain

    def stop(self, method, options):
        seen.append(method)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return explain(self, method, options)

    monkeypatch.setattr(measurement.Measurements, "explain", stop)
    run = {"methods": ["class_saliency", "gradient_x_input"], "metrics": METRICS, "suggest_options": False}
    with pytest.raises(KeyboardInterrupt):
        attribution.rank(*linear, **run, resume_beside=tmp_path / "page.html")
    again = attribution.rank(*linear, **run, resume_beside=tmp_path / "page.html")
    assert seen == ["class_saliency", "gradient_x_input", "gradient_x_input"]
    assert again.notes == ["The results of 1 methods were reused from the interrupted run."]
    assert not list(tmp_path.iterdir())
    whole = attribution.rank(*linear, **run)
    pd.testing.assert_frame_equal(whole.order.drop(columns="seconds"), again.order.drop(columns="seconds"))


def test_other_inputs_start_over(linear, tmp_path, monkeypatch):
    model, images = linear
    run = {"methods": ["class_saliency"], "metrics": METRICS, "suggest_options": False}
    with monkeypatch.context() as patch:
        patch.setattr("kerasal.attribution.ranking.method_ranking.order_methods", lambda *_: 1 / 0)
        patch.setattr("kerasal.row_journal.RowJournal.remove", lambda self: None)
        with pytest.raises(ZeroDivisionError):
            attribution.rank(model, images, **run, resume_beside=tmp_path / "page.html")
    again = attribution.rank(model, -images, **run, resume_beside=tmp_path / "page.html")
    assert "Starting over" in again.notes[0]


def test_an_option_holds_only_on_the_half_that_did_not_choose_it(monkeypatch):
    """One candidate is better everywhere, another only on the half that chooses."""
    images = 40
    half = set(np.random.default_rng(0).permutation(images)[: images // 2].tolist())

    class Half:
        def __init__(self, numbers):
            self.numbers = numbers

        def explain(self, method, options):
            return (method, options), 0.0

        def measure(self, subject, *, with_controls):
            assert not with_controls
            method, options = subject
            noise = options["noise"]
            better = {0.05: 0, 0.1: 1, 0.3: np.array([number in half for number in self.numbers])}[noise]
            values = np.zeros(len(self.numbers)) + (better if method == "smoothgrad" or noise == 0.3 else 0)
            return {"metrics": {"insertion": {"values": values.tolist(), "controls": {}}}}

    known = {name: {"insertion": np.full(images, 0.5)} for name in ("smoothgrad", "drops")}
    monkeypatch.setattr(suggestions, "method_spec", lambda name: attribution.method_spec("smoothgrad"))
    table = suggestions.suggest(Half, None, {"smoothgrad": {}, "drops": {}}, known, {}, images, 0, lambda count: None)
    table = table.set_index("method")
    assert table.loc["smoothgrad", "value"] == 0.1 and bool(table.loc["smoothgrad", "holds"])
    assert table.loc["smoothgrad", "default"] == 0.15
    assert table.loc["drops", "value"] == 0.3 and not table.loc["drops", "holds"]
    assert table.loc["drops", "share"] == 0


def test_layers_of_other_stages_are_tried(make_model):
    model = make_model("functional")
    layers = suggestions.stage_layers(model)
    sizes = [tuple(model.get_layer(name).output.shape[1:3]) for name in layers]
    assert len(set(sizes)) == len(sizes) and layers
    tried = suggestions.candidates(model, "gradcam", {}, layers[-1])
    assert tried == [{"layer": name} for name in layers[:-1]]
    rescaled = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Rescaling(2.0, name="rescaling"), keras.layers.Conv2D(2, 3, strides=2)]
    )
    assert "rescaling" not in suggestions.stage_layers(rescaled)
    assert suggestions.candidates(model, "gradcam", {"layer": "conv1"}, "conv1") == []
    assert suggestions.candidates(model, "smoothgrad", {"noise": 0.1}, None) == [{"noise": 0.05}, {"noise": 0.3}]


@pytest.mark.slow
def test_suggestions_and_truth_on_a_small_network(make_model):
    images = np.random.default_rng(0).normal(size=(20, 8, 8, 3)).astype(np.float32)
    result = attribution.rank(
        make_model("functional"),
        images,
        methods={"smoothgrad": {"samples": 3}, "gradcam": {}, "guided_backprop": {}},
        metrics={"deletion": {"steps": 3}, "relevance_mass": {}},
        truth=[(2, 2, 6, 6)] * 20,
    )
    assert set(result.methods) == {"smoothgrad", "gradcam", "guided_backprop"}
    assert result.suggestions["share"].between(0, 1).all()
    assert "Each metric" in result.html("Title")


def test_pages(ranked):
    page = ranked.html("Which <maps>?", facts=["12 images"])
    assert "Which &lt;maps&gt;?" in page and "gradient_x_input" in page and "12 images" in page
    assert "gradcam" in page and "Not available for this model" in page
    sheet = ranked.sheet("Which maps?", facts=["12 images"])
    assert sheet.dtype == np.uint8 and sheet.ndim == 3 and sheet.std() > 5
    json.dumps(ranked.conclusions)
    assert ranked.conclusions[0].startswith("gradient_x_input has the best mean rank")


def test_conclusions_follow_from_intervals():
    """A control that is first is named first; what is not better than a control is said to be so."""
    random = np.random.default_rng(0)
    count = 40
    values = random.normal(size=count)
    noise = [values + 0.01 * random.normal(size=count) for _ in range(4)]
    good = values + 5
    controls = {"random": noise[0] - 5, "center": good + 3, "edges": noise[1]}
    results = {
        name: {"insertion": evaluation_of("insertion", "higher", part, **controls)}
        for name, part in {"good": good, "even": noise[2]}.items()
    }
    ranks = rank_images(results)
    order = order_methods(results, ranks, {})
    empty = pd.DataFrame(columns=suggestions.COLUMNS)
    found = Ranking(order, ranks, results, empty, [], count)
    assert found.conclusions[0] == "center has the best mean rank, and is better than all others."
    assert "Not better than the center: good, even." in found.conclusions
    assert "Not better than the edges of the image: even." in found.conclusions
    assert found.not_better == []
    assert "Ranking of 2 methods on 40 images" in repr(found)


def test_a_model_of_one_output_is_ranked_without_the_test_of_classes(linear):
    _, images = linear
    model = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    result = attribution.rank(model, images, methods=["gradient_x_input"], metrics=METRICS, suggest_options=False)
    assert "random_logit" not in result.metrics
    assert any("random_logit was not computed" in note for note in result.notes)
    assert "random_logit was not computed" in result.html("Title")


def test_one_image_has_no_interval(linear):
    model, images = linear
    run = {"methods": ["class_saliency"], "metrics": METRICS, "suggest_options": False}
    one = attribution.rank(model, images[:1], **run)
    assert one.order[["low", "high"]].isna().all(axis=None)
    assert one.sheet("Title").std() > 5 and "nan" not in one.html("Title")


def test_methods_of_many_passes_are_ranked_only_if_named():
    chosen = method_ranking._read_methods("chosen")
    assert not set(method_ranking.MANY_PASSES) & set(chosen) and "gradcam" in chosen
    assert set(method_ranking.MANY_PASSES) < set(method_ranking._read_methods("all"))
    assert method_ranking._read_methods(["rise"]) == {"rise": {"samples": 500}}


def test_few_images_get_no_verdict(linear):
    model, images = linear
    few = attribution.rank(model, images[:4], methods=["class_saliency"], metrics=METRICS, suggest_options=False)
    assert few.conclusions == ["Verdicts need 10 images or more, got 4."]
    assert few.order.loc["class_saliency", "against_random"] == "too few images (4)"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"methods": "some"}, 'methods must be "chosen", "all", names'),
        ({"methods": []}, "methods must hold at least one name"),
        ({"methods": ["gradcm"]}, "gradcam"),
        ({"metrics": ["deletions"]}, "deletion"),
        ({"metrics": ["random_logit"]}, "at least one that orders methods"),
        ({"metrics": ["sparseness"]}, "at least one that orders methods"),
        ({"metrics": ["pointing_game"]}, "truth must be passed for pointing_game"),
        ({"metrics": {"deletion": {"step": 3}}}, "metrics must name options of deletion, got 'step'"),
        ({"methods": ["gradcam"]}, "No method works on 'sequential.*gradcam: "),
        ({"metrics": {"deletion": {"steps": 0}}}, "^steps must be a positive integer, got 0"),
        ({"target": 9}, "^The target's index must be in range, got 9"),
        ({"random_maps": 0}, "random_maps must be a positive integer"),
    ],
)
def test_what_does_not_fit(options, says, linear):
    with pytest.raises(ValueError, match=says):
        attribution.rank(*linear, **{"methods": ["class_saliency"], "metrics": METRICS} | options)
