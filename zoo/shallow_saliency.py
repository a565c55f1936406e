r"""shallow_saliency: a gaze model with three convolutions and a maxout layer, at 96 × 96 pixels.

Sources: Pan, Sayrol, Giró-i-Nieto, McGuinness & O'Connor 2016, "Shallow and Deep Convolutional Networks for Saliency
Prediction", section 3.1 (the shallow network), and its replication as a coursework at the University of Bristol.

Architecture, by ``variant``:

| | "coursework" (default) | "paper" | "lasagne" |
|---|---|---|---|
| convolutions (ReLU) | 32 of 5×5, 64 and 128 of 3×3, padded | the same, not padded | 32, 64, 64, not padded |
| max-pooling, stride 2 | 2, 3, 3, sizes rounded down | 2, 3, 3, sizes rounded up | 2, 2, 2 |
| features | 11 × 11 × 128 = 15,488 | 10 × 10 × 128 = 12,800 | 10 × 10 × 64 = 6,400 |
| dense, maxout of two, dense | 4,608 > 2,304 > 2,304 = 48 × 48 | the same | the same, ReLU before the maxout |
| parameters | 76,778,816 | 64,392,512 | 34,864,384 |

"coursework" follows three public repositories of that coursework. (The table in its report gives 32×32 for the third
convolution and 2,305 outputs; these must be 23 × 23 and 2,304.) "paper" follows Pan et al.'s figure, whose 10 × 10
features require pooled sizes that are rounded up. "lasagne" follows their released training script.

Options: ``preset="small"`` is this project's own, for machines without a GPU: a quarter of the filters and 256 maxout
units instead of 2,304 (2,581,520 parameters for "coursework"). ``filters`` and ``hidden`` set these numbers freely.
``batch_norm`` adds batch normalization with PyTorch's constants between each convolution and its ReLU (448 more weights
and 448 statistics). ``maxout_layout`` is "adjacent", or "halves" as in some of those repositories;
``kerasal.layers.reorder_maxout`` converts weights from one to the other. ``maxout_activation="relu"`` adds a ReLU after
the maxout, as in others of these repositories.

Input: (96, 96, 3). Pixels are RGB in 0..1 (preprocessing "unit").

Output: a map (48, 48) per image, linear: trained toward densities in 0..1, but not limited to that range.

Weights: "kerasal" (5.2 MB, half precision, included) are those of ``preset="small", batch_norm=True``, which are set
with them: ``kerasal.load_model("shallow_saliency")``. They were trained from seed 0 on a CPU, on 810 of the 900
training images of OSIE and crowd; the other 90 chose the epoch (17 of 20). The first command trains them, as the row
"batch norm" of ``benchmarks/shallow_saliency.py`` does; ``kerasal.models.weight_files.save_npz(model, file,
"float16")`` saved them:

    kerasal gaze train shallow_saliency --model-option preset=small --batch-norm \
        --data osie --data crowd --epochs 20 -o run
    kerasal gaze evaluate shallow_saliency --data osie
    kerasal gaze predict shallow_saliency PHOTO.jpg

Without weights, initial kernels are normal with standard deviation .01 and initial biases .1, as in public repositories
of the coursework (its report gives the biases alone).

Results of the included weights on the test images, which were used for no choice, as printed by the second command and
its like for crowd; CC, sAUC and AUC-Borji as in the coursework's script, beside two maps that ignore the image:

| | CC | sAUC | AUC-Borji | NSS | KLD |
|---|---|---|---|---|---|
| OSIE, 200 images | .465 ± .021 | .680 | .789 | 1.41 | 1.27 |
| center; mean map of the other images | .297; .298 | .508; .494 | .728; .729 | .82; .83 | 1.34; 1.33 |
| crowd, 100 images | .612 ± .023 | .632 | .789 | 1.32 | .86 |
| center; mean map of the other images | .418; .482 | .503; .495 | .728; .754 | .84; .99 | .87; .77 |

(After ±: half of the 95 % bootstrap interval over images.) Limits: the model is far below ``gaze`` (NSS 3.43 on OSIE),
does not know faces or text, and its maps are poor densities: the mean map has a better KLD on crowd.
"""

import math
import pathlib

from kerasal.checks import check_choice
from kerasal.layers import Maxout
from kerasal.models.registry import Weights, register

import keras

SIDE, MAP_SIDE = 96, 48
_UNITS = MAP_SIDE * MAP_SIDE

# Filters; padding of the convolutions; sizes and padding of the poolings ("same" rounds up); activation of the first
# dense layer.
VARIANTS = {
    "coursework": ((32, 64, 128), "same", (2, 3, 3), "valid", None),
    "paper": ((32, 64, 128), "valid", (2, 3, 3), "same", None),
    "lasagne": ((32, 64, 64), "valid", (2, 2, 2), "valid", "relu"),
}
PRESETS = {"full": (1, _UNITS), "small": (4, 256)}
_KERNELS = (5, 3, 3)


