"""What a model is and is made of: its task and digest, its layers in order, those that are shown, how they connect."""

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
from kerasal.names import unknown_name_message
from kerasal.receptive_field.geometry.field_geometry import Field

import keras

Task = Literal["classification", "gaze", "other"]


def atlas_model(model: Any, *, task: Task | None = None, **known: Any) -> ImageModel:
    """Return a model with its task found out; ``known`` are further fields of ``ImageModel``.

    Raises:
        ValueError: not one image input (H, W, C) of 1 or 3 channels, a preprocessing that is not known, or a
            classifier without an output (N, classes).
    """
    opened = ImageModel(model, **known)
    opened.check_pixels()
    declared = bool(getattr(model, "inputs", None))
    if len(opened.shape) != 3 or opened.channels_first or (not declared and opened.channels != 3):
        raise ValueError(
            f"An atlas is of a model that takes images (N, H, W, C), channels last; {opened.name!r} takes "
            f"{opened.shape}{', channels first' if opened.channels_first else ''}"
            f"{'' if declared else ' and does not declare it, for which C must be 3'}. Wrap it: "
            "x = keras.Input((H, W, C)); keras.Model(x, model(x)), with keras.layers.Permute((3, 1, 2)) if first."
        )
    shapes = list(opened.output_shapes.values())
    shape = shapes[0] if len(shapes) == 1 else None
    is_scores = shape is not None and len(shape) == 1 and bool(shape[0])
    is_map = shape is not None and (len(shape) == 2 or (len(shape) == 3 and shape[2] == 1))
    if task is None:
        task = "classification" if is_scores else "gaze" if is_map else "other"
    elif task == "classification" and not is_scores:
        raise ValueError(
            f"A classifier has one output (N, classes). {opened.name!r} gives {shape or 'several outputs'}; give "
            "task='other' to look at its layers alone."
        )
    return dataclasses.replace(opened, task=task, size=opened.input_size())


def undeclared_size(model: ImageModel) -> tuple[int, int] | None:
    """Return the (height, width) that routines must be given for a model that does not declare its own, else None."""
    return None if getattr(model.keras_model, "inputs", None) else model.size


def atlas_digest(model: ImageModel) -> str:
    """Return what tells this model from any other, and its layers' paths, which the pages bear."""
    return digest(hooks.digest_model(model.keras_model), [path for path, _ in hooks.layers(model.keras_model)])


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        path: its full name.
        slug: the name of its page.
        kind: its class.
        shape: of its output for an image, without the batch; empty where that is not known.
        parameters: how many weights it has, those of layers inside it included.
        field: the receptive fields of its units, for a layer with a map.
        sources: positions of the layers that it reads from, where the model says so.
        container: whether it is made of other layers, which are listed after it.
        depth: how deep it lies within containers.
        own: whether it computes channels of its own: it has a kernel.
        result: whether it gives the model's output.
    """

    path: str
    slug: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    field: Field | None
    sources: tuple[int, ...]
    container: bool
    depth: int
    own: bool
    result: bool

    @property
    def channels(self) -> int:
        """How many channels, or units of a dense layer; 0 where that is not known."""
        return int(self.shape[-1] or 0) if len(self.shape) in (1, 3) else 0


def list_layers(model: keras.Model, shape: tuple[int, int, int]) -> list[Layer]:
    """List the layers of a model for images of a shape (H, W, C), in the order in which it holds them.

    Shapes and fields stay open where the model cannot be looked into (a SavedModel).
    """
    listed = list({id(layer): (path, layer) for path, layer in reversed(hooks.layers(model))}.values())[::-1]
    try:
        shapes, output = _shapes(model, [path for path, _ in listed], shape)
        fields = receptive_field.fields(model, input_size=shape[:2])
    except ValueError:
        shapes, output, fields = {}, None, {}
    positions = {id(layer): number for number, (_, layer) in enumerate(listed)}
    last = max((n for n, (path, _) in enumerate(listed) if shapes.get(path) == output), default=None)
    found = []
    for number, (path, layer) in enumerate(listed):
        container = any(other.startswith(f"{path}/") for other, _ in listed)
        weights = list(getattr(layer, "weights", ()))
        found.append(
            Layer(
                path=path,
                slug=make_slug(path),
                kind=type(layer).__name__,
                shape=shapes.get(path, ()),
                parameters=int(sum(np.prod(one.shape) for one in weights)),
                field=fields.get(path),
                sources=tuple(sorted({positions[i] for i in map(id, _find_sources(model, layer)) if i in positions})),
                container=container,
                depth=sum(path.startswith(f"{other}/") for other, _ in listed),
                own=not container and any(len(one.shape) >= 2 for one in weights),
                result=output is not None and number == last,
            )
        )
    return found


def _shapes(model, paths: list[str], shape: tuple[int, int, int]) -> tuple[dict[str, tuple], tuple | None]:
    """Return the shape of what each layer gives for one image, and that of the model's output; nothing is run."""

    def read(image, layers, layout, outputs):
        found = {path: tuple(tensor.shape[1:]) for path, tensor in layers.items()}
        return found, tuple(outputs.shape[1:]) if hasattr(outputs, "shape") else None

    return read_graph(model, shape, paths, read, lenient=True)


