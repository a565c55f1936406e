"""Small networks in Keras and in PyTorch with the same random weights, on which two implementations can be compared.

A twin holds the Keras model (channels last), the PyTorch model (channels first) and inputs for both. ``convolutional``
makes networks of 1, 2 or 3 dimensions, ``residual`` one with a skip connection and a curved head, ``transformer`` a
vision transformer with a class token on a grid that is no square. The weights are larger than those of a new model, so
that no method's constant against division by 0 matters.
"""

import dataclasses

import numpy as np
import torch
from torch import nn

import keras

SIZES = {1: (24,), 2: (10, 12), 3: (8, 10, 9)}
CLASSES, CHANNELS = 4, 2
WIDTH, HEADS, BLOCKS = 16, 2, 3
EPSILON = 1e-6
# Those of which no map is 0, and no sum of Grad-CAM++'s coefficients so close to 0 that it magnifies rounding errors.
SEEDS = {1: 1, 2: 7, 3: 1, "resnet": 7, "vit": 3}


@dataclasses.dataclass(frozen=True)
class Twin:
    """One network in two frameworks.

    Attributes:
        model: the Keras model, whose output are logits.
        module: the PyTorch model.
        inputs: float32 (N, *positions, C).
        targets: a class per input.
        layer: the Keras layer whose output ``target`` computes, the last one with positions.
        target: the PyTorch module to explain.
        first, first_target: the same for a layer whose maps have the size of the input.
    """

    model: keras.Model
    module: nn.Module
    inputs: np.ndarray
    targets: list[int]
    layer: str
    target: nn.Module
    first: str = ""
    first_target: nn.Module | None = None

    @property
    def tensor(self) -> torch.Tensor:
        """The inputs for PyTorch, (N, C, *positions)."""
        return torch.from_numpy(np.moveaxis(self.inputs, -1, 1).copy())


def convolutional(rank: int) -> Twin:
    """Return a network of two convolutions in ``rank`` dimensions with a dense layer over all positions."""
    layers, inputs = keras.layers, keras.Input((*SIZES[rank], CHANNELS))
    convolution, pool = (getattr(layers, f"{name}{rank}D") for name in ("Conv", "MaxPooling"))
    x = convolution(6, 3, padding="same", activation="relu", name="first")(inputs)
    x = convolution(8, 3, activation="relu", name="last")(pool(2)(x))
    model = keras.Model(inputs, layers.Dense(CLASSES, name="head")(layers.Flatten()(x)), name=f"conv{rank}d")
    random = np.random.default_rng(SEEDS[rank])
    _randomize(model, random, {"head": 1.0})

    convolution, pool = (getattr(nn, f"{name}{rank}d") for name in ("Conv", "MaxPool"))
    shape = x.shape[1:]
    module = nn.Sequential(
        convolution(CHANNELS, 6, 3, padding=1),
        nn.ReLU(),
        pool(2),
        convolution(6, 8, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(int(np.prod(shape)), CLASSES),
    ).eval()
    for number, name in ((0, "first"), (3, "last")):
        kernel, bias = model.get_layer(name).get_weights()
        _copy(module[number], np.moveaxis(kernel, (-1, -2), (0, 1)), bias)
    kernel, bias = model.get_layer("head").get_weights()
    by_channel = np.moveaxis(kernel.reshape(*shape, CLASSES), -2, 0)  # PyTorch flattens channels first
    _copy(module[-1], by_channel.reshape(-1, CLASSES).T, bias)
    x = random.normal(size=(2, *SIZES[rank], CHANNELS)).astype(np.float32)
    return Twin(model, module, x, [1, 3], "last", module[4], "first", module[1])


class ResidualNetwork(nn.Module):
    """A convolution, a residual block, global average pooling and two dense layers with a tanh between them."""

    def __init__(self):
        super().__init__()
        self.first, self.inner, self.outer = (nn.Conv2d(n, 6, 3, padding=1) for n in (CHANNELS, 6, 6))
        self.relu = nn.ReLU()
        self.last = nn.ReLU()
        self.hidden, self.head = nn.Linear(6, 5), nn.Linear(5, CLASSES)

    def forward(self, x):
        x = self.relu(self.first(x))
        x = self.last(x + self.outer(self.relu(self.inner(x))))
        return self.head(torch.tanh(self.hidden(x.mean(dim=(2, 3)))))


def residual() -> Twin:
    """Return a 2-D network with a residual block, whose scores are curved in its last map."""
    layers, inputs = keras.layers, keras.Input((*SIZES[2], CHANNELS))
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="first")(inputs)
    y = layers.Conv2D(6, 3, padding="same", activation="relu", name="inner")(x)
    y = layers.Conv2D(6, 3, padding="same", name="outer")(y)
    x = layers.ReLU(name="last")(x + y)
    x = layers.Dense(5, "tanh", name="hidden")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, layers.Dense(CLASSES, name="head")(x), name="resnet")
    random = np.random.default_rng(SEEDS["resnet"])
    _randomize(model, random, {"head": 1.0})
    module = ResidualNetwork().eval()
    for name in ("first", "inner", "outer", "hidden", "head"):
        kernel, bias = model.get_layer(name).get_weights()
        _copy(getattr(module, name), np.moveaxis(kernel, (-1, -2), (0, 1)), bias)
    x = random.normal(size=(2, *model.input_shape[1:])).astype(np.float32)
    return Twin(model, module, x, [1, 3], "last", module.last)


