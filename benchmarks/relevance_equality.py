"""Layer-wise relevance propagation of kerasal beside zennit, on two networks with the same random weights.

    python benchmarks/relevance_equality.py

One network is like VGG: convolutions with biases, maximum pooling, dense layers. The other is like ResNet: batch
normalization with statistics of its own after every convolution, residual blocks with and without a projection, and
global average pooling. A difference is the largest one among the values of three inputs, relative to the largest value
of zennit's maps, which are computed in float64; kerasal computes in float32. The last columns are the sums of the
relevance of the first input: what is missing from the score is what the biases took. zennit 1.0 needs Python 3.11.11 or
later; PyTorch's build for the CPU is enough:

    python -m venv peers
    peers/bin/pip install . torch zennit==1.0.0
"""

import functools
import os
import pathlib
import re
import sys
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from torch import nn
from zennit.attribution import Gradient
from zennit.canonizers import SequentialMergeBatchNorm
from zennit.composites import EpsilonAlpha2Beta1, EpsilonGammaBox, EpsilonPlus, LayerMapComposite, layer_map_base
from zennit.layer import Sum
from zennit.rules import Epsilon
from zennit.types import Linear

from kerasal import attribution

import keras

CLASSES, TARGETS = 5, [0, 3, 1]
LOW, HIGH = -2.5, 2.5
TOLERANCE = 1e-5
NETWORKS = ("vgg_like", "resnet_like")
KINDS = {
    keras.layers.Conv2D: nn.Conv2d,
    keras.layers.BatchNormalization: nn.BatchNorm2d,
    keras.layers.Dense: nn.Linear,
}
COMPOSITES = {
    "epsilon_plus": ({}, EpsilonPlus),
    "epsilon_gamma_box": (
        {"low": LOW, "high": HIGH},
        lambda **options: EpsilonGammaBox(low=LOW, high=HIGH, **options),
    ),
    "epsilon": ({}, lambda **options: LayerMapComposite([*layer_map_base(), (Linear, Epsilon())], **options)),
    "epsilon_alpha2_beta1": ({}, EpsilonAlpha2Beta1),
}


class Block(nn.Module):
    """A residual block of two convolutions, with a projection if its stride is 2."""

    def __init__(self, before: int, after: int, stride: int):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after)
        self.relu1 = nn.ReLU()
        self.conv2, self.norm2 = nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
        self.sum, self.relu2 = Sum(), nn.ReLU()

    def forward(self, x):
        y = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(x)))))
        return self.relu2(self.sum(torch.stack([self.shortcut(x), y], dim=-1)))


def keras_block(x, filters: int, stride: int):
    """Return the output of the same block in Keras; its layers run in the order of the modules in ``Block``."""
    layers = keras.layers
    padded = layers.ZeroPadding2D(1)(x)
    y = layers.Conv2D(filters, 3, stride, use_bias=False)(padded)
    y = layers.ReLU()(layers.BatchNormalization(epsilon=1e-5)(y))
    y = layers.Conv2D(filters, 3, padding="same", use_bias=False)(y)
    y = layers.BatchNormalization(epsilon=1e-5)(y)
    if stride > 1:
        x = layers.Conv2D(filters, 1, stride, use_bias=False)(x)
        x = layers.BatchNormalization(epsilon=1e-5)(x)
    return layers.ReLU()(layers.Add()([x, y]))


