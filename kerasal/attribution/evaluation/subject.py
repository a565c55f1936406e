"""A model, inputs and a method whose maps are made again: of noisy inputs, of other classes or with other weights."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kerasal.attribution.evaluation.control_maps import center_maps, edge_maps, random_maps_like
from kerasal.attribution.evaluation.scorer import read_maps
from kerasal.attribution.method import list_methods, method_function, method_spec
from kerasal.checks import check_int
from kerasal.hooks.engine import fixed_target, output_values
from kerasal.hooks.model_inputs import conform
from kerasal.hooks.positions import channel_axes

import keras


class Subject:
    """What a metric needs that runs a method again.

    ``explain(inputs=None, target=None)`` returns maps, float64 (N, *positions), of other inputs or of another target.
    Without a target, the top class under the original inputs and weights is explained.

    Raises:
        ValueError: the model has several inputs, or they do not fit; the method is unknown or returns no maps.
        TypeError: ``method`` is neither a name nor a function.
    """

    def __init__(
        self,
        model: keras.Model,
        inputs: Any,
        method: str | Callable,
        target: Any = None,
        *,
        options: Mapping[str, Any] | None = None,
        output: str | int | None = None,
        logits: bool = True,
        batch_size: int | None = None,
        advance: Callable[[int], None] | None = None,
    ):
        if not callable(method) and not isinstance(method, str):
            raise TypeError(f"method must be the name of an attribution method or a function, got {method!r}.")
        arrays = conform(model, inputs, integers=True)
        if len(arrays) != 1:
            raise ValueError(f"model must have a single input to judge a method on it, got {len(arrays)}.")
        self.model, self.inputs = model, arrays[0]
        self.channels = channel_axes(model, [self.inputs.shape])[0]
        self.options = dict(options or {})
        self._method = method if callable(method) else method_function(method)
        name = getattr(self._method, "__name__", "")
        known = name in list_methods() and method_function(name) is self._method
        self.spec = method_spec(name) if known else None
        # Only settings that differ from the defaults, so that a function need not know them.
        settings = {"output": (output, None), "logits": (logits, True), "batch_size": (batch_size, None)}
        self._settings = {name: value for name, (value, default) in settings.items() if value != default}
        self.target = fixed_target(model, arrays, target, output=output, batch_size=batch_size)
        self._advance = advance or (lambda count: None)
        self._maps: np.ndarray | None = None
        self.layer: str | None = None  # of a class activation map, once maps are made

    @property
    def maps(self) -> np.ndarray:
        """The maps of the original inputs and target, computed once."""
        if self._maps is None:
            self._maps = self.explain()
        return self._maps

    def base_maps(self, explain: Callable) -> np.ndarray:
        """Return the maps of the original inputs and target by ``explain``; those of the method are computed once."""
        return self.maps if explain == self.explain else explain()

    def explain_first(self) -> None:
        """Explain the first input alone, which traces the graph."""
        target = self.target[:1] if isinstance(self.target, np.ndarray) else self.target
        if not isinstance(self.target, np.ndarray) and not isinstance(self.target, (int, np.integer)):
            return  # an objective may hold parameters of all images
        self._method(self.model, self.inputs[:1], target, **self._settings, **self.options)

    @property
    def is_ordered(self) -> bool:
        """Whether neighboring positions belong together: not in features (N, F) and integer tokens."""
        return self.inputs.ndim > 2 and self.inputs.dtype.kind not in "iu"

    def explain(self, inputs: np.ndarray | None = None, target: Any = None) -> np.ndarray:
        """Return the maps of the method, at the positions of the inputs.

        Of a gradient in the colors of the input, the largest absolute value over the channels is returned.
        """
        arrays = self.inputs if inputs is None else inputs
        target = self.target if target is None else target
        result = self._method(self.model, arrays, target, **self._settings, **self.options)
        maps = result[0] if isinstance(result, tuple) else result
        self.layer = getattr(maps, "layer", None)
        maps = np.asarray(maps)
        if self.spec is not None:
            sides = tuple(size for axis, size in enumerate(arrays.shape) if axis not in (0, self.channels))
            maps = np.stack([self.spec.to_pixels(values, sides, self.options) for values in maps])
        if self.channels is not None and maps.shape == arrays.shape:  # a gradient in the colors of the input
            maps = np.abs(maps).max(axis=self.channels)
        self._advance(len(maps))
        return read_maps(maps)

    def other_classes(self, classes: np.ndarray, seed: int) -> np.ndarray:
        """Return another class for each input, drawn from all other classes with the same probability.

        Raises:
            ValueError: the output has a single class.
        """
        values = output_values(self.model, [self.inputs[:1]], output=self._settings.get("output"))
        count = values.shape[-1] if values.ndim == 2 else 1
        if count < 2:
            raise ValueError(f"model must have an output (N, classes) of several classes, got {values.shape}.")
        return (classes + 1 + np.random.default_rng(seed).integers(count - 1, size=len(classes))) % count

    def controls(self, random_maps: int, seed: int) -> dict[str, list[Callable]]:
        """Return methods without knowledge of the model, as functions like ``explain``.

        "random" returns other maps at each call, with the values and the smoothness of the method's maps; "center" and
        "edges", which exist for inputs with positions, depend on nothing and on the inputs alone.
        """
        if not check_int("random_maps", random_maps, 0):
            return {}
        controls: dict[str, list[Callable]] = {
            "random": [self._random_method(seed + number) for number in range(random_maps)]
        }
        if self.is_ordered and self.maps.shape[1:] == edge_maps(self.inputs[:1], self.channels).shape[1:]:
            controls["center"] = [lambda inputs=None, target=None: center_maps(self.maps.shape)]
            controls["edges"] = [
                lambda inputs=None, target=None: edge_maps(self.inputs if inputs is None else inputs, self.channels)
            ]
        return controls

    def _random_method(self, seed: int) -> Callable:
        calls = 0

        def explain(inputs=None, target=None) -> np.ndarray:
            nonlocal calls
            calls += 1
            return random_maps_like(self.maps, 1000 * seed + calls, is_ordered=self.is_ordered)

        return explain