def identify(shapes: list[tuple[int, ...]]) -> str | None:
    """Return the options of the model whose weights have these shapes, or None: variant, preset and batch_norm."""
    kernels = [shape for shape in shapes if len(shape) == 4]
    dense = max((shape for shape in shapes if len(shape) == 2), default=None, key=math.prod)
    for variant in VARIANTS:
        for preset, (divisor, hidden) in PRESETS.items():
            filters = tuple(count // divisor for count in VARIANTS[variant][0])
            inputs = (3, *filters[:-1])
            wanted = {(size, size, *pair) for size, *pair in zip(_KERNELS, inputs, filters, strict=True)}
            if wanted == set(kernels) and dense == (_features(variant, filters), 2 * hidden):
                batch_norm = len([shape for shape in shapes if len(shape) == 1]) > 2 * len(filters)
                return f"variant={variant!r}, preset={preset!r}, batch_norm={batch_norm}"
    return None


def _features(variant: str, filters) -> int:
    _, padding, pools, pool_padding, _ = VARIANTS[variant]
    side = SIDE
    for kernel, pool in zip(_KERNELS, pools, strict=True):
        side = side if padding == "same" else side - kernel + 1
        side = (side - pool) // 2 + 1 if pool_padding == "valid" else -(-side // 2)
    return side * side * filters[-1]


@register(
    preprocessing="unit",
    task="gaze",
    input_shape=(96, 96, 3),
    parameters=76_778_816,
    reference="Pan et al. 2016, arXiv 1603.00845, section 3.1; Bristol coursework",
    weights={
        "kerasal": Weights(
            "preset small, trained on the gaze data OSIE and crowd; half precision",
            pathlib.Path(__file__).parent / "weights" / "shallow_saliency.npz",
            "84e6ccaa5bc4c9b0b9c2e031e9fc70804aab61a6fb157cc72ae93e29ba90b4e3",
            options={"preset": "small", "batch_norm": True},
        )
    },
    identify=identify,
)
def shallow_saliency(
    *,
    variant: str = "coursework",
    batch_norm: bool = False,
    preset: str = "full",
    filters: tuple[int, int, int] | None = None,
    hidden: int | None = None,
    maxout_layout: str = "adjacent",
    maxout_activation: str | None = None,
) -> keras.Model:
    """Return the shallow gaze model, whose maps are linear and (48, 48); see the card for the variants."""
    check_choice("variant", variant, VARIANTS)
    check_choice("preset", preset, PRESETS)
    counts, padding, pools, pool_padding, activation = VARIANTS[variant]
    divisor, units = PRESETS[preset]
    counts = filters or tuple(count // divisor for count in counts)
    if len(counts) != len(_KERNELS) or min(counts) < 1 or (hidden is not None and hidden < 1):
        raise ValueError(
            "filters must be three positive integers and hidden a positive integer, got "
            f"filters={filters!r}, hidden={hidden!r}."
        )
    inputs = keras.Input((SIDE, SIDE, 3), name="image")
    tensor = inputs
    for number, (count, kernel, pool) in enumerate(zip(counts, _KERNELS, pools, strict=True), start=1):
        tensor = _convolution(tensor, number, count, kernel, padding, batch_norm)
        tensor = keras.layers.MaxPooling2D(pool, 2, padding=pool_padding, name=f"pool{number}")(tensor)
    tensor = keras.layers.Flatten(name="flatten")(tensor)
    tensor = keras.layers.Dense(2 * (hidden or units), activation=activation, name="dense1", **_initializers())(tensor)
    tensor = Maxout(2, maxout_layout, name="maxout")(tensor)
    if maxout_activation:
        tensor = keras.layers.Activation(maxout_activation, name="maxout_activation")(tensor)
    tensor = keras.layers.Dense(_UNITS, name="dense2", **_initializers())(tensor)
    outputs = keras.layers.Reshape((MAP_SIDE, MAP_SIDE), name="map")(tensor)
    return keras.Model(inputs, outputs, name="shallow_saliency")


def _convolution(tensor, number: int, count: int, kernel: int, padding: str, batch_norm: bool):
    activation = None if batch_norm else "relu"
    name = f"conv{number}"
    tensor = keras.layers.Conv2D(count, kernel, padding=padding, activation=activation, name=name, **_initializers())(
        tensor
    )
    if not batch_norm:
        return tensor
    tensor = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"norm{number}")(tensor)
    return keras.layers.ReLU(name=f"relu{number}")(tensor)


def _initializers() -> dict:
    """Return new initializers; an initializer that layers share would give them all the same values."""
    return {
        "kernel_initializer": keras.initializers.RandomNormal(stddev=0.01),
        "bias_initializer": keras.initializers.Constant(0.1),
    }
