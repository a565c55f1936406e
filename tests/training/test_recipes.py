import json

import numpy as np
import pytest

from kerasal.training import RECIPES, Constant, Cosine, Linspace, StepFloor, recipe


def test_the_courseworks_schedule_as_the_report_has_it():
    rate = StepFloor(0.03, 0.55, 100, 1e-4)
    table = [0.03, 0.0165, 0.009075, 0.004991, 0.002745, 0.001510, 0.000830, 0.000457, 0.000251, 0.000138]
    np.testing.assert_allclose([rate(epoch, 1000) for epoch in range(0, 1000, 100)], table, rtol=4e-3)
    assert rate(99, 1000) == 0.03
    assert rate(999, 1000) == rate(900, 1000) > 1e-4
    assert rate(2000, 5000) == 1e-4
    assert RECIPES["coursework"].rate == rate


def test_linspace_is_numpys():
    rate = Linspace(0.03, 1e-4)
    np.testing.assert_allclose([rate(i, 7) for i in range(7)], np.linspace(0.03, 1e-4, 7), rtol=1e-12)
    assert rate(0, 1) == 0.03


def test_cosine_falls_from_start_to_nearly_nothing():
    rate = Cosine(2.0)
    values = [rate(i, 10) for i in range(10)]
    assert values[0] == 2.0 and values[5] == pytest.approx(1.0) and 0 < values[-1] < 0.06
    assert sorted(values, reverse=True) == values


def test_the_courseworks_recipe_is_157_000_steps():
    """20,000 images, which are 10,000 and their mirror images, in batches of 128 for 1000 epochs."""
    chosen = RECIPES["coursework"]
    assert chosen.steps_per_epoch(10_000) == 157
    assert chosen.steps_per_epoch(20_000, stored_mirrors=20_000) == 157  # the file has the mirror images
    assert recipe("paper").steps_per_epoch(20_000, stored_mirrors=20_000) == 157
    assert (chosen.epochs, chosen.batch_size, chosen.weight_decay, chosen.validate_every) == (1000, 128, 5e-4, 10)
    assert chosen.momentum == Constant(0.9) and chosen.loss == {"mse": 1.0} and chosen.optimizer == "torch_sgd"


def test_a_recipe_of_steps_becomes_one_of_whole_epochs():
    chosen = RECIPES["he_pugeault"].for_steps(25)
    assert (chosen.epochs, chosen.validate_every) == (400, 20)
    assert [chosen.rate(step, 10_000) for step in (499, 500, 1000)] == pytest.approx([1e-4, 8e-5, 6.4e-5])
    assert chosen.needs_fixations and not RECIPES["coursework"].needs_fixations


def test_changes():
    chosen = recipe("he_pugeault", epochs=3, rate=0.5, loss="kld=1,cc=0.2", validate_every=2, seed=None)
    assert (chosen.epochs, chosen.steps, chosen.rate, chosen.validate_every_steps) == (3, None, Constant(0.5), None)
    assert chosen.loss == {"kld": 1.0, "cc": 0.2} and chosen.seed == 0
    assert recipe(chosen) == chosen


@pytest.mark.parametrize("name", RECIPES)
def test_settings_survive_a_checkpoint(name):
    settings = recipe(name).for_steps(10).settings
    assert json.loads(json.dumps(settings)) == settings
    assert ("epochs" in settings) == (
        name in ("paper", "lasagne", "default", "gaze", "gaze_tune")
    )  # whose rates depend on the length


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("courswork", {}, "Did you mean coursework"),
        ("default", {"epoch": 3}, "Did you mean epochs"),
        ("default", {"loss": "mae"}, "Unknown loss 'mae'"),
        ("default", {"loss": "cc=-1"}, "weight of the loss cc"),
        ("default", {"loss": "cc=x"}, "weight of the loss cc"),
        ("default", {"epochs": 0}, "epochs must be a positive integer, got 0"),
        ("default", {"batch_size": 2.5}, "batch_size must be a positive integer, got 2.5"),
        ("default", {"rate": float("nan")}, "rate must be a finite number above 0"),
        ("default", {"rate": 0.0}, "rate must be"),
        ("default", {"mirror": "all"}, "mirror must be one of both, half, none"),
        ("paper", {"loss": "kld"}, "target_range must be .unit. for the loss kld"),
        ("paper", {"loss": "mse=1,center_distance=0.1"}, "target_range must be .unit. for the loss center_distance"),
    ],
)
def test_unusable_recipes(name, changes, message):
    with pytest.raises(ValueError, match=message):
        recipe(name, **changes)
