"""Attribution methods of other packages on the same model and image, called as in their documentation.

Each function yields (method, passes, run). Packages that are not installed are skipped. xplique pins an older
TensorFlow and SciPy, but runs without these pins:

    python -m venv peers
    peers/bin/pip install . tensorflow-probability tf-keras scikit-learn scikit-image einops tqdm torch
    peers/bin/pip install --no-deps xplique tf-explain saliency captum

captum explains PyTorch models, so it gets the same model in PyTorch (``torch_models.py``), and its floor is PyTorch's.
"""

import importlib.util
import os
import warnings

import numpy as np

import keras
import tensorflow as tf

SAMPLES = 4


def tf_keras_vis(linear, images, target):
    """tf-keras-vis 0.8: runs eagerly, and needs a model that returns logits."""
    from tf_keras_vis.saliency import Saliency
    from tf_keras_vis.utils.scores import CategoricalScore

    saliency, score = Saliency(linear), CategoricalScore([target] * len(images))
    yield "class_saliency", 1, lambda: saliency(score, images, normalize_map=False)
    yield (
        "smoothgrad",
        SAMPLES,
        lambda: saliency(score, images, smooth_samples=SAMPLES, smooth_noise=0.15, normalize_map=False),
    )


def xplique(linear, images, target):
    """xplique 2.0: compiled, in batches of 32 samples by default."""
    from xplique import attributions

    targets = np.eye(linear.output_shape[-1], dtype=np.float32)[[target] * len(images)]
    for name, kind, passes, options in (
        ("class_saliency", "Saliency", 1, {}),
        ("gradient_x_input", "GradientInput", 1, {}),
        ("guided_backprop", "GuidedBackprop", 1, {}),
        ("deconvnet", "DeconvNet", 1, {}),
        ("gradcam", "GradCAM", 1, {}),
        ("smoothgrad", "SmoothGrad", SAMPLES, {"nb_samples": SAMPLES}),
        ("integrated_gradients", "IntegratedGradients", SAMPLES, {"steps": SAMPLES}),
    ):
        explainer = getattr(attributions, kind)(linear, **options)
        yield name, passes, lambda explainer=explainer: explainer(images, targets)


def tf_explain(linear, images, target):
    """tf-explain 0.3: compiles again in each call."""
    from tf_explain.core import gradients_inputs, integrated_gradients, smoothgrad

    data = (images, None)
    yield (
        "gradient_x_input",
        1,
        lambda: gradients_inputs.GradientsInputs().explain(data, linear, class_index=target),
    )
    yield (
        "smoothgrad",
        SAMPLES,
        lambda: smoothgrad.SmoothGrad().explain(data, linear, class_index=target, num_samples=SAMPLES, noise=10.0),
    )
    yield (
        "integrated_gradients",
        SAMPLES,
        lambda: integrated_gradients.IntegratedGradients().explain(data, linear, class_index=target, n_steps=SAMPLES),
    )


def saliency(linear, images, target):
    """PAIR saliency 0.2: the caller supplies the gradient, and a call takes one image."""
    from saliency import core

    def gradient(batch, call_model_args=None, expected_keys=None):
        batch = tf.convert_to_tensor(batch, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(batch)
            score = linear(batch)[:, target]
        return {core.INPUT_OUTPUT_GRADIENTS: tape.gradient(score, batch)}

    def for_all_images(explain):
        return lambda: np.stack([explain(image) for image in images])

    plain, integrated = core.GradientSaliency(), core.IntegratedGradients()
    yield "class_saliency", 1, for_all_images(lambda image: plain.GetMask(image, gradient))
    yield "smoothgrad", SAMPLES, for_all_images(lambda image: plain.GetSmoothedMask(image, gradient, nsamples=SAMPLES))
    yield (
        "integrated_gradients",
        SAMPLES,
        for_all_images(lambda image: integrated.GetMask(image, gradient, x_steps=SAMPLES)),
    )


def captum(linear, images, target):
    """captum 0.9, on PyTorch."""
    import torch
    from captum import attr
    from torch_models import make_model

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model = make_model(linear.name.split("_")[0]).eval()
    tensor = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))

    def floor():
        x = tensor.clone().requires_grad_()
        return torch.autograd.grad(model(x)[:, target].sum(), x)[0].numpy()

    yield "floor", 1, floor
    smooth = attr.NoiseTunnel(attr.Saliency(model))
    yield "class_saliency", 1, lambda: attr.Saliency(model).attribute(tensor.clone().requires_grad_(), target)
    yield "gradient_x_input", 1, lambda: attr.InputXGradient(model).attribute(tensor.clone().requires_grad_(), target)
    if linear.name == "vgg16":  # captum ignores the ReLU6 of MobileNetV2 and returns the plain gradient
        guided, deconvolution = attr.GuidedBackprop(model), attr.Deconvolution(model)
        yield "guided_backprop", 1, lambda: guided.attribute(tensor.clone().requires_grad_(), target)
        yield "deconvnet", 1, lambda: deconvolution.attribute(tensor.clone().requires_grad_(), target)
    yield (
        "smoothgrad",
        SAMPLES,
        lambda: smooth.attribute(tensor, target=target, nt_samples=SAMPLES, nt_samples_batch_size=1, stdevs=10.0),
    )
    integrated = attr.IntegratedGradients(model)
    yield (
        "integrated_gradients",
        SAMPLES,
        lambda: integrated.attribute(tensor, target=target, n_steps=SAMPLES, internal_batch_size=1),
    )


PEERS = {
    "tf-keras-vis": ("tf_keras_vis", tf_keras_vis),
    "xplique": ("xplique", xplique),
    "tf-explain": ("tf_explain", tf_explain),
    "PAIR saliency": ("saliency", saliency),
    "captum": ("captum", captum),
}


def contenders(linear: keras.Model, images, target: int):
    """Yield (package, method, passes, run) for every package that is installed."""
    for package, (module, make) in PEERS.items():
        if importlib.util.find_spec(module) is None:
            print(f"{package} is skipped, because it is not installed")
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for method, passes, run in make(linear, images, target):
                yield package, method, passes, run
