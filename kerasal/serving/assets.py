"""What travels along with a served model: the names of its classes, its card, and what each signature takes and gives.

assets/labels.txt       a class a line, in the order of the scores
assets/card.md          the model card of a zoo model
assets/kerasal.json     the pixel convention, the limits, and every signature with its options, inputs and outputs
"""

import json
import pathlib
from typing import Any

import numpy as np

from kerasal import _version, attribution
from kerasal.files import replacing
from kerasal.models.image_model import ImageModel
from kerasal.serving.endpoints import Endpoint
from kerasal.serving.image_decoder import MAX_PIXELS
from kerasal.serving.signatures import KINDS

import keras
import tensorflow as tf

_SUMMARIES = {
    "serving_default": "The model's outputs for inputs as it takes them.",
    "predict": "The model's outputs for inputs as it takes them.",
    "predict_image": "The model's outputs for uint8 RGB images of any size.",
    "predict_bytes": "The top classes of encoded JPEG or PNG files.",
    "maximize": "The images that excite classes or channels most.",
    "gaze": "Where people will look.",
}


def write_assets(model: ImageModel, endpoints: list[Endpoint], path: pathlib.Path) -> None:
    """Write the assets of a SavedModel."""
    folder = path / "assets"
    _write(folder / "kerasal.json", json.dumps(describe(model, endpoints), indent=1, ensure_ascii=False) + "\n")
    if model.labels:
        _write(folder / "labels.txt", "".join(f"{' '.join(name.splitlines())}\n" for name in model.labels))
    if "card" in model.facts:
        _write(folder / "card.md", model.facts["card"] + "\n")


def describe(model: ImageModel, endpoints: list[Endpoint]) -> dict[str, Any]:
    """Say in plain values what is served; the same export says the same."""
    convention = model.preprocessing
    pixels = convention and {
        "name": convention.name,
        "formula": "input = (pixel - mean) / std, pixels 0..255" + (", channels as BGR" if convention.bgr else ""),
        "mean": list(convention.mean),
        "std": list(convention.std),
        "bgr": convention.bgr,
    }
    return {
        "model": model.keras_model.name,
        "made_by": {"kerasal": _version.__version__, "keras": keras.__version__, "tensorflow": tf.__version__},
        "preprocessing": pixels,
        "classes": len(model.labels) or None,
        "largest_encoded_image": {"pixels": MAX_PIXELS},
        "signatures": {one.signature.name: _signature(one) for one in endpoints},
    }


def _signature(endpoint: Endpoint) -> dict[str, Any]:
    signature, function = endpoint.signature, endpoint.function
    kind = signature.kind
    spec = None if kind in KINDS else attribution.method_spec(kind)
    return {
        "kind": kind,
        "summary": spec.summary if spec else _SUMMARIES[kind],
        **({"reference": spec.reference, "signed": spec.signed} if spec else {}),
        "options": {key: _plain(value) for key, value in signature.options.items()},
        "inputs": {one.name: _tensor(one) for one in function.structured_input_signature[0]},
        "outputs": {name: _tensor(one) for name, one in function.structured_outputs.items()},
    }


def _tensor(spec) -> dict[str, Any]:
    shape = [*spec.shape] if spec.shape.rank is not None else None
    return {"dtype": spec.dtype.name, "shape": shape and [size if size is None else int(size) for size in shape]}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.size > 16:
        return f"array {value.shape}"
    return np.asarray(value).tolist() if isinstance(value, (np.ndarray, np.generic, tuple)) else value


def _write(path: pathlib.Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_description(path: pathlib.Path) -> dict[str, Any]:
    """Return what ``assets/kerasal.json`` of an export says."""
    return json.loads((path / "assets" / "kerasal.json").read_text(encoding="utf-8"))
