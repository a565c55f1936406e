"""Class activation maps, attention, occlusion and integrated gradients of PyTorch packages, on ``torch_twins``.

Each function takes the name of a network and returns the maps before the package scales them to 0..1 and enlarges them.
What a package computes in another way on purpose is undone where an argument says so; the docstrings name it.
"""

import functools
import sys
from collections.abc import Callable
from unittest import mock

import numpy as np
import torch
from torch import nn
from torch_twins import HEADS, Twin, convolutional, residual, transformer

# Names in pytorch-grad-cam and torch-cam.
CAMS = {
    "gradcam": ("GradCAM", "GradCAM"),
    "gradcam_plus_plus": ("GradCAMPlusPlus", "GradCAMpp"),
    "layercam": ("LayerCAM", "LayerCAM"),
    "scorecam": ("ScoreCAM", "ScoreCAM"),
}


def up_to_a_factor(maps: np.ndarray) -> np.ndarray:
    """Return the maps, each divided by its largest value."""
    return maps / maps.max(axis=tuple(range(1, maps.ndim)), keepdims=True)


@functools.cache
def twin(network: str) -> Twin:
    """Return the network "conv1d", "conv2d", "conv3d", "resnet", "vit" or "vit, patches of 1 px"."""
    if network == "resnet":
        return residual()
    if network.startswith("conv"):
        return convolutional(int(network[4]))
    return transformer() if network == "vit" else transformer(1, (6, 8))


class _OneRow(nn.Module):
    """A network of signals (N, C, T) for images (N, C, 1, T), since pytorch-grad-cam takes no signals."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        return self.module(x[:, :, 0])


def reshaping(network: str) -> Callable | None:
    """Return how the tensor of a layer becomes (N, C, *positions)."""
    if not network.startswith("vit"):
        return None
    return lambda tokens: tokens[:, 1:].transpose(1, 2).unflatten(2, twin(network).module.grid)


def grad_cam(network: str, method: str, first: bool = False, scaled: bool = False, aligned: bool = False) -> np.ndarray:
    """Return the maps of pytorch-grad-cam before it scales and enlarges them.

    Its Score-CAM enlarges masks with aligned corners; unless ``aligned``, it gets PyTorch's interpolation without. Its
    Grad-CAM++ leaves coefficients as they are; ``scaled`` makes them sum to 1 in each channel.
    """
    peer = pytorch_grad_cam()
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    pair, reshape = twin(network), reshaping(network)
    module, tensor = pair.module, pair.tensor
    if network == "conv1d":
        module, tensor, reshape = _OneRow(module), tensor[:, :, None], lambda maps: maps[:, :, None]
    if method == "scorecam":
        module = nn.Sequential(module, nn.LogSoftmax(-1))
    target = pair.first_target if first else pair.target
    make = scaled_plus_plus() if scaled else getattr(peer, CAMS[method][0])
    upsampling = nn.UpsamplingBilinear2d if aligned else functools.partial(nn.Upsample, mode="bilinear")
    with (
        mock.patch("torch.nn.UpsamplingBilinear2d", upsampling),
        mock.patch("pytorch_grad_cam.base_cam.scale_cam_image", lambda maps, size=None: maps),
        mock.patch("pytorch_grad_cam.score_cam.tqdm.tqdm", lambda steps: steps),
        make(module, [target], reshape) as explain,
    ):
        maps = explain(tensor, [ClassifierOutputTarget(target) for target in pair.targets])
    maps = maps[:, 0] if network == "conv1d" else maps
    return up_to_a_factor(maps) if method == "scorecam" else maps


def pytorch_grad_cam():
    """Import pytorch-grad-cam, also where torchvision is missing or does not fit PyTorch."""
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):
        for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.functional"):
            sys.modules[name] = mock.MagicMock(__spec__=None)
    import pytorch_grad_cam

    return pytorch_grad_cam


def scaled_plus_plus() -> type:
    """Return pytorch-grad-cam's Grad-CAM++ with coefficients that sum to 1 in each channel, as in the authors' code."""

    class Scaled(pytorch_grad_cam().GradCAMPlusPlus):
        def get_cam_weights(self, input_tensor, target_layers, target_category, activations, grads):
            # in units in which its constant against division by 0, 1e-6 beside squared gradients, does not matter
            activations, grads = activations / 1024, grads * 1024
            weights = super().get_cam_weights(input_tensor, target_layers, target_category, activations, grads) / 1024
            axes = tuple(range(2, grads.ndim))
            sums = activations.sum(axis=axes, keepdims=True)
            coefficients = np.where(grads == 0, 0, 1 / (2 + sums * grads))
            return weights / coefficients.sum(axis=axes)

    return Scaled


def torch_cam(network: str, method: str, first: bool = False) -> np.ndarray:
    """Return the maps of torch-cam without its scaling."""
    from torchcam import methods

    pair = twin(network)
    module = nn.Sequential(pair.module, nn.LogSoftmax(-1)) if method == "scorecam" else pair.module
    target = pair.first_target if first else pair.target
    with getattr(methods, CAMS[method][1])(module, target, reshape_transform=reshaping(network)) as explain:
        (maps,) = explain(pair.targets, module(pair.tensor), normalized=False)
    maps = maps.numpy()
    return up_to_a_factor(maps) if method == "scorecam" else maps


def attentions(network: str) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return the attentions of a transformer, (N, heads, T, T), and the gradients of its scores by them.

    Every block is written out from the weights of PyTorch's ``MultiheadAttention``.
    """
    pair = twin(network)
    module, x, weights = pair.module, pair.module.embed(pair.tensor), []
    for block in module.blocks:
        layer = block.self_attention
        projected = nn.functional.linear(block.norm1(x), layer.in_proj_weight, layer.in_proj_bias)
        q, k, v = (part.unflatten(2, (HEADS, -1)).transpose(1, 2) for part in projected.chunk(3, dim=2))
        weights.append((q @ k.transpose(2, 3) / q.shape[3] ** 0.5).softmax(dim=3))
        x = x + layer.out_proj((weights[-1] @ v).transpose(1, 2).flatten(2))
        x = x + block.mlp(block.norm2(x))
    scores = module.classify(x)[range(len(x)), pair.targets]
    return [w.detach() for w in weights], list(torch.autograd.grad(scores.sum(), weights))


