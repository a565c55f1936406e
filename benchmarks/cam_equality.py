"""Class activation maps of kerasal beside those of pytorch-grad-cam and torch-cam, on the same random weights.

    python benchmarks/cam_equality.py [--only ablationcam torch-cam]

A difference is the largest one among the values of two inputs, relative to the largest value of the other's maps,
before these are scaled to 0..1 and enlarged. ``attribution_equality.py`` compares Grad-CAM, Grad-CAM++, LayerCAM and
Score-CAM, and its docstring says how to make the environment.
"""

import argparse
import contextlib
import functools
import os
import pathlib
import sys
from collections.abc import Callable, Iterator
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from attribution_equality import Comparison, print_tables
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch_peers import pytorch_grad_cam, reshaping, twin

from kerasal import attribution

NETWORKS = ("conv2d", "resnet", "vit")
PLAIN = {"hirescam": "HiResCAM", "xgradcam": "XGradCAM", "shapleycam": "ShapleyCAM"}
GAMMA = 0.6


def our_map(network: str, method: str, **options) -> np.ndarray:
    """Return the maps of kerasal at the layer that it chooses, in the size of the layer."""
    pair = twin(network)
    maps = getattr(attribution, method)(pair.model, pair.inputs, pair.targets, resize=False, **options)
    if maps.layer != pair.layer:
        raise ValueError(f"{method} must explain {pair.layer!r} of {network}, got {maps.layer!r}.")
    return maps


def peer_map(network: str, kind: type, sign: int = 1, **options) -> np.ndarray:
    """Return the maps of a class of pytorch-grad-cam, each times ``sign`` before negative values become 0."""
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    pair = twin(network)
    targets = [ClassifierOutputTarget(target) for target in pair.targets]

    class Signed(kind):
        def get_cam_image(self, *args, **kwargs):
            return sign * super().get_cam_image(*args, **kwargs)

    with _unscaled(), Signed(pair.module, [pair.target], reshaping(network), **options) as explain:
        return explain(pair.tensor, targets)


def up_to_sign(network: str, name: str, ours: Callable[[], np.ndarray]) -> np.ndarray:
    """Return the maps of pytorch-grad-cam with the sign of each image's singular vector that is closer to ours."""
    kind, mine = getattr(pytorch_grad_cam(), name), ours()
    both = np.stack([peer_map(network, kind, sign) for sign in (1, -1)])
    closer = np.abs(both - mine).max(axis=(2, 3)).argmin(axis=0)
    return both[closer, range(len(mine))]


def ablated(network: str, to_zero: bool = True) -> np.ndarray:
    """Return the maps of pytorch-grad-cam's AblationCAM, whose weights are multiplied by the scores again.

    Where a layer has negative values it sets a channel to the smallest one minus 1e7, unless ``to_zero``.
    """
    peer = pytorch_grad_cam()
    from pytorch_grad_cam.ablation_layer import AblationLayer, AblationLayerVit

    pair = twin(network)
    scores = pair.module(pair.tensor)[range(len(pair.targets)), pair.targets].detach().numpy()

    class Undivided(peer.AblationCAM):
        def get_cam_weights(self, *args):
            return super().get_cam_weights(*args) * scores[:, None]

    class ToZero(AblationLayerVit if network == "vit" else AblationLayer):
        def __call__(self, x):
            output = self.activations
            for row, channel in zip(output, self.indices, strict=False):
                row[(..., int(channel)) if network == "vit" else int(channel)] = 0
            return output

    layer = ToZero() if to_zero else (AblationLayerVit if network == "vit" else AblationLayer)()
    with mock.patch("pytorch_grad_cam.ablation_cam.tqdm.tqdm", lambda steps: steps):
        return peer_map(network, Undivided, ablation_layer=layer, batch_size=4)


def finer(network: str, ranks: list[int]) -> np.ndarray:
    """Return the maps of pytorch-grad-cam's FinerCAM for the classes with these ranks of similarity, 1 the closest."""
    pair, kind = twin(network), pytorch_grad_cam()
    from pytorch_grad_cam.finer_cam import FinerCAM

    maps, options = [], {"alpha": GAMMA, "comparison_categories": ranks}
    with _unscaled():
        for row, target in zip(pair.tensor, pair.targets, strict=True):
            explain = FinerCAM(pair.module, [pair.target], reshaping(network), kind.GradCAM)
            maps.append(explain(row[None], target_idx=target, **options))
            explain.base_cam.activations_and_grads.release()
    return np.concatenate(maps)


