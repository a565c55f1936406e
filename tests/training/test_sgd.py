import numpy as np
import pytest

from kerasal.training import TorchSGD

import keras


def reference(weights, gradients, rates, momentum, decay, nesterov):
    """``torch.optim.SGD``, as its documentation writes it."""
    velocity = [np.zeros_like(w) for w in weights]
    for step, rate in enumerate(rates):
        for i, w in enumerate(weights):
            g = gradients[step][i] + decay * w
            velocity[i] = momentum * velocity[i] + g
            weights[i] = w - rate * (g + momentum * velocity[i] if nesterov else velocity[i])
    return weights


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("decay", [0.0, 5e-4, 0.1])
def test_it_is_torchs_arithmetic_also_after_a_change_of_rate(nesterov, decay):
    random = np.random.default_rng(0)
    start = [random.normal(size=(3, 4)), random.normal(size=4)]
    rates = [0.3, 0.3, 0.03, 0.03, 0.1]
    gradients = [[random.normal(size=w.shape) for w in start] for _ in rates]
    variables = [keras.Variable(w.astype(np.float32)) for w in start]
    optimizer = TorchSGD(rates[0], momentum=0.9, weight_decay=decay, nesterov=nesterov)
    for rate, gradient in zip(rates, gradients, strict=True):
        optimizer.build(variables)
        optimizer.learning_rate.assign(rate)
        optimizer.apply([np.float32(one) for one in gradient], variables)
    for variable, wanted in zip(variables, reference(start, gradients, rates, 0.9, decay, nesterov), strict=True):
        np.testing.assert_allclose(variable.numpy(), wanted, rtol=2e-6, atol=1e-6)


def test_keras_sgd_is_another_one():
    """Otherwise there would be no need of this one: after a change of rate the two part."""
    ours, theirs = keras.Variable(np.float32([1.0])), keras.Variable(np.float32([1.0]))
    pair = TorchSGD(0.1, momentum=0.9), keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True)
    for rate, same in ((0.1, True), (0.01, False)):
        for optimizer, variable in zip(pair, (ours, theirs), strict=True):
            optimizer.learning_rate = rate
            optimizer.apply([np.float32([1.0])], [variable])
        assert np.allclose(ours.numpy(), theirs.numpy(), rtol=1e-5) == same


def test_momentum_may_be_changed_between_steps():
    variable = keras.Variable(np.float32([0.0]))
    optimizer = TorchSGD(1.0, momentum=0.5, nesterov=False)
    optimizer.apply([np.float32([1.0])], [variable])
    optimizer.momentum.assign(0.0)
    optimizer.apply([np.float32([1.0])], [variable])
    assert variable.numpy() == -2.0  # with the momentum of .5 it would be -2.5


def test_config_round_trip():
    optimizer = TorchSGD(0.02, momentum=0.8, weight_decay=0.01, nesterov=False)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(again, TorchSGD)
    assert again.get_config() == optimizer.get_config()
    assert (again.decay, again.nesterov) == (0.01, False)


@pytest.mark.parametrize(("options", "message"), [({"momentum": 1.1}, "momentum"), ({"weight_decay": -1}, "decay")])
def test_out_of_range(options, message):
    with pytest.raises(ValueError, match=f"{message} must be a finite number .*, got"):
        TorchSGD(**options)
