"""The anatomy of a model: its task, its layers with shapes and receptive fields, and the connections of the layers."""

import dataclasses
import fnmatch
import re
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from kerasal import hooks, receptive_field
from kerasal.atlas.captions import make_slug
from kerasal.digests import digest
from kerasal.hooks.engine import read_graph
from kerasal.models.image_model import ImageModel
from kerasal.models.opener import open_model
from kerasal.names import unknown_name_message
from kerasal.receptive_field.geometry.field_geometry import Field

import keras

Task = Literal["classification", "gaze", "other"]


def atlas_model(model: Any, *, task: Task | None = None, **fields: Any) -> ImageModel:
    """Return the ``ImageModel`` of a model, with its task inferred from the output unless ``task`` is set.

    ``fields`` of ``ImageModel`` that are not empty replace those that the model has or that are recognized.

    Raises:
        ValueError: the model has no single image input (H, W, C) with 1 or 3 channels, its preprocessing is not known,
            or a classifier has no output (N, classes).
    """
    fields = {name: value for name, value in fields.items() if value}
    opened = model if isinstance(model, ImageModel) else open_model(model, preprocessing=fields.get("preprocessing"))
    image_model = dataclasses.replace(opened, **fields)
    image_model.check_pixels()
    is_declared = bool(getattr(model, "inputs", None))
    if len(image_model.shape) != 3 or image_model.channels_first or (not is_declared and image_model.channels != 3):
        raise ValueError(
            f"model must take images (N, H, W, C), channels last, but {image_model.name!r} takes "
            f"{image_model.shape}{', channels first' if image_model.channels_first else ''}"
            f"{'' if is_declared else ', and C must be 3 for a model that declares no inputs'}. Wrap it: "
            "x = keras.Input((H, W, C)); keras.Model(x, model(x)). For channels first, apply "
            "keras.layers.Permute((3, 1, 2)) to x."
        )
    shapes = list(image_model.output_shapes.values())
    shape = shapes[0] if len(shapes) == 1 else None
    is_scores = shape is not None and len(shape) == 1 and bool(shape[0])
    is_map = shape is not None and (len(shape) == 2 or (len(shape) == 3 and shape[2] == 1))
    if task is None:
        task = "classification" if is_scores else "gaze" if is_map else "other"
    elif task == "classification" and not is_scores:
        raise ValueError(
            f"The output of a classifier must have shape (N, classes), but {image_model.name!r} has "
            f"{(None, *shape) if shape else 'several outputs'}. Use task='other' for an atlas of its layers only."
        )
    return dataclasses.replace(image_model, task=task, size=image_model.input_size())


def undeclared_size(model: ImageModel) -> tuple[int, int] | None:
    """Return the (height, width) to pass to functions for a model that declares no inputs; None for other models."""
    return None if getattr(model.keras_model, "inputs", None) else model.size


