"""What every method promises, whatever it computes. A new method is under this contract without a line here."""

import gc
import inspect
import threading
import weakref

import numpy as np
import pytest

from kerasal import attribution, hooks
from kerasal.hooks import trace
from kerasal.hooks.engine import target_scores
from kerasal.objectives import channel, class_score

import keras
import tensorflow as tf

# The small net has images with a unit that is off, or a class that nothing speaks for: maps of 0, rightly.
pytestmark = pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap")
METHODS = attribution.list_methods()
MAP_SIZES = {"occlusion": (7, 7)}  # one value a window: 2 pixels wide, moved by 1
SPELLINGS = [
    ("functional", "attribute"),
    ("functional", "layer"),
    ("functional", "activation"),
    ("functional", "op"),
    ("sequential", "attribute"),
    ("sequential", "layer"),
    ("nested", "attribute"),
    ("nested", "activation"),
    ("subclassed", "attribute"),
    ("subclassed", "call"),
]
# The spelling matters most to rules of ReLUs, so these are quick; of others, the most intricate spelling of a few.
_QUICK_NESTED = {"gradcam", "smoothgrad", "occlusion"}
WAYS = [
    pytest.param(name, *way, marks=[] if name == "guided_backprop" or quick else pytest.mark.slow)
    for name in METHODS
    for way in SPELLINGS[1:]
    for quick in [way == ("nested", "attribute") and name in _QUICK_NESTED]
]


@pytest.fixture(params=METHODS)
def method(request):
    return getattr(attribution, request.param)