def _find_sources(model, layer) -> list:
    """Return the operations that a layer reads from; none where the model is not a graph of layers.

    What was made of the layer outside of the model's own graphs, such as a truncated copy, does not count.
    """
    graphs = [model, *(one for _, one in hooks.layers(model))]
    graphs = [getattr(one, "_functional", None) or one for one in graphs]
    known = {key for one in graphs for key in getattr(one, "_nodes", None) or ()}  # "<id of layer>_ib-<index>"
    nodes: list[Any] = getattr(layer, "_inbound_nodes", [])
    own = [node for number, node in enumerate(nodes) if f"{id(layer)}_ib-{number}" in known]
    return [parent.operation for node in own for parent in node.parent_nodes]


def choose_layers(layers: Sequence[Layer], wanted: Sequence[str] | None) -> list[Layer]:
    """Return the layers whose channels are shown, in the model's order.

    By default those that compute channels of their own (convolutions and dense layers), except the last, whose units
    are the classes. ``wanted`` are names, ends of paths, patterns such as ``"fire*"``, or slices of the default such as
    ``":8"`` and ``"-3:"``.

    Raises:
        ValueError: a name that no layer has, or that of a layer without channels.
    """
    usual = [layer for layer in layers if layer.own and layer.channels and not layer.result]
    if wanted is None:
        return usual
    found: set[str] = set()
    for one in wanted:
        cut = re.fullmatch(r"(-?\d*):(-?\d*)", one)
        if cut:
            found |= {layer.path for layer in usual[slice(*(int(end) if end else None for end in cut.groups()))]}
            continue
        named = [layer for layer in layers if one in (layer.path, layer.path.rpartition("/")[2])]
        named = named or [layer for layer in layers if fnmatch.fnmatchcase(layer.path, one)]
        if not named:
            raise ValueError(unknown_name_message(one, [layer.path for layer in layers], "layer"))
        silent = [layer for layer in named if not layer.channels]
        if silent and len(named) == 1:
            raise ValueError(
                f"Layer {silent[0].path!r} ({silent[0].kind}) has no channels: its output for an image has shape "
                f"{silent[0].shape or 'unknown'}; expected (h, w, channels) or (units,)."
            )
        found |= {layer.path for layer in named if layer.channels}
    return [layer for layer in layers if layer.path in found]


def sample(count: int, most: int) -> list[int]:
    """Return at most ``most`` of the numbers below ``count``, evenly spaced, the first and the last among them."""
    return list(range(count)) if count <= most else np.linspace(0, count - 1, most).round().astype(int).tolist()


ROW = 56
"""Height of a row in pixels, which the style sheet has too."""

_LANE, _WIDEST = 9, 90


@dataclasses.dataclass(frozen=True)
class Wires:
    """The lines of a column: ``paths`` are SVG path data, ``width`` and ``height`` the space they take, in pixels."""

    paths: list[str]
    width: int
    height: int
    spine: int


def draw_wires(layers: Sequence[Layer]) -> Wires:
    """Draw what reads from what; a model whose connections are not known has no lines."""
    edges = sorted((source, number) for number, layer in enumerate(layers) for source in layer.sources)
    skips = sorted((edge for edge in edges if edge[1] - edge[0] != 1), key=lambda edge: (edge[1] - edge[0], edge))
    lanes: list[list[tuple[int, int]]] = []
    for low, high in (tuple(sorted(edge)) for edge in skips):
        for lane in lanes:
            if all(high <= other_low or low >= other_high for other_low, other_high in lane):
                lane.append((low, high))
                break
        else:
            lanes.append([(low, high)])
    lane_width = min(_LANE, _WIDEST / max(1, len(lanes)))
    spine = round(lane_width * len(lanes)) + 8
    lane_of = {edge: number for number, lane in enumerate(lanes) for edge in lane}
    paths = [f"M{spine} {_middle(low)}V{_middle(high)}" for low, high in edges if high - low == 1]
    for low, high in dict.fromkeys(tuple(sorted(edge)) for edge in skips):
        x = round(spine - lane_width * (lane_of[low, high] + 1), 1)
        top, bottom = _middle(low) + 5, _middle(high) - 5
        paths.append(f"M{spine} {top}Q{x} {top} {x} {top + 9}V{bottom - 9}Q{x} {bottom} {spine} {bottom}")
    return Wires(paths, spine + 8, ROW * len(layers), spine)


def _middle(row: int) -> int:
    return ROW * row + ROW // 2
