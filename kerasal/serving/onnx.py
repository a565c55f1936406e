"""``kerasal.serving.export_onnx``: scores, and attribution methods that need no gradient, as ONNX files."""

import contextlib
import dataclasses
import json
import os
import pathlib
from collections.abc import Iterable, Sequence

from kerasal import preprocessing as conventions
from kerasal.files import atomic_write
from kerasal.models.image_model import ImageModel
from kerasal.serving.assets import describe
from kerasal.serving.endpoints import Endpoint, make_endpoint
from kerasal.serving.exporter import load_for_export
from kerasal.serving.onnx_graph import compare, convert, need_converter, refuse_gradients
from kerasal.serving.signatures import Signature, make_signatures

import keras


def export_onnx(
    model_or_name: "keras.Model | str | os.PathLike",
    path: str | os.PathLike,
    *,
    signatures: "Sequence[str | Signature]" = ("serving_default",),
    preprocessing: "str | conventions.Preprocessing | None" = None,
    labels: "Sequence[str] | str | os.PathLike | None" = None,
    name: str | None = None,
) -> list[pathlib.Path]:
    """Write a model's scores, and attribution methods that need no gradient, as ONNX files; return their paths.

    ONNX has no gradient operations, random numbers or solvers: beside the scores, ``occlusion``, ``ablation``, ``hsic``
    and ``scorecam`` can be written. For the other methods use ``kerasal.export``. Before a file is kept, its results in
    onnxruntime are compared with TensorFlow's on two random inputs. Unlike a SavedModel's, its graph does not check
    requests.

    Args:
        model_or_name: any built Keras model, a model file, or a zoo name. It is not changed.
        path: the output folder. ``serving_default`` is written to ``path/NAME.onnx``, any other signature to
            ``path/NAME-SIGNATURE.onnx``.
        signatures: as in ``kerasal.export``, on float inputs.
        preprocessing: the preprocessing of the model, written into the file's metadata (``kerasal``, as JSON).
        labels: the class names, written into the metadata (``labels``, a name per line).
        name: the NAME of the files; by default that of the Keras model.

    Returns:
        The files, in the order of the signatures. Inputs and outputs have the names and shapes of the SavedModel's.

    Raises:
        ModuleNotFoundError: tf2onnx, onnx or onnxruntime is not installed.
        ValueError: a signature needs gradients or takes images, an operation does not exist in ONNX, or onnxruntime
            computes different results.
        FileExistsError: a file exists; nothing is written.
    """
    return write(load_for_export(model_or_name, preprocessing, labels), path, signatures, name)


def write(
    model: ImageModel, path: str | os.PathLike, signatures: "Iterable[str | Signature]", name: str | None
) -> list[pathlib.Path]:
    """Convert and verify each signature; write all files or none, and return their paths. See ``export_onnx``."""
    need_converter(", or export a SavedModel.")
    parsed, name = make_signatures(signatures), name or model.keras_model.name
    names = [name if signature.name == "serving_default" else f"{name}-{signature.name}" for signature in parsed]
    files = [pathlib.Path(path) / f"{stem}.onnx" for stem in names]
    for file in files:
        if file.exists():
            raise FileExistsError(f"{file} already exists. Remove it, or choose another name.")
    with contextlib.ExitStack() as temporaries:
        for file, signature in zip(files, parsed, strict=True):
            temporary = temporaries.enter_context(atomic_write(file))
            try:
                _write_signature(model, signature, temporary)
            except ValueError:
                if signature.kind != "occlusion" or signature.options["incremental"] != "auto":
                    raise
                # tf2onnx converts the incremental occlusion of some models wrongly; the full forward passes work.
                full = dataclasses.replace(signature, options={**signature.options, "incremental": False})
                _write_signature(model, full, temporary)
    return files


def _write_signature(model: ImageModel, signature: Signature, file: pathlib.Path) -> None:
    if signature.options.get("on", "inputs") != "inputs":
        raise ValueError(
            f"An ONNX signature must take the model's preprocessed inputs, but {signature.name!r} takes images or "
            "files. Use on=inputs, and preprocess the pixels as described in the file's metadata; or export a "
            "SavedModel."
        )
    endpoint = make_endpoint(model, signature)
    refuse_gradients(endpoint)
    graph = convert(endpoint)
    _describe(graph, model, endpoint)
    file.write_bytes(graph.SerializeToString())
    compare(endpoint, file)


def _describe(graph, model: ImageModel, endpoint: Endpoint) -> None:
    """Name the dynamic dimensions of the tensors, and write the model's description into the metadata."""
    for value in (*graph.graph.input, *graph.graph.output):
        for axis, side in enumerate(value.type.tensor_type.shape.dim):
            if side.HasField("dim_param"):
                side.dim_param = "N" if axis == 0 else f"{value.name}_{axis}"
    metadata = {"kerasal": json.dumps(describe(model, [endpoint]), ensure_ascii=False)}
    if model.labels:
        metadata["labels"] = "\n".join(" ".join(label.splitlines()) for label in model.labels)
    for key, text in metadata.items():
        entry = graph.metadata_props.add()
        entry.key, entry.value = key, text
