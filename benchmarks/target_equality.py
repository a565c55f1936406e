"""Targets of kerasal beside those of other packages: segmentation, detection, embeddings and tokens, and D-RISE's maps.

    python benchmarks/target_equality.py [--only captum xaitk]

Scores, gradients and maps of small networks with random weights are compared. A difference is the largest one,
relative to the largest value of the other. Packages that are not installed are left out. Two environments hold all of
them, since xplique requires an older TensorFlow than kerasal; nothing that is used here depends on it:

    python -m venv peers
    peers/bin/pip install '.[test]' torch captum==0.9.0 tqdm
    peers/bin/pip install --no-deps grad-cam==1.5.7 ttach

    python -m venv detectors
    detectors/bin/pip install '.[test]' xaitk-saliency==0.15.0 tensorflow-probability==0.25.0 tf_keras einops deprecated
    detectors/bin/pip install --no-deps xplique==2.0.2
"""

import argparse
import dataclasses
import functools
import importlib.util
import os
import pathlib
import sys
import warnings
from collections.abc import Callable, Iterator
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np

from kerasal import attribution, objectives
from kerasal.attribution.perturbation.random_masks import RandomMasks
from kerasal.hooks.engine import target_scores

import keras
import tensorflow as tf

TOLERANCE = 1e-5
PACKAGES = {"captum": "captum", "pytorch-grad-cam": "pytorch_grad_cam", "xplique": "xplique", "xaitk": "xaitk_saliency"}
HEIGHT, WIDTH, CLASSES, WORDS = 12, 16, 3, 9
BOXES = ((2, 1, 9, 8), (5, 3, 16, 11))  # of the two images
RANDOM = np.random.default_rng(6)
IMAGES = RANDOM.normal(size=(2, HEIGHT, WIDTH, 3)).astype(np.float32)
MASKS = RANDOM.random((2, HEIGHT, WIDTH)) < 0.3
TOKENS = RANDOM.integers(0, 20, (2, WORDS))
VECTORS = RANDOM.normal(size=(2, 8)).astype(np.float32)
layers = keras.layers


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A score, gradient or map of kerasal and the same of another package.

    Attributes:
        package, what: what is compared.
        ours, theirs: functions that return arrays of the same shape.
        note: what was changed in the other's computation.
    """

    package: str
    what: str
    ours: Callable[[], np.ndarray]
    theirs: Callable[[], np.ndarray]
    note: str = ""

    @property
    def name(self) -> str:
        return f"{self.package}, {self.what}"

    @property
    def is_installed(self) -> bool:
        return importlib.util.find_spec(PACKAGES[self.package]) is not None

    def difference(self) -> float:
        """Return the largest difference, relative to the largest value of the other."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those of the packages
            theirs, ours = (np.asarray(run(), np.float64) for run in (self.theirs, self.ours))
        if ours.shape != theirs.shape or not np.abs(theirs).max() > 0:
            raise ValueError(f"{self.name}: arrays must have one shape and a value, got {ours.shape}, {theirs.shape}.")
        return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def _fill(model: keras.Model) -> keras.Model:
    """Give a model weights that do not depend on the order in which models are made."""
    random = np.random.default_rng(1)
    model.set_weights([random.normal(0, 1.5 / np.sqrt(max(1, w[..., 0].size)), w.shape) for w in model.get_weights()])
    return model