def relevance(network: str) -> np.ndarray:
    """Return the map of Chefer et al. 2021: R starts as I, each layer adds mean(relu(gradient × A)) R."""
    attended, gradients = attentions(network)
    total = torch.eye(attended[0].shape[-1])
    for weights, gradient in zip(attended, gradients, strict=True):
        total = total + (weights * gradient).clamp(min=0).mean(dim=1) @ total
    return total[:, 0, 1:].unflatten(1, twin(network).module.grid).numpy()


def rollout(network: str) -> np.ndarray:
    """Return the map of Abnar & Zuidema 2020: the product of all A + I, with rows that sum to 1."""
    attended, _ = attentions(network)
    identity = torch.eye(attended[0].shape[-1])
    total = identity
    for weights in attended:
        mixed = weights.mean(dim=1) + identity
        total = mixed / mixed.sum(dim=-1, keepdim=True) @ total
    return total[:, 0, 1:].unflatten(1, twin(network).module.grid).numpy()


def torch_attentions(network: str) -> np.ndarray:
    """Return the weights that PyTorch's layers return, (N, layers, heads, T, T)."""
    module, found = twin(network).module, []
    x = module.embed(twin(network).tensor)
    for block in module.blocks:
        y = block.norm1(x)
        found.append(block.self_attention(y, y, y, average_attn_weights=False)[1].detach())
        x = block(x)
    return torch.stack(found, dim=1).numpy()


def captum_occlusion(network: str, window: tuple[int, ...], stride: tuple[int, ...]) -> np.ndarray:
    """Return for each position the mean of the drops of the windows that cover it."""
    from captum.attr import Occlusion

    pair, channels = twin(network), twin(network).inputs.shape[-1]
    sizes, steps = (channels, *window), (channels, *stride)
    return Occlusion(pair.module).attribute(pair.tensor, sizes, steps, target=torch.tensor(pair.targets))[:, 0].numpy()


def captum_integrated(network: str, steps: int, complete: bool = True) -> np.ndarray:
    """Return integrated gradients by the trapezoidal rule, summed over channels.

    captum's weights of its ``n_steps`` points sum to (n_steps - 1) / n_steps; ``complete`` makes them sum to 1.
    """
    from captum.attr import IntegratedGradients

    pair, targets = twin(network), torch.tensor(twin(network).targets)
    maps = IntegratedGradients(pair.module).attribute(
        pair.tensor, target=targets, n_steps=steps + 1, method="riemann_trapezoid"
    )
    return maps.sum(dim=1).detach().numpy() * ((steps + 1) / steps if complete else 1)
