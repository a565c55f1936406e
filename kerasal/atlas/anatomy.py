"""What a model is made of: ``model -> layers in order, with shapes, receptive fields and connections``."""

import dataclasses

import numpy as np

from kerasal import hooks, receptive_field
from kerasal.atlas.slugs import slug
from kerasal.hooks.engine import read_graph
from kerasal.receptive_field.geometry.field_geometry import Field

import keras


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


def anatomy(model: keras.Model, shape: tuple[int, int, int]) -> list[Layer]:
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
                slug=slug(path),
                kind=type(layer).__name__,
                shape=shapes.get(path, ()),
                parameters=int(sum(np.prod(one.shape) for one in weights)),
                field=fields.get(path),
                sources=tuple(sorted({positions[id(one)] for one in _sources(model, layer) if id(one) in positions})),
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


def _sources(model, layer) -> list:
    """Return the operations that a layer reads from; none where the model is not a graph of layers.

    What was made of the layer outside of the model's own graphs, such as a truncated copy, does not count.
    """
    graphs = [model, *(one for _, one in hooks.layers(model))]
    graphs = [getattr(one, "_functional", None) or one for one in graphs]
    known = set().union(*(getattr(graph, "_nodes", None) or () for graph in graphs))  # keys: "<id of layer>_ib-<index>"
    nodes = enumerate(getattr(layer, "_inbound_nodes", ()))
    own = [node for number, node in nodes if f"{id(layer)}_ib-{number}" in known]
    return [parent.operation for node in own for parent in node.parent_nodes]