def atlas_digest(model: ImageModel) -> str:
    """Return a digest of the model and of the paths of its layers, which appear on the pages."""
    return digest(hooks.digest_model(model.keras_model), [path for path, _ in hooks.layers(model.keras_model)])


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer of a model.

    Attributes:
        path: its name, preceded by the names of the models that contain it.
        slug: the file name of its page, without suffix.
        kind: the name of its class.
        shape: the shape of its output for an image, without the batch axis; empty if not known.
        parameters: the number of its parameters, those of nested layers included.
        field: the receptive field of its units, for a layer with an output (h, w, channels).
        sources: the positions of its input layers, if the model declares its connections.
        is_container: whether it consists of other layers, which follow it in the list.
        depth: the number of layers that contain it.
        has_kernel: whether it has a kernel, such as a convolution or a dense layer.
        is_output: whether it computes the output of the model.
    """

    path: str
    slug: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    field: Field | None
    sources: tuple[int, ...]
    is_container: bool
    depth: int
    has_kernel: bool
    is_output: bool

    @property
    def channels(self) -> int:
        """The number of channels, or of units of a dense layer; 0 if not known."""
        return int(self.shape[-1] or 0) if len(self.shape) in (1, 3) else 0


def list_layers(model: keras.Model, shape: tuple[int, int, int]) -> list[Layer]:
    """Return the layers of a model for images of a shape (H, W, C), in the order of the model.

    Shapes and receptive fields are missing for a model without access to its layers, such as a SavedModel.
    """
    named_layers = list({id(layer): (path, layer) for path, layer in reversed(hooks.layers(model))}.values())[::-1]
    try:
        shapes, output = _infer_shapes(model, [path for path, _ in named_layers], shape)
        fields = receptive_field.fields(model, input_size=shape[:2])
    except ValueError:
        shapes, output, fields = {}, None, {}
    positions = {id(layer): position for position, (_, layer) in enumerate(named_layers)}
    last = max((i for i, (path, _) in enumerate(named_layers) if shapes.get(path) == output), default=None)
    layers = []
    for position, (path, layer) in enumerate(named_layers):
        is_container = any(other.startswith(f"{path}/") for other, _ in named_layers)
        weights = list(getattr(layer, "weights", ()))
        layers.append(
            Layer(
                path=path,
                slug=make_slug(path),
                kind=type(layer).__name__,
                shape=shapes.get(path, ()),
                parameters=int(sum(np.prod(weight.shape) for weight in weights)),
                field=fields.get(path),
                sources=tuple(sorted({positions[i] for i in map(id, _find_sources(model, layer)) if i in positions})),
                is_container=is_container,
                depth=sum(path.startswith(f"{other}/") for other, _ in named_layers),
                has_kernel=not is_container and any(len(weight.shape) >= 2 for weight in weights),
                is_output=output is not None and position == last,
            )
        )
    return layers


def _infer_shapes(model, paths: list[str], shape: tuple[int, int, int]) -> tuple[dict[str, tuple], tuple | None]:
    """Return the output shapes of the layers and of the model for an image, without running the model."""

    def get_shapes(image, layers, layout, outputs):
        shapes = {path: tuple(tensor.shape[1:]) for path, tensor in layers.items()}
        return shapes, tuple(outputs.shape[1:]) if hasattr(outputs, "shape") else None

    return read_graph(model, shape, paths, get_shapes, lenient=True)


def _find_sources(model, layer) -> list:
    """Return the operations whose outputs are the inputs of a layer; empty if the model is not a graph of layers.

    Calls of the layer outside the graphs of the model, for example in a truncated copy, are ignored.
    """
    graphs = [model, *(nested for _, nested in hooks.layers(model))]
    graphs = [getattr(graph, "_functional", None) or graph for graph in graphs]
    keys = {key for graph in graphs for key in getattr(graph, "_nodes", None) or ()}  # "<id of layer>_ib-<index>"
    nodes: list[Any] = getattr(layer, "_inbound_nodes", [])
    nodes_in_model = [node for index, node in enumerate(nodes) if f"{id(layer)}_ib-{index}" in keys]
    return [parent.operation for node in nodes_in_model for parent in node.parent_nodes]


def choose_layers(layers: Sequence[Layer], patterns: Sequence[str] | None) -> list[Layer]:
    """Return the layers whose channels are shown, in the order of the model.

    By default these are the layers with a kernel, such as convolutions and dense layers, except the output layer, whose
    units are the classes. ``patterns`` are layer names, ends of paths, patterns such as ``"fire*"``, or slices of the
    default layers such as ``":8"`` and ``"-3:"``.

    Raises:
        ValueError: a name matches no layer, or a layer without channels.
    """
    default = [layer for layer in layers if layer.has_kernel and layer.channels and not layer.is_output]
    if patterns is None:
        return default
    paths: set[str] = set()
    for pattern in patterns:
        bounds = re.fullmatch(r"(-?\d*):(-?\d*)", pattern)
        if bounds:
            paths |= {layer.path for layer in default[slice(*(int(end) if end else None for end in bounds.groups()))]}
            continue
        matches = [layer for layer in layers if pattern in (layer.path, layer.path.rpartition("/")[2])]
        matches = matches or [layer for layer in layers if fnmatch.fnmatchcase(layer.path, pattern)]
        if not matches:
            raise ValueError(unknown_name_message(pattern, [layer.path for layer in layers], "layer"))
        without_channels = [layer for layer in matches if not layer.channels]
        if without_channels and len(matches) == 1:
            raise ValueError(
                f"The output of layer {without_channels[0].path!r} ({without_channels[0].kind}) must have shape "
                f"(h, w, channels) or (units,) per image, got {without_channels[0].shape or 'an unknown shape'}."
            )
        paths |= {layer.path for layer in matches if layer.channels}
    return [layer for layer in layers if layer.path in paths]


def sample(count: int, most: int) -> list[int]:
    """Return at most ``most`` integers in 0..``count`` - 1, evenly spaced, the first and the last included."""
    return list(range(count)) if count <= most else np.linspace(0, count - 1, most).round().astype(int).tolist()


ROW = 56
"""Height in pixels of a layer in the diagram, the same as in the style sheet."""

_LANE_WIDTH, _LANES_WIDTH = 9, 90  # pixels between two skip connections, and at most for all together


@dataclasses.dataclass(frozen=True)
class Connections:
    """The lines between the layers in the diagram of a model.

    Attributes:
        paths: SVG path data of the lines.
        width: width of the lines in pixels.
        height: height of the diagram in pixels.
        spine: horizontal position of the layers in pixels.
    """

    paths: list[str]
    width: int
    height: int
    spine: int


def draw_connections(layers: Sequence[Layer]) -> Connections:
    """Return the lines from each layer to the layers that use its output; none if the connections are not known."""
    edges = sorted((source, position) for position, layer in enumerate(layers) for source in layer.sources)
    skips = sorted((edge for edge in edges if edge[1] - edge[0] != 1), key=lambda edge: (edge[1] - edge[0], edge))
    lanes: list[list[tuple[int, int]]] = []
    for low, high in (tuple(sorted(edge)) for edge in skips):
        for lane in lanes:
            if all(high <= other_low or low >= other_high for other_low, other_high in lane):
                lane.append((low, high))
                break
        else:
            lanes.append([(low, high)])
    lane_width = min(_LANE_WIDTH, _LANES_WIDTH / max(1, len(lanes)))
    spine = round(lane_width * len(lanes)) + 8
    lane_numbers = {edge: number for number, lane in enumerate(lanes) for edge in lane}
    paths = [f"M{spine} {_row_center(low)}V{_row_center(high)}" for low, high in edges if high - low == 1]
    for low, high in dict.fromkeys(tuple(sorted(edge)) for edge in skips):
        x = round(spine - lane_width * (lane_numbers[low, high] + 1), 1)
        top, bottom = _row_center(low) + 5, _row_center(high) - 5
        paths.append(f"M{spine} {top}Q{x} {top} {x} {top + 9}V{bottom - 9}Q{x} {bottom} {spine} {bottom}")
    return Connections(paths, spine + 8, ROW * len(layers), spine)


def _row_center(row: int) -> int:
    return ROW * row + ROW // 2