def torch_cam(network: str, name: str, **options) -> np.ndarray:
    """Return the maps of torch-cam without its scaling."""
    from torchcam import methods

    pair = twin(network)
    with getattr(methods, name)(pair.module, pair.target, reshape_transform=reshaping(network), **options) as explain:
        (maps,) = explain(pair.targets, pair.module(pair.tensor), normalized=False)
    return maps.detach().numpy()


def curved(network: str) -> np.ndarray:
    """Return the maps of the paper's rule of ShapleyCAM, written out in PyTorch: gradient - ½ Hessian × activation."""
    pair, kept = twin(network), []
    handle = pair.target.register_forward_hook(lambda module, inputs, output: kept.append(output))
    with sdpa_kernel(SDPBackend.MATH):  # the fused attention has no second derivative
        scores = pair.module(pair.tensor)[range(len(pair.targets)), pair.targets]
    handle.remove()
    (activations,) = kept
    (gradients,) = torch.autograd.grad(scores.sum(), activations, create_graph=True)
    (product,) = torch.autograd.grad(gradients, activations, activations.detach())
    reshape = reshaping(network) or (lambda tensor: tensor)
    weights = reshape(gradients - product / 2).mean(dim=(2, 3), keepdim=True)
    return (weights * reshape(activations)).sum(dim=1).clamp(min=0).detach().numpy()


def comparisons() -> Iterator[Comparison]:
    """Yield everything that is compared."""
    peer = pytorch_grad_cam()
    for network in NETWORKS:
        for method, name in PLAIN.items():
            ours, note = functools.partial(our_map, network, method), ""
            if method == "shapleycam" and network == "vit":  # it does not reshape the tokens of the layer
                note, theirs = "the paper's rule, written out in PyTorch", functools.partial(curved, network)
                yield Comparison("PyTorch", method, network, ours, theirs, note)
                continue
            yield Comparison(
                "pytorch-grad-cam", method, network, ours, functools.partial(peer_map, network, getattr(peer, name))
            )
        theirs = functools.partial(torch_cam, network, "XGradCAM")
        yield Comparison("torch-cam", "xgradcam", network, functools.partial(our_map, network, "xgradcam"), theirs)
        for method, name in (("eigencam", "EigenCAM"), ("eigengradcam", "EigenGradCAM")):
            ours = functools.partial(our_map, network, method, center=True)
            theirs = functools.partial(up_to_sign, network, name, ours)
            yield Comparison("pytorch-grad-cam", method, network, ours, theirs, "center=True; up to the sign")
        yield from _ablations(network)
        yield from _finer_maps(network)


def _ablations(network: str) -> Iterator[Comparison]:
    ours = functools.partial(our_map, network, "ablationcam")
    note = "times the score, by which it divides"
    if network == "vit":
        note += "; channels set to 0"
    yield Comparison("pytorch-grad-cam", "ablationcam", network, ours, functools.partial(ablated, network), note)
    if network == "vit":
        theirs = functools.partial(ablated, network, to_zero=False)
        note = "sets channels with negative values to the smallest one - 1e7"
        yield Comparison("pytorch-grad-cam", "ablationcam", network, ours, theirs, note, differs=True)


def _finer_maps(network: str) -> Iterator[Comparison]:
    for classes in (1, 2):
        ours = functools.partial(our_map, network, "finer_cam", gamma=GAMMA, classes=classes)
        note = "1 other class" if classes == 1 else f"{classes} other classes"
        theirs = functools.partial(torch_cam, network, "FinerCAM", gamma=GAMMA, num_references=classes)
        yield Comparison("torch-cam", "finer_cam", network, ours, theirs, note)
        theirs = functools.partial(finer, network, list(range(1, classes + 1)))
        if classes == 2:
            note = "weighs the other classes by their probabilities, and differentiates these"
        yield Comparison("pytorch-grad-cam", "finer_cam", network, ours, theirs, note, differs=classes == 2)


@contextlib.contextmanager
def _unscaled() -> Iterator[None]:
    """Keep pytorch-grad-cam from scaling and enlarging its maps, and from detaching views in place, which fails."""

    def clear(hooks) -> None:
        hooks.activations.clear()
        hooks.gradients.clear()

    with (
        mock.patch("pytorch_grad_cam.base_cam.scale_cam_image", lambda maps, size=None: maps),
        mock.patch("pytorch_grad_cam.activations_and_gradients.ActivationsAndGradients.clear", clear),
    ):
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[""], metavar="WORD", help="comparisons that contain a word")
    words = parser.parse_args().only
    print_tables([c for c in comparisons() if any(word in c.name for word in words)], NETWORKS)


if __name__ == "__main__":
    main()