def resnet_like() -> tuple[keras.Model, nn.Module]:
    """Return a network of a stem and three residual blocks, in Keras and in PyTorch."""
    layers, inputs = keras.layers, keras.Input((33, 29, 3))
    x = layers.Conv2D(8, 5, 2, use_bias=False)(layers.ZeroPadding2D(2)(inputs))
    x = layers.ReLU()(layers.BatchNormalization(epsilon=1e-5)(x))
    x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(x))
    for filters, stride in ((8, 1), (12, 2), (12, 1)):
        x = keras_block(x, filters, stride)
    outputs = layers.Dense(CLASSES)(layers.GlobalAveragePooling2D()(x))
    module = nn.Sequential(
        nn.Conv2d(3, 8, 5, 2, 2, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        Block(8, 8, 1),
        Block(8, 12, 2),
        Block(12, 12, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, CLASSES),
    )
    return keras.Model(inputs, outputs, name="resnet_like"), module


def vgg_like() -> tuple[keras.Model, nn.Module]:
    """Return a network of four convolutions and two dense layers, in Keras and in PyTorch."""
    layers, inputs = keras.layers, keras.Input((20, 24, 3))
    x, modules, before = inputs, [], 3
    for filters in (8, 12):
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
            modules += [nn.Conv2d(before, filters, 3, padding=1), nn.ReLU()]
            before = filters
        x = layers.MaxPooling2D()(x)
        modules.append(nn.MaxPool2d(2))
    x = layers.Permute((3, 1, 2))(x)  # PyTorch flattens channels first
    x = layers.Dense(16, activation="relu")(layers.Flatten()(x))
    modules += [nn.Flatten(), nn.Linear(12 * 5 * 6, 16), nn.ReLU(), nn.Linear(16, CLASSES)]
    return keras.Model(inputs, layers.Dense(CLASSES)(x), name="vgg_like"), nn.Sequential(*modules)


def share_weights(model: keras.Model, module: nn.Module, seed: int) -> None:
    """Give both networks the same random weights: kind by kind, in the order of their layers."""
    random = np.random.default_rng(seed)
    pairs = []
    for ours, theirs in KINDS.items():
        layers = sorted((layer for layer in model.layers if isinstance(layer, ours)), key=number)
        pairs += zip(layers, (part for part in module.modules() if isinstance(part, theirs)), strict=True)
    for layer, part in pairs:
        values = []
        for variable in layer.weights:
            is_kernel = variable.path.endswith("kernel")
            size = np.prod(variable.shape[:-1]) if is_kernel else 1
            spread = 1.5 / np.sqrt(size) if is_kernel else 0.3
            array = random.normal(0, spread, variable.shape)
            positive = variable.path.endswith(("gamma", "moving_variance"))
            values.append((np.abs(array + 1) + 0.1 if positive else array).astype(np.float32))
        layer.set_weights(values)
        with torch.no_grad():
            if isinstance(part, nn.BatchNorm2d):
                names = (part.weight, part.bias, part.running_mean, part.running_var)
            else:
                values[0] = values[0].transpose(3, 2, 0, 1) if values[0].ndim == 4 else values[0].T
                names = (part.weight, part.bias)[: len(values)]
            for parameter, array in zip(names, values, strict=True):
                parameter.copy_(torch.from_numpy(np.ascontiguousarray(array)))


def number(layer: keras.layers.Layer) -> int:
    """Return the number that Keras gave to a layer among those of its kind."""
    return int((re.findall(r"_(\d+)$", layer.name) or [0])[0])


def zennit_maps(module: nn.Module, inputs: np.ndarray, composite) -> np.ndarray:
    """Return the relevance of zennit, (N, H, W), in float64."""
    x = torch.from_numpy(np.moveaxis(inputs, -1, 1).astype(np.float64))
    start = torch.eye(CLASSES, dtype=torch.float64)[TARGETS]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Gradient(module, composite(canonizers=[SequentialMergeBatchNorm()])) as attributor:
            _, relevance = attributor(x, lambda output: output * start)
    return relevance.sum(1).numpy()


@functools.cache
def network(name: str) -> tuple[keras.Model, nn.Module, np.ndarray]:
    """Return a network in Keras and in PyTorch with the same weights, and inputs."""
    model, module = {"vgg_like": vgg_like, "resnet_like": resnet_like}[name]()
    share_weights(model, module, seed=0)
    inputs = np.random.default_rng(1).uniform(LOW, HIGH, (len(TARGETS), *model.input_shape[1:]))
    return model, module.double().eval(), inputs.astype(np.float32)


def compare(name: str, composite: str) -> tuple[float, float, float]:
    """Return the largest relative difference, and the sums of kerasal's and zennit's relevance of the first input."""
    model, module, inputs = network(name)
    options, make_composite = COMPOSITES[composite]
    ours = attribution.lrp(model, inputs, TARGETS, composite=composite, **options)
    theirs = zennit_maps(module, inputs, make_composite)
    return np.abs(ours - theirs).max() / np.abs(theirs).max(), ours[0].sum(), theirs[0].sum()


def main() -> None:
    print("| network | composite | difference | score | sum of kerasal | sum of zennit |\n|---|---|---|---|---|---|")
    worst = 0.0
    for name in NETWORKS:
        model, _, inputs = network(name)
        score = model(inputs).numpy()[0, TARGETS[0]]
        for composite in COMPOSITES:
            difference, ours, theirs = compare(name, composite)
            worst = max(worst, difference)
            print(f"| {name} | {composite} | {difference:.0e} | {score:.4f} | {ours:.4f} | {theirs:.4f} |")
    if worst > TOLERANCE:
        raise SystemExit(f"The largest difference must be at most {TOLERANCE:g}, got {worst:.1e}.")


if __name__ == "__main__":
    main()
