"""Maps of kerasal beside those of implementations that others wrote, on one network with the same random weights.

    python benchmarks/attribution_equality.py [--only scorecam captum]

A difference is the largest one among the values of two inputs, relative to the largest value of the other's maps. Maps
are compared before they are scaled to 0..1 and enlarged, which every package does in its own way. The environment
needs kerasal and four packages more; PyTorch's build for the CPU is enough. pytorch-grad-cam requires torchvision, but
nothing that is used here does:

    python -m venv peers
    peers/bin/pip install '.[test]' torch torchcam==0.5.0 captum==0.9.0 tqdm
    peers/bin/pip install --no-deps grad-cam==1.5.7 ttach

Score-CAM weighs a channel by the probability of the image that it masks in kerasal, as in the authors' code, and by a
softmax over channels in the other packages. They get logarithms of probabilities as scores: their softmax over channels
is proportional to the probabilities, so the maps must be equal up to a factor per input.
"""

import argparse
import dataclasses
import functools
import os
import pathlib
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
import torch_peers as peers
from torch_peers import twin, up_to_a_factor
from torch_twins import BLOCKS

from kerasal import attribution

import keras

TOLERANCE = 1e-5
NETWORKS = ("conv1d", "conv2d", "conv3d", "vit")


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A method of kerasal and the same in another package.

    Attributes:
        package, method, network: what is compared, and on which network.
        ours, theirs: functions that return the maps of kerasal and of the other, float32 (N, …).
        note: what was changed in the other's computation, or why the two differ.
        differs: whether the two are known to differ, by more than a hundred times the tolerance.
    """

    package: str
    method: str
    network: str
    ours: Callable[[], np.ndarray]
    theirs: Callable[[], np.ndarray]
    note: str = ""
    differs: bool = False

    @property
    def name(self) -> str:
        return f"{self.package}, {self.method}, {self.network}" + (", as it is" if self.differs else "")

    def difference(self) -> float:
        """Return the largest difference, relative to the largest value of the other's maps."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those of the packages
            ours, theirs = (np.asarray(run(), np.float64) for run in (self.ours, self.theirs))
        if ours.shape != theirs.shape or not np.abs(theirs).max() > 0:
            raise ValueError(f"{self.name}: maps must have one shape and a value, got {ours.shape}, {theirs.shape}.")
        return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def our_map(network: str, method: str, layer: str | None = None) -> np.ndarray:
    """Return the maps of a class activation method, with values in the size of the layer."""
    pair, options = twin(network), {}
    model = pair.model
    if method == "scorecam":
        model, options = keras.Model(model.input, keras.ops.softmax(model.output)), {"logits": False}
    maps = getattr(attribution, method)(model, pair.inputs, pair.targets, layer=layer, resize=False, **options)
    if maps.layer != (layer or pair.layer):
        raise ValueError(f"{method} must explain {layer or pair.layer!r} of {network}, got {maps.layer!r}.")
    return up_to_a_factor(maps) if method == "scorecam" else maps


def our_occlusion(network: str, window: tuple[int, ...], stride: tuple[int, ...]) -> np.ndarray:
    """Return for each position the mean of the drops of the windows that cover it."""
    pair, options = twin(network), {"window": window, "stride": stride}
    maps = attribution.occlusion(pair.model, pair.inputs, pair.targets, **options)
    spec, sizes = attribution.method_spec("occlusion"), pair.inputs.shape[1:-1]
    return np.stack([spec.to_pixels(drops, sizes, options) for drops in maps])


def our_attentions(network: str) -> np.ndarray:
    """Return the weights of all layers, (N, layers, heads, T, T)."""
    weights = attribution.attention(twin(network).model, twin(network).inputs)
    return np.stack([weights[f"block{number}_attention"] for number in range(BLOCKS)], axis=1)


def token_map(network: str, method: str) -> np.ndarray:
    """Return the maps of a method over attentions, a value per token."""
    pair = twin(network)
    return getattr(attribution, method)(pair.model, pair.inputs, pair.targets, resize=False)


def our_integrated(network: str, steps: int) -> np.ndarray:
    pair = twin(network)
    return attribution.integrated_gradients(pair.model, pair.inputs, pair.targets, steps=steps)


def comparisons() -> Iterator[Comparison]:
    """Yield everything that is compared."""
    yield from class_activation_maps()
    yield from score_cams()
    for window, stride in (((6,), (3,)), ((6,), (6,))):
        what = f"windows of {window[0]}, steps of {stride[0]}"
        yield _pair("captum", "occlusion", "conv1d", our_occlusion, peers.captum_occlusion, window, stride, note=what)
    sizes = (4, 4, 3), (2, 3, 3)
    note = "windows of 4 × 4 × 3, steps of 2 × 3 × 3"
    yield _pair("captum", "occlusion", "conv3d", our_occlusion, peers.captum_occlusion, *sizes, note=note)
    note = "its 21 weights, which sum to 20/21, times 21/20"
    for network in ("conv1d", "conv3d"):
        yield _pair("captum", "integrated_gradients", network, our_integrated, peers.captum_integrated, 20, note=note)
    note, ours = "its weights sum to 20/21", functools.partial(our_integrated, "conv1d", 20)
    theirs = functools.partial(peers.captum_integrated, "conv1d", 20, complete=False)
    yield Comparison("captum", "integrated_gradients", "conv1d", ours, theirs, note, differs=True)
    yield _pair("PyTorch", "attention", "vit", our_attentions, peers.torch_attentions, note="MultiheadAttention")
    for method, theirs in (("transformer_relevance", peers.relevance), ("attention_rollout", peers.rollout)):
        ours = functools.partial(token_map, "vit", method)
        note = "the paper's rule, written out in PyTorch"
        yield Comparison("PyTorch", method, "vit", ours, functools.partial(theirs, "vit"), note)