class Block(nn.Module):
    """A transformer block that normalizes first, with PyTorch's own attention."""

    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH, EPSILON), nn.LayerNorm(WIDTH, EPSILON)
        self.self_attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))

    def forward(self, x):
        y = self.norm1(x)
        x = x + self.self_attention(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    """A vision transformer whose head reads the class token."""

    def __init__(self, patch: int, grid: tuple[int, int]):
        super().__init__()
        self.grid = grid
        self.patches = nn.Conv2d(3, WIDTH, patch, stride=patch)
        self.token = nn.Parameter(torch.zeros(WIDTH))
        self.positions = nn.Parameter(torch.zeros(grid[0] * grid[1] + 1, WIDTH))
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.norm, self.head = nn.LayerNorm(WIDTH, EPSILON), nn.Linear(WIDTH, CLASSES)

    def embed(self, x):
        """Return the tokens (N, T, C) of images (N, 3, H, W)."""
        x = self.patches(x).flatten(2).transpose(1, 2)
        return torch.cat([self.token.expand(len(x), 1, -1), x], dim=1) + self.positions

    def classify(self, tokens):
        """Return the logits (N, classes) of the tokens of the last block."""
        return self.head(self.norm(tokens)[:, 0])

    def forward(self, x):
        x = self.embed(x)
        for block in self.blocks:
            x = block(x)
        return self.classify(x)


class Embedding(keras.layers.Layer):
    """Put a class token before the tokens and add an embedding of positions, as weights of its own."""

    def build(self, shape):
        self.token = self.add_weight(shape=(WIDTH,), name="token")
        self.positions = self.add_weight(shape=(shape[1] + 1, WIDTH), name="positions")

    def call(self, tokens):
        token = keras.ops.broadcast_to(self.token, (keras.ops.shape(tokens)[0], 1, WIDTH))
        return keras.ops.concatenate([token, tokens], axis=1) + self.positions


def transformer(patch: int = 8, grid: tuple[int, int] = (4, 6)) -> Twin:
    """Return a vision transformer of three blocks on images of ``grid`` patches."""
    layers, count = keras.layers, grid[0] * grid[1]
    inputs = keras.Input((patch * grid[0], patch * grid[1], 3))
    tokens = layers.Reshape((count, WIDTH))(layers.Conv2D(WIDTH, patch, strides=patch, name="patches")(inputs))
    x = Embedding(name="embedding")(tokens)
    for block in range(BLOCKS):
        y = layers.LayerNormalization(epsilon=EPSILON, name=f"block{block}_norm1")(x)
        x = x + layers.MultiHeadAttention(HEADS, WIDTH // HEADS, name=f"block{block}_attention")(y, y)
        y = layers.LayerNormalization(epsilon=EPSILON, name=f"block{block}_norm2")(x)
        y = layers.Dense(2 * WIDTH, "gelu", name=f"block{block}_dense1")(y)
        x = x + layers.Dense(WIDTH, name=f"block{block}_dense2")(y)
    x = layers.LayerNormalization(epsilon=EPSILON, name="norm")(x)
    model = keras.Model(inputs, layers.Dense(CLASSES, name="head")(x[:, 0]), name=f"vit_{patch}")
    random = np.random.default_rng(SEEDS["vit"])
    _randomize(model, random, {"head": 3.0})

    module = VisionTransformer(patch, grid).eval()
    weights = {layer.name: layer.get_weights() for layer in model.layers}
    _copy(module.patches, np.moveaxis(weights["patches"][0], (-1, -2), (0, 1)), weights["patches"][1])
    with torch.no_grad():
        for parameter, values in zip((module.token, module.positions), weights["embedding"], strict=True):
            parameter.copy_(torch.from_numpy(values))
    for number, block in enumerate(module.blocks):
        for name in ("norm1", "norm2"):
            _copy(getattr(block, name), *weights[f"block{number}_{name}"])
        *projections, kernel, bias = weights[f"block{number}_attention"]
        kernels = [projection.reshape(WIDTH, WIDTH).T for projection in projections[::2]]
        with torch.no_grad():
            block.self_attention.in_proj_weight.copy_(torch.from_numpy(np.concatenate(kernels)))
            biases = np.concatenate([projection.ravel() for projection in projections[1::2]])
            block.self_attention.in_proj_bias.copy_(torch.from_numpy(biases))
        _copy(block.self_attention.out_proj, kernel.reshape(WIDTH, WIDTH).T, bias)
        for part, name in ((0, "dense1"), (2, "dense2")):
            kernel, bias = weights[f"block{number}_{name}"]
            _copy(block.mlp[part], kernel.T, bias)
    _copy(module.norm, *weights["norm"])
    _copy(module.head, weights["head"][0].T, weights["head"][1])
    x = random.normal(size=(2, *model.input_shape[1:])).astype(np.float32)
    return Twin(model, module, x, [1, 3], f"block{BLOCKS - 1}_norm1", module.blocks[-1].norm1)


def _randomize(model: keras.Model, random: np.random.Generator, scales: dict[str, float]) -> None:
    """Give each kernel values with the standard deviation scale / √(inputs), and biases and tokens of their own."""
    for layer in model.layers:
        values = []
        for array in layer.get_weights():
            projects = array.ndim == 3 and len(array) == WIDTH  # queries, keys and values: (inputs, heads, size)
            inputs = len(array) if projects else array[..., 0].size
            deviation = scales.get(layer.name, 1.5) / np.sqrt(inputs) if array.ndim > 1 else 0.3
            values.append(random.normal(0, deviation, array.shape))
        if "norm" in layer.name:
            values[0] += 1
        if layer.name == "embedding":
            values = [random.normal(size=array.shape) for array in values]
        layer.set_weights(values)


def _copy(module: nn.Module, weight: np.ndarray, bias: np.ndarray) -> None:
    with torch.no_grad():
        for parameter, values in ((module.weight, weight), (module.bias, bias)):
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(values)))
