"""The table of methods and kinds of models: it is current, and what it says is true."""

import importlib.util
import pathlib

import numpy as np
import pytest

import kerasal
from kerasal import attribution

import keras

ROOT = pathlib.Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("model_kinds", ROOT / "docs" / "model_kinds.py")
model_kinds = importlib.util.module_from_spec(spec)
spec.loader.exec_module(model_kinds)
# A method of each group; options that keep it short.
METHODS = {
    "gradcam": {},
    "class_saliency": {},
    "occlusion": {"window": 4, "stride": 4},
    "guided_backprop": {},
    "attention_rollout": {},
    "attention_gradcam": {},
}

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap")]


def test_the_table_is_current(monkeypatch):
    monkeypatch.setattr("sys.argv", ["model_kinds.py", "--check"])
    with pytest.raises(SystemExit) as stopped:
        model_kinds.main()
    assert stopped.value.code == 0


@pytest.mark.parametrize("kind", model_kinds.KINDS)
def test_each_method_gives_a_map_of_the_inputs_positions_or_the_error_of_the_table(kind):
    model = model_kinds.build(kind)
    verdicts = kerasal.describe(model, preprocessing="unit").methods
    shape = model.input_shape[1:]
    inputs = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    without_channels = "without a channel" in kind or kind.startswith("features")
    positions = shape if without_channels else shape[1:] if "channels first" in kind else shape[:-1]
    for name, options in METHODS.items():
        if verdicts[name]:
            with pytest.raises(ValueError, match=" "):
                getattr(attribution, name)(model, inputs, 1, **options)
        else:
            maps = getattr(attribution, name)(model, inputs, 1, **options)
            if name == "guided_backprop":
                assert maps.shape == inputs.shape
            elif name == "occlusion":
                assert maps.ndim == len(positions) + 1
            else:
                assert maps.shape == (2, *positions)
            assert np.isfinite(maps).all()
    keras.utils.clear_session()
