"""What the tests of served models share: one exported net with every kind of signature, and who asks it."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import kerasal

HERE = pathlib.Path(__file__).parent
LABELS = ["ant", "bee", "cat", "dög", "eel", "fox"]
METHODS = {
    "ablation": "cells=2",
    "blur_ig": "steps=3,max_sigma=2.0",
    "ablationcam": "channels=3",
    "class_saliency": "",
    "crop_averaged_saliency": "",
    "drise": "samples=6,cells=2",
    "deconvnet": "",
    "deeplift": "baseline=0.5,return_gap=true",
    "eigencam": "center=true",
    "eigengradcam": "resize=false",
    "finer_cam": "gamma=1,classes=2",
    "gradcam": "",
    "gradcam_plus_plus": "layer=conv2",
    "gradient_shap": "samples=3,noise=0.1",
    "gradient_x_input": "channel_reduction=norm",
    "guided_backprop": "",
    "hsic": "samples=8,cells=2",
    "guided_ig": "steps=3,fraction=0.5",
    "hirescam": "positive=false",
    "input_gradient": "",
    "integrated_gradients": "steps=3,return_gap=true",
    "kernel_shap": "cells=2",
    "layercam": "resize=false",
    "lime": "samples=8,cells=2",
    "lrp": "composite=epsilon,epsilon=0.01",
    "occlusion": "window=4,stride=2",
    "rise": "samples=12,cells=2,return_error=true",
    "scorecam": "channels=2",
    "shapleycam": "logits=false",
    "smoothgrad": "samples=3,noise=0.1",
    "sobol": "designs=4,cells=2",
    "xrai": "steps=2,cells=3,min_pixels=2",
    "xgradcam": "",
}
# They need an attention, in an export of its own: TensorFlow's loaders add up its products in different orders, and the
# other methods are compared to the last bit.
ATTENTION_METHODS = {
    "attention_gradcam": "layer=attend,query=3",
    "attention_rollout": "head_reduction=max",
    "legrad": "last_layers=1",
    "raw_attention": "head=1,query=mean",
    "transformer_relevance": "grid=4",
}

OWN = {
    "crop": "input_gradient:on=image",
    "nine": "guided_backprop:target=class",
    "third": "class_saliency:target=3,logits=false",
    "files": "class_saliency:on=bytes,target=class",
    "crops": "crop_averaged_saliency:on=image,target=class",
    "stretched": "predict_image:fit=stretch,top=2",
}
PREDICTIONS = ["serving_default", "predict_image", "predict_bytes"]


@pytest.fixture(scope="session")
def methods():
    """Each attribution method with options under which it is quick and not its default self."""
    return METHODS | ATTENTION_METHODS


@pytest.fixture(scope="session")
def labels():
    return LABELS


@pytest.fixture(scope="session")
def served(shared_model, tmp_path_factory):
    """A small classifier and the folder of its export, with every kind of signature."""
    model = shared_model("functional")
    signatures = [*PREDICTIONS, *(f"{name}:{options}" for name, options in METHODS.items())]
    signatures += [f"{name}={text}" for name, text in OWN.items()]
    folder = tmp_path_factory.mktemp("served")
    return model, kerasal.export(model, folder, signatures=signatures, preprocessing="caffe", labels=LABELS)


@pytest.fixture(scope="session")
def served_attention(shared_model, tmp_path_factory):
    """The same with an attention, with a signature for each method that needs one."""
    model = shared_model("functional", attention=True)
    signatures = [f"{name}:{options}" for name, options in ATTENTION_METHODS.items()]
    folder = tmp_path_factory.mktemp("served_attention")
    return model, kerasal.export(model, folder, signatures=signatures, preprocessing="caffe", labels=LABELS)


@pytest.fixture(scope="session")
def consume(tmp_path_factory):
    """Ask a SavedModel from a fresh interpreter without keras and kerasal: list of (signature, inputs) -> replies."""

    def ask(model, requests):
        tmp_path = tmp_path_factory.mktemp("consumer")
        arrays = {
            f"{i}/{name}/{key}": value for i, (name, inputs) in enumerate(requests) for key, value in inputs.items()
        }
        np.savez(tmp_path / "requests.npz", **arrays)
        command = [sys.executable, HERE / "consumer.py", model, tmp_path / "requests.npz", tmp_path / "replies.npz"]
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
        assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr[-3000:]}"
        replies = [{} for _ in requests]
        with np.load(tmp_path / "replies.npz") as archive:
            for name in archive.files:
                number, _, key = name.split("/")
                replies[int(number)][key] = archive[name]
        return replies

    return ask


@pytest.fixture(scope="session")
def malformed():
    """Requests that no server should die of: name -> (signature, inputs, what the error says, if our own)."""
    spec = importlib.util.spec_from_file_location("malformed", HERE / "malformed.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.MALFORMED | {name: (*rest, "") for name, rest in module.WRONG_KIND.items()}
