"""LeGrad of kerasal beside that of its authors, on one vision transformer with the same random weights.

    python benchmarks/legrad_equality.py

The authors' package takes the vision transformers of OpenCLIP. A small one with random weights is written out in Keras:
patches without a bias, a class token, a normalization before the blocks, the mean over all tokens, a projection, and as
the score the cosine with the embedding of a text, here a random vector. The authors scale each map to 0..1; kerasal
does not, so its maps are scaled in the same way. The package needs an old OpenCLIP, so an environment of its own:

    python -m venv legrad
    legrad/bin/pip install . torch torchvision
    legrad/bin/pip install --no-deps legrad_torch==1.1 open-clip-torch==2.23.0 timm einops ftfy regex huggingface_hub

It prints the largest difference of two images, relative to the largest value, for all layers and for the last two.
"""

import contextlib
import io
import os
import pathlib
import sys
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import legrad  # before TensorFlow, whose libraries it does not stand
import numpy as np
import torch
from open_clip.transformer import VisionTransformer
from torch import nn

from kerasal import attribution

import keras

SIDE, PATCH, WIDTH, HEADS, BLOCKS, FEATURES = 32, 8, 16, 2, 3, 6
GRID = SIDE // PATCH
layers = keras.layers


@keras.saving.register_keras_serializable("kerasal.benchmarks")
class Prefix(layers.Layer):
    """Puts a learned token in front of others and adds a learned vector to each."""

    def build(self, shape):
        self.token = self.add_weight(shape=(shape[-1],), name="token")
        self.places = self.add_weight(shape=(shape[1] + 1, shape[-1]), name="places")

    def call(self, x):
        token = keras.ops.broadcast_to(self.token, (keras.ops.shape(x)[0], 1, x.shape[-1]))
        return keras.ops.concatenate([token, x], axis=1) + self.places


def official():
    """Return the vision transformer of OpenCLIP with random weights."""
    torch.manual_seed(0)
    vision = VisionTransformer(SIDE, PATCH, WIDTH, BLOCKS, HEADS, 2.0, output_dim=FEATURES)
    with torch.no_grad():
        for parameter in vision.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.3)
    return vision.eval()


def written_out(vision: nn.Module, text: np.ndarray) -> keras.Model:
    """Return the same network in Keras, whose only output is the cosine with a text's embedding."""

    def norm(name):
        return layers.LayerNormalization(epsilon=1e-5, name=name)

    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(WIDTH, PATCH, strides=PATCH, use_bias=False, name="patches")(image)
    x = norm("ln_pre")(Prefix(name="prefix")(layers.Reshape((GRID**2, WIDTH))(x)))
    for number in range(BLOCKS):
        y = norm(f"ln_1_{number}")(x)
        x = layers.Add()([x, layers.MultiHeadAttention(HEADS, WIDTH // HEADS, name=f"attention_{number}")(y, y)])
        y = layers.Dense(2 * WIDTH, name=f"fc_{number}")(norm(f"ln_2_{number}")(x))
        y = layers.Activation(lambda x: keras.ops.gelu(x, approximate=False))(y)
        x = layers.Add()([x, layers.Dense(WIDTH, name=f"proj_{number}")(y)])
    x = norm("ln_post")(layers.GlobalAveragePooling1D()(x))
    x = layers.UnitNormalization()(layers.Dense(FEATURES, use_bias=False, name="project")(x))
    model = keras.Model(image, layers.Dense(1, use_bias=False, name="text")(x))

    arrays = {name: parameter.detach().numpy() for name, parameter in vision.named_parameters()}

    def fill(name, *values):
        model.get_layer(name).set_weights([np.asarray(value) for value in values])

    def parts(*names):
        return [arrays[name] for name in names]

    fill("patches", arrays["conv1.weight"].transpose(2, 3, 1, 0))
    fill("prefix", *parts("class_embedding", "positional_embedding"))
    for name in ("ln_pre", "ln_post"):
        fill(name, *parts(f"{name}.weight", f"{name}.bias"))
    for number in range(BLOCKS):
        block, size = f"transformer.resblocks.{number}", WIDTH // HEADS
        for name in ("ln_1", "ln_2"):
            fill(f"{name}_{number}", *parts(f"{block}.{name}.weight", f"{block}.{name}.bias"))
        kernels = np.split(arrays[f"{block}.attn.in_proj_weight"], 3)
        biases = np.split(arrays[f"{block}.attn.in_proj_bias"], 3)
        inward = [
            value
            for kernel, bias in zip(kernels, biases, strict=True)
            for value in (kernel.T.reshape(WIDTH, HEADS, size), bias.reshape(HEADS, size))
        ]
        kernel, bias = parts(f"{block}.attn.out_proj.weight", f"{block}.attn.out_proj.bias")
        fill(f"attention_{number}", *inward, kernel.T.reshape(HEADS, size, WIDTH), bias)
        for ours, theirs in (("fc", "c_fc"), ("proj", "c_proj")):
            kernel, bias = parts(f"{block}.mlp.{theirs}.weight", f"{block}.mlp.{theirs}.bias")
            fill(f"{ours}_{number}", kernel.T, bias)
    fill("project", arrays["proj"])
    fill("text", text[:, None])
    return model


class _Clip(nn.Module):
    """The part of an OpenCLIP model that the authors' wrapper reads."""

    def __init__(self, visual: nn.Module):
        super().__init__()
        self.visual = visual

    def encode_image(self, image):
        return self.visual(image)


def differences() -> dict[str, float]:
    """Return the largest relative difference of the maps, by the layers that are averaged, and that of the scores."""
    random = np.random.default_rng(0)
    images = random.normal(size=(2, SIDE, SIDE, 3)).astype(np.float32)
    text = random.normal(size=FEATURES).astype(np.float32)
    text /= np.linalg.norm(text)
    tensor, vector = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), torch.from_numpy(text[None])
    model = written_out(official(), text)
    found = {}
    for name, first, last_layers in (("all layers", 0, None), ("the last two", -2, 2)):
        with contextlib.redirect_stdout(io.StringIO()):
            wrapper = legrad.LeWrapper(_Clip(official()), layer_index=first)
        wrapper.encode_image(tensor)
        visual = wrapper.visual
        mean = visual.transformer.resblocks[-1].feat_post_mlp.mean(
            dim=0
        )  # over all tokens, as the authors' method pools
        scores = nn.functional.normalize(visual.ln_post(mean) @ visual.proj, dim=-1) @ vector[0]
        found["scores"] = _difference(model(images).numpy()[:, 0], scores.detach().numpy())
        wrapper.patch_size = 1  # the map itself, not enlarged
        theirs = [wrapper.compute_legrad(vector, image[None])[0, 0].detach().numpy() for image in tensor]
        ours = attribution.legrad(model, images, 0, last_layers=last_layers, resize=False)
        ours = [(values - values.min()) / np.ptp(values) for values in np.asarray(ours)]
        found[name] = _difference(np.stack(ours), np.stack(theirs))
    return found


def _difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    if ours.shape != theirs.shape or not np.ptp(theirs) > 0:
        raise ValueError(f"The maps must have one shape and vary, got {ours.shape} and {theirs.shape}.")
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # those of the packages
    for name, difference in differences().items():
        print(f"{name}: {difference:.0e}")