@pytest.mark.parametrize(("method", "kind", "relu"), WAYS, indirect=["method"])
def test_one_net_has_one_map_however_it_is_spelled(method, kind, relu, shared_model, batch):
    expected = method(shared_model(*SPELLINGS[0]), batch, [0, 1, 2])
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(method(shared_model(kind, relu), batch, [0, 1, 2]), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.one_of_a_kind
def test_a_batch_gives_what_its_images_give_alone(method, shared_model, batch):
    model = shared_model("functional")
    together = method(model, batch, [0, 1, 2])
    alone = [method(model, image, target)[0] for image, target in zip(batch, [0, 1, 2], strict=True)]
    # A difference of scores is exact to the scores' rounding, which on some processors depends on the batch.
    rounding = 2 * np.spacing(np.abs(target_scores(model, [batch], [0, 1, 2])).max())
    atol = max(1e-7, rounding) if method.__name__ in ("ablation", "kernel_shap", "occlusion") else 1e-7
    np.testing.assert_allclose(together, np.stack(alone), rtol=1e-5, atol=atol)
    np.testing.assert_allclose(method(model, batch, [0, 1, 2], batch_size=2), together, rtol=1e-5, atol=atol)


@pytest.mark.one_of_a_kind
def test_no_target_means_each_images_top_class(method, shared_model, batch):
    if attribution.method_spec(method.__name__).any_size:
        pytest.skip("its crops decide together; see test_crops.py")
    model = shared_model("functional")
    top = np.argmax(model(batch, training=False), axis=1)
    np.testing.assert_array_equal(method(model, batch), method(model, batch, top))


@pytest.mark.one_of_a_kind
def test_a_function_and_an_objective_are_targets_too(method, shared_model, batch):
    model = shared_model("functional")
    expected = method(model, batch, 3)
    np.testing.assert_allclose(method(model, batch, lambda output: output[:, 3]), expected, rtol=1e-5, atol=2e-6)
    np.testing.assert_allclose(method(model, batch, class_score(3)), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.one_of_a_kind
def test_a_hidden_channel_is_a_target_at_any_depth(method, shared_model, batch):
    flat = method(shared_model("functional"), batch, channel("conv2", 2))
    nested = method(shared_model("nested"), batch, channel("encoder/conv2", 2))
    np.testing.assert_allclose(nested, flat, rtol=1e-5, atol=1e-7)
    assert np.abs(flat).max() > 0


@pytest.mark.one_of_a_kind
def test_maps_are_float32_and_finite(method, shared_model, batch):
    maps = method(shared_model("functional"), batch)
    assert maps.dtype == np.float32
    assert maps.shape[:3] == (3, *MAP_SIZES.get(method.__name__, (8, 8)))
    assert np.isfinite(maps).all()
    if not attribution.method_spec(method.__name__).signed:
        assert (maps >= 0).all()


@pytest.mark.one_of_a_kind
@pytest.mark.parametrize("kind", ["nested", "subclassed"])
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.quick("gradcam-False-nested", "guided_backprop-False-subclassed", "guided_backprop-True-nested")
def test_the_model_and_the_inputs_are_as_before(method, kind, fails, make_model, batch):
    model = make_model(kind)
    before = _state(model)
    inputs = batch.copy()

    def target(output):
        if fails:
            raise ZeroDivisionError
        return output[:, 0] + 0.1

    if fails:
        with pytest.raises(ZeroDivisionError):
            method(model, inputs, target)
        with pytest.raises(ValueError, match="There are 5 channels"):
            method(model, inputs, channel("conv2", 5))
    else:
        method(model, inputs, target)
        method(model, inputs, channel("conv2", 0))
    _assert_same_state(_state(model), before)
    np.testing.assert_array_equal(inputs, batch)


@pytest.mark.one_of_a_kind
@pytest.mark.quick("guided_backprop")
def test_the_second_call_does_not_trace(method, make_model, batch):
    model, spec = make_model("functional"), attribution.method_spec(method.__name__)

    def explain():
        for images in (2, 1, 3):
            method(model, batch[:images])
            method(model, batch[:images], list(range(images)))
            method(model, batch[:images], class_score(images))

    explain()
    count = len(trace.traces(model))
    explain()
    assert sum(key[0] is spec.function for key in trace.traces(model)) == 2
    assert len(trace.traces(model)) == count
    assert count <= 4  # two, and one for each of them that looks for the cause of a map of 0


def test_a_new_function_at_every_call_does_not_pile_up_graphs(make_model, batch, monkeypatch):
    model = make_model("functional")
    assert trace._MAX_TRACES < 100
    monkeypatch.setattr(trace, "_MAX_TRACES", 4)
    for number in range(trace._MAX_TRACES + 3):
        attribution.input_gradient(model, batch, lambda output, number=number: output[:, 0] * number)
    assert len(trace.traces(model)) <= trace._MAX_TRACES


@pytest.mark.one_of_a_kind
@pytest.mark.quick("guided_backprop")
def test_the_model_is_freed_when_the_user_drops_it(method, make_model, batch):
    model = make_model("functional")
    method(model, batch)
    method(model, batch, lambda output, model=model: output[:, 0] + 0 * tf.cast(len(model.layers), tf.float32))
    method(model, batch, channel("conv2", 0))
    reference = weakref.ref(model)
    del model
    gc.collect()
    assert reference() is None


def test_a_changed_activation_is_seen(make_model, batch):
    model = make_model("functional")
    before = attribution.input_gradient(model, batch, 0)
    model.get_layer("conv2").activation = keras.activations.linear
    assert np.abs(attribution.input_gradient(model, batch, 0) - before).max() > 1e-4


@pytest.mark.one_of_a_kind
def test_new_weights_are_seen(method, make_model, batch):
    model = make_model("functional")
    before = method(model, batch, 0)
    model.get_layer("conv1").kernel.assign(model.get_layer("conv1").kernel * 1.5 + 0.1)
    assert np.abs(method(model, batch, 0) - before).max() > 0


def test_logits_are_the_default_and_do_not_touch_the_model(shared_model, batch):
    model = shared_model("functional")
    probabilities = model(batch, training=False).numpy()
    logits = attribution.input_gradient(model, batch, 1)
    posterior = attribution.input_gradient(model, batch, 1, logits=False)
    assert np.abs(logits - posterior).max() > 1e-3
    np.testing.assert_array_equal(model(batch, training=False).numpy(), probabilities)
    assert model.layers[-1].activation is keras.activations.softmax


@pytest.mark.one_of_a_kind
@pytest.mark.quick("guided_backprop")
def test_compiled_gives_the_same_on_tensors_also_when_saved(method, shared_model, batch, tmp_path):
    model = shared_model("nested")
    compiled = method.compiled(model)
    assert isinstance(compiled, tf.Module)
    np.testing.assert_allclose(compiled(tf.constant(batch)), method(model, batch), rtol=1e-6)
    np.testing.assert_allclose(
        compiled(tf.constant(batch), tf.constant([2, 1, 0])), method(model, batch, [2, 1, 0]), rtol=1e-6
    )
    tf.saved_model.save(compiled, str(tmp_path / "saved"), signatures=compiled.top)
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    np.testing.assert_allclose(loaded.top(tf.constant(batch)), method(model, batch), rtol=1e-5, atol=1e-7)


@pytest.mark.one_of_a_kind
@pytest.mark.quick("guided_backprop")
def test_two_threads_get_what_one_gets(method, make_model, batch):
    models = [make_model("functional"), make_model("nested")]
    expected = method(make_model("functional"), batch, channel("conv2", 1))
    plain = models[0](batch, training=False).numpy()
    found, outputs = [], []

    def explain(model):
        found.append(method(model, batch, channel("conv2", 1)))

    def predict():
        outputs.extend(models[0](batch, training=False).numpy() for _ in range(20))

    threads = [threading.Thread(target=explain, args=(model,)) for model in models]
    threads.append(threading.Thread(target=predict))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    for maps in found:
        np.testing.assert_allclose(maps, expected, rtol=1e-5, atol=1e-7)
    assert len(outputs) == 20
    for output in outputs:
        np.testing.assert_allclose(output, plain, rtol=1e-6)


def test_the_signature_shows_every_option(method):
    names = list(inspect.signature(method).parameters)
    assert names[:3] == ["model", "inputs", "target"]
    assert names[-3:] == ["output", "logits", "batch_size"]
    assert set(attribution.method_spec(method.__name__).options) == set(names[3:-3])
    assert "Source:" in method.__doc__


def _state(model):
    attributes = {
        path: (layer.__dict__.get("call"), getattr(layer, "activation", None), sorted(vars(layer)))
        for path, layer in hooks.layers(model)
    }
    return attributes, [weight.numpy().copy() for weight in model.weights], sorted(vars(model))


def _assert_same_state(after, before):
    assert after[0] == before[0]
    assert after[2] == before[2]
    for new, old in zip(after[1], before[1], strict=True):
        np.testing.assert_array_equal(new, old)