@functools.cache
def segmenter() -> keras.Model:
    """Return a model of a logit per class and position."""
    inputs = keras.Input((HEIGHT, WIDTH, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="conv")(inputs)
    return _fill(keras.Model(inputs, layers.Conv2D(CLASSES, 3, padding="same", name="head")(x)))


@functools.cache
def embedder() -> keras.Model:
    """Return a model of an embedding of eight numbers."""
    inputs = keras.Input((HEIGHT, WIDTH, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="conv")(inputs)
    return _fill(keras.Model(inputs, layers.Dense(8, name="head")(layers.GlobalAveragePooling2D()(x))))


@functools.cache
def detector() -> keras.Model:
    """Return a model of detections: boxes (N, K, 4) in pixels, objectness (N, K, 1) and scores (N, K, classes)."""
    inputs = keras.Input((HEIGHT, WIDTH, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(inputs)
    raw = layers.Conv2D(4, 1, activation="sigmoid")(x)
    start = layers.Reshape((-1, 2))(raw[..., :2]) * np.float32([WIDTH / 2, HEIGHT / 2])
    size = layers.Reshape((-1, 2))(raw[..., 2:]) * np.float32([WIDTH / 2, HEIGHT / 2])
    boxes = layers.Concatenate(name="boxes")([start, start + size])
    sure = layers.Reshape((-1, 1), name="sure")(layers.Conv2D(1, 1, activation="sigmoid")(x))
    scores = layers.Reshape((-1, CLASSES), name="scores")(layers.Conv2D(CLASSES, 1, activation="softmax")(x))
    return _fill(keras.Model(inputs, {"boxes": boxes, "sure": sure, "scores": scores}))


@functools.cache
def reader() -> keras.Model:
    """Return a classifier of nine tokens."""
    tokens = keras.Input((WORDS,), dtype="int32")
    x = layers.Embedding(20, 6, name="embedding")(tokens)
    x = layers.Conv1D(8, 3, padding="same", activation="tanh", name="conv")(x)
    return _fill(keras.Model(tokens, layers.Dense(CLASSES, name="head")(layers.GlobalAveragePooling1D()(x))))


def regions() -> list:
    """Return a target per image for the segmentation: class 1 in the mask of the image."""
    return [objectives.region(mask, 1) for mask in MASKS]


def boxes(match="cosine") -> list:
    """Return a target per image for the detections: class 2 in the box of the image."""
    options = {"boxes": "boxes", "scores": "scores", "objectness": "sure", "match": match}
    return [objectives.box(box, 2, **options) for box in BOXES]


def our_score(model: Callable, targets: Callable, gradient: bool = False) -> np.ndarray:
    """Return the scores of targets, (N,), or their gradients by the images."""
    if gradient:
        return attribution.input_gradient(model(), IMAGES, targets())
    return target_scores(model(), [IMAGES], targets())


def in_torch(model: keras.Model):
    """Return a convolution, an activation and a head in PyTorch, with the weights of a Keras model."""
    import torch
    from torch import nn

    kernels = [(layer, *layer.get_weights()) for layer in model.layers if layer.get_weights()]
    modules = []
    for layer, kernel, *bias in kernels:
        if layer.name == "embedding":
            module = nn.Embedding(*kernel.shape)
            values = kernel
        elif kernel.ndim == 2:
            module, values = nn.Linear(*kernel.shape), kernel.T
        else:
            kind = {3: nn.Conv1d, 4: nn.Conv2d}[kernel.ndim]
            module = kind(kernel.shape[-2], kernel.shape[-1], 3, padding=1)
            values = np.moveaxis(kernel, (-1, -2), (0, 1))
        with torch.no_grad():
            module.weight.copy_(torch.from_numpy(np.ascontiguousarray(values)))
            for array in bias:
                module.bias.copy_(torch.from_numpy(array))
        modules.append(module)
    return modules


def captum_at_embedding(steps: int) -> np.ndarray:
    """Return captum's integrated gradients of class 1 at the embedding, summed over its channels."""
    import torch
    from captum.attr import LayerIntegratedGradients
    from torch import nn

    embedding, convolution, head = in_torch(reader())

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.convolution, self.head = embedding, convolution, head

        def forward(self, tokens):
            return self.head(torch.tanh(self.convolution(self.embedding(tokens).transpose(1, 2))).mean(-1))

    module, tokens = Reader().eval(), torch.from_numpy(TOKENS)
    explain = LayerIntegratedGradients(module, module.embedding)
    # A baseline of vectors of 0, which captum only takes as the output of the layer for tokens that embed to 0.
    embedding.weight.data = torch.cat([embedding.weight.data, torch.zeros(1, 6)])
    baseline = torch.full_like(tokens, 20)
    count = steps + 1
    maps = explain.attribute(
        tokens, baselines=baseline, target=1, n_steps=count, method="riemann_trapezoid", internal_batch_size=None
    )
    return maps.detach().numpy().sum(-1) * count / steps


def our_embedding(steps: int) -> np.ndarray:
    return attribution.integrated_gradients(reader(), TOKENS, 1, layer="embedding", steps=steps)


def grad_cam(model: keras.Model, make_targets: Callable, after: Callable) -> np.ndarray:
    """Return pytorch-grad-cam's maps at the layer "conv", before it scales and enlarges them."""
    import torch
    from torch import nn
    from torch_peers import pytorch_grad_cam

    peer = pytorch_grad_cam()
    convolution, head = in_torch(model)

    class Module(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution, self.relu, self.head = convolution, nn.ReLU(), head

        def forward(self, x):
            return after(self.head, self.relu(self.convolution(x)))

    module = Module().eval()
    tensor = torch.from_numpy(np.moveaxis(IMAGES, -1, 1).copy())
    with (
        mock.patch("pytorch_grad_cam.base_cam.scale_cam_image", lambda maps, size=None: maps),
        peer.GradCAM(module, [module.relu]) as explain,
    ):
        return explain(tensor, make_targets())


def region_cam() -> np.ndarray:
    """Return pytorch-grad-cam's maps of a region, whose score is a sum over the region, as those of the mean."""

    def targets():
        from pytorch_grad_cam.utils.model_targets import SemanticSegmentationTarget

        return [SemanticSegmentationTarget(1, mask.astype(np.float32)) for mask in MASKS]

    return grad_cam(segmenter(), targets, lambda head, x: head(x)) / MASKS.sum((1, 2))[:, None, None]


def embedding_cam() -> np.ndarray:
    """Return pytorch-grad-cam's maps of a cosine similarity, the target of its tutorial on embeddings."""
    import torch

    def targets():
        cosine = torch.nn.CosineSimilarity(dim=0)
        return [functools.partial(cosine, torch.from_numpy(vector)) for vector in VECTORS]

    return grad_cam(embedder(), targets, lambda head, x: head(x.mean((2, 3))))


def our_cam(model: keras.Model, targets) -> np.ndarray:
    return attribution.gradcam(model, IMAGES, targets, layer="conv", resize=False)


def xplique_score(operator: str, model: Callable, targets: Callable, gradient: bool = False) -> np.ndarray:
    """Return the scores of an operator of xplique, or their gradients by the images."""
    operators = importlib.import_module("xplique.commons.operators")
    detector(), segmenter()  # made outside of the operator's graph
    x = tf.constant(IMAGES)
    with mock.patch.object(operators, "_EPSILON", 0.0), tf.GradientTape() as tape:
        tape.watch(x)
        scores = getattr(operators, operator)(model, x, tf.constant(targets()))
    return (tape.gradient(scores, x) if gradient else scores).numpy()


def xplique_regions() -> np.ndarray:
    """Return the targets of xplique's segmentation operator, (N, h, w, classes)."""
    targets = np.zeros((2, HEIGHT, WIDTH, CLASSES), np.float32)
    targets[..., 1] = MASKS
    return targets


def xplique_boxes() -> np.ndarray:
    """Return the targets of xplique's detection operator, (N, 4 + 1 + classes)."""
    return np.array([[*box, 1, *np.eye(CLASSES)[2]] for box in BOXES], np.float32)


def joined_detections(images) -> tf.Tensor:
    """Return boxes, objectness and scores in the last axis, as xplique and xaitk take them."""
    found = detector()(images)
    return tf.concat([found["boxes"], found["sure"], found["scores"]], axis=-1)


@functools.cache
def xaitk_masks() -> np.ndarray:
    """Return the masks of xaitk, (samples, h, w) in 0..1."""
    from xaitk_saliency.impls.perturb_image.rise import RISEGrid

    return RISEGrid(60, 4, 0.5, seed=3).perturb(IMAGES[0]).astype(np.float32)


def xaitk_map() -> np.ndarray:
    """Return xaitk's D-RISE maps, each divided by its largest value; its boxes have inclusive bounds."""
    from xaitk_saliency.impls.gen_detector_prop_sal.drise_scoring import DRISEScoring

    maps = []
    for image, box in zip(IMAGES, BOXES, strict=True):
        masked = image * xaitk_masks()[..., None]
        found = joined_detections(masked).numpy().astype(np.float64)
        asked = np.array([[*box, 1, *np.eye(CLASSES)[2]]], np.float64)
        for detections in (found, asked):
            detections[..., 2:4] -= 1
        maps.append(DRISEScoring().generate(asked, found, xaitk_masks().astype(np.float64))[0])
    return np.stack(maps)


def our_drise() -> np.ndarray:
    """Return our maps with the masks of xaitk, each divided by its largest value."""
    masks = xaitk_masks()
    with mock.patch.object(RandomMasks, "draw", lambda self, numbers: tf.gather(tf.constant(masks), numbers)):
        model = keras.models.clone_model(detector())  # a trace of its own, with these masks
        model.set_weights(detector().get_weights())
        maps = attribution.drise(model, IMAGES, boxes(), samples=len(masks), subtract_mean=False)
    return maps / maps.max((1, 2), keepdims=True)


def comparisons() -> Iterator[Comparison]:
    """Yield everything that is compared."""
    ours, theirs = functools.partial(our_embedding, 20), functools.partial(captum_at_embedding, 20)
    what = "integrated gradients at an embedding"
    yield Comparison("captum", what, ours, theirs, "its 21 weights, which sum to 20/21, times 21/20")
    ours = lambda: our_cam(segmenter(), regions())  # noqa: E731
    note = "divided by the number of positions, since its score is a sum"
    yield Comparison("pytorch-grad-cam", "SemanticSegmentationTarget, Grad-CAM", ours, region_cam, note)
    ours = lambda: our_cam(embedder(), objectives.similarity(VECTORS))  # noqa: E731
    yield Comparison("pytorch-grad-cam", "cosine to an embedding, Grad-CAM", ours, embedding_cam)
    cases = (
        ("semantic_segmentation_operator", segmenter, regions, lambda x: segmenter()(x), xplique_regions, ""),
        (
            "object_detection_operator",
            detector,
            boxes,
            joined_detections,
            xplique_boxes,
            "its constant beside a norm, 1e-4, is 0",
        ),
    )
    for operator, keras_model, targets, model, theirs_targets, note in cases:
        for gradient in (False, True):
            ours = functools.partial(our_score, keras_model, targets, gradient)
            theirs = functools.partial(xplique_score, operator, model, theirs_targets, gradient)
            yield Comparison("xplique", f"{operator}, {'gradient' if gradient else 'score'}", ours, theirs, note)
    note = "upper bounds of boxes lowered by 1, since its are inclusive"
    yield Comparison("xaitk", "DRISEScoring with its masks, map up to a factor", our_drise, xaitk_map, note)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[""], metavar="WORD", help="comparisons that contain a word")
    words = parser.parse_args().only
    print("| package | what | difference | what was changed in the other's computation |\n|---|---|---|---|")
    for comparison in comparisons():
        if comparison.is_installed and any(word in comparison.name for word in words):
            difference = f"{comparison.difference():.0e}".replace("e-0", "e-")
            print(f"| {comparison.package} | {comparison.what} | {difference} | {comparison.note} |")


if __name__ == "__main__":
    main()
