"""``kerasal.serving.export_onnx``: scores, and the attributions that take no gradient, as ONNX files."""

import contextlib
import dataclasses
import json
import os
import pathlib
from collections.abc import Iterable, Sequence

from kerasal import preprocessing as conventions
from kerasal.files import replacing
from kerasal.models.image_model import ImageModel
from kerasal.serving.assets import describe
from kerasal.serving.endpoints import Endpoint, make_endpoint
from kerasal.serving.exporter import open_served
from kerasal.serving.onnx_graph import compare, convert, quiet, refuse_gradients
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
    """Write a model's scores, or an attribution that takes no gradient, as ONNX files for any runtime of that format.

    ONNX has no operations for gradients, so that ``occlusion`` and ``scorecam`` are what can be written beside the
    scores; for the others there is ``kerasal.export``. Each file is opened in onnxruntime and compared with TensorFlow
    on two random inputs before it is there. Requests are not checked inside, as those of a SavedModel are.

    Args:
        model_or_name: any built Keras model, a model file, or a zoo name. It is not changed.
        path: a folder. ``serving_default`` becomes ``path/NAME.onnx``, another signature ``path/NAME-SIGNATURE.onnx``.
        signatures: as ``kerasal.export`` takes them, on float inputs.
        preprocessing: the model's pixel convention, which is written into the file's metadata (``kerasal``, JSON).
        labels: names of the classes, which go there too (``labels``, a line each).
        name: of the files; by default the model's own.

    Returns:
        The files, in the order of the signatures. Inputs and outputs have the names and shapes of the SavedModel's.

    Raises:
        ModuleNotFoundError: tf2onnx, onnx or onnxruntime is missing.
        ValueError: a signature that takes gradients or images, operations that ONNX has not, or other results there.
        FileExistsError: a file is there already; nothing is written.
    """
    return write(open_served(model_or_name, preprocessing, labels), path, signatures, name)


def write(
    model: ImageModel, path: str | os.PathLike, signatures: "Iterable[str | Signature]", name: str | None
) -> list[pathlib.Path]:
    """Convert each signature, try it, and write the files, all or none; see ``export_onnx``."""
    try:
        with quiet():
            import onnx  # noqa: F401
            import onnxruntime  # noqa: F401
            import tf2onnx  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"ONNX needs {error.name}: python -m pip install 'kerasal[onnx]', or export a SavedModel."
        ) from error
    chosen, name = make_signatures(signatures), name or model.keras_model.name
    names = [name if one.name == "serving_default" else f"{name}-{one.name}" for one in chosen]
    files = [pathlib.Path(path) / f"{one}.onnx" for one in names]
    for file in files:
        if file.exists():
            raise FileExistsError(f"{file} exists. Remove it, or give another name.")
    with contextlib.ExitStack() as written:
        for file, signature in zip(files, chosen, strict=True):
            temporary = written.enter_context(replacing(file))
            try:
                _write_one(model, signature, temporary)
            except ValueError:
                if signature.kind != "occlusion" or signature.options["incremental"] != "auto":
                    raise
                # What computes only the changed parts of a map is not converted right for every net.
                whole = dataclasses.replace(signature, options={**signature.options, "incremental": False})
                _write_one(model, whole, temporary)
    return files


def _write_one(model: ImageModel, signature: Signature, file: pathlib.Path) -> None:
    if signature.options.get("on", "inputs") != "inputs":
        raise ValueError(
            f"The signature {signature.name!r} takes images or files; in ONNX it takes the model's own inputs. Use "
            "on=inputs, and prepare the pixels as the file's metadata says; or export a SavedModel."
        )
    endpoint = make_endpoint(model, signature)
    refuse_gradients(endpoint)
    graph = convert(endpoint)
    _describe(graph, model, endpoint)
    file.write_bytes(graph.SerializeToString())
    compare(endpoint, file)


def _describe(graph, model: ImageModel, endpoint: Endpoint) -> None:
    """Name the open sides of the tensors, and keep what is known of the model in the metadata."""
    for value in (*graph.graph.input, *graph.graph.output):
        for axis, side in enumerate(value.type.tensor_type.shape.dim):
            if side.HasField("dim_param"):
                side.dim_param = "N" if axis == 0 else f"{value.name}_{axis}"
    told = {"kerasal": json.dumps(describe(model, [endpoint]), ensure_ascii=False)}
    if model.labels:
        told["labels"] = "\n".join(" ".join(label.splitlines()) for label in model.labels)
    for key, text in told.items():
        entry = graph.metadata_props.add()
        entry.key, entry.value = key, text