def _pair(package: str, method: str, network: str, ours: Callable, theirs: Callable, *options, note: str = ""):
    return Comparison(
        package, method, network, *(functools.partial(f, network, *options) for f in (ours, theirs)), note=note
    )


def class_activation_maps() -> Iterator[Comparison]:
    """Yield Grad-CAM, LayerCAM and Grad-CAM++ at the last layer, which kerasal finds by itself."""
    for network in ("conv1d", "conv2d", "conv3d", "vit"):
        for method in ("gradcam", "layercam", "gradcam_plus_plus"):
            ours, plus = functools.partial(our_map, network, method), method.endswith("plus")
            note = ""
            if plus:
                note = "coefficients scaled to sum to 1 in each channel"
            theirs = functools.partial(peers.grad_cam, network, method, scaled=plus)
            yield Comparison("pytorch-grad-cam", method, network, ours, theirs, note)
            theirs = functools.partial(peers.torch_cam, network, method)
            if not plus:
                yield Comparison("torch-cam", method, network, ours, theirs)
            elif network == "vit":
                note = "divides a copy, so its coefficients are the squared gradients"
                yield Comparison("torch-cam", method, network, ours, theirs, note, differs=True)
                theirs = functools.partial(peers.grad_cam, network, method)
                note = "coefficients do not sum to 1"
                yield Comparison("pytorch-grad-cam", method, network, ours, theirs, note, differs=True)


def score_cams() -> Iterator[Comparison]:
    """Yield Score-CAM where masks are enlarged, and at layers with maps of the input's size, where none is."""
    unscaled, pixels = "log-probabilities; a layer of the input's size (vit: patches of 1 px)", "vit, patches of 1 px"
    for network, layer in (("conv1d", "first"), ("conv2d", "first"), ("conv3d", "first"), (pixels, None)):
        ours = functools.partial(our_map, network, "scorecam", layer)
        if network != "conv3d":  # its masks have two dimensions
            theirs = functools.partial(peers.grad_cam, network, "scorecam", first=bool(layer))
            yield Comparison("pytorch-grad-cam", "scorecam", network, ours, theirs, unscaled)
        theirs = functools.partial(peers.torch_cam, network, "scorecam", first=bool(layer))
        yield Comparison("torch-cam", "scorecam", network, ours, theirs, unscaled)
    for network in ("conv1d", "conv2d", "vit"):
        ours = functools.partial(our_map, network, "scorecam")
        theirs = functools.partial(peers.grad_cam, network, "scorecam")
        note = "log-probabilities; masks enlarged without aligned corners"
        yield Comparison("pytorch-grad-cam", "scorecam", network, ours, theirs, note)
    ours = functools.partial(our_map, "vit", "scorecam")
    theirs = functools.partial(peers.grad_cam, "vit", "scorecam", aligned=True)
    yield Comparison("pytorch-grad-cam", "scorecam", "vit", ours, theirs, "enlarges with aligned corners", differs=True)
    theirs = functools.partial(peers.torch_cam, "vit", "scorecam")
    yield Comparison("torch-cam", "scorecam", "vit", ours, theirs, "scales masks before it enlarges them", differs=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[""], metavar="WORD", help="comparisons that contain a word")
    words = parser.parse_args().only
    chosen = [comparison for comparison in comparisons() if any(word in comparison.name for word in words)]
    print_tables(chosen, NETWORKS)


def print_tables(chosen: Sequence[Comparison], networks: Sequence[str]) -> None:
    """Print the differences as a table with a column per network, and another of those that are known to differ."""
    tables: dict[bool, dict[tuple, dict[str, str]]] = {False: {}, True: {}}
    for comparison in chosen:
        difference = comparison.difference()
        text = f"{difference:.0e}".replace("e-0", "e-") if difference < 0.005 else f"{difference:.2f}"
        row = tables[comparison.differs].setdefault((comparison.package, comparison.method, comparison.note), {})
        row[comparison.network.split(",")[0]] = text
    for title, rows in (("what was changed in the other's computation", False), ("why they differ", True)):
        print(f"| package | method | {' | '.join(networks)} | {title} |")
        print("|---" * (len(networks) + 3) + "|")
        for (package, method, note), row in tables[rows].items():
            print(f"| {package} | {method} | {' | '.join(row.get(name, '–') for name in networks)} | {note} |")
        print()


if __name__ == "__main__":
    main()
