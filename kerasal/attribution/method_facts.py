"""``MethodSpec``: what an attribution method is, and how its maps are read."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kerasal.hooks.held_inputs import explained_numbers, starts_at_layer
from kerasal.hooks.view import View

FAMILIES: Mapping[str, str] = {
    "gradient": "Gradients: what the score reacts to",
    "path": "Paths: gradients from a baseline to the input",
    "cam": "Class activation maps: where, roughly",
    "perturbation": "Perturbations: change the input and measure",
    "attention": "Attention: what a transformer reads",
    "relevance": "Relevance: the score, passed back layer by layer",
    "": "Other methods",
}


@dataclasses.dataclass(frozen=True)
class MethodSpec:
    """An attribution method: its description, source, options and graph function.

    Attributes:
        name: name of the method.
        summary: a sentence that describes its maps.
        reference: the paper and section that define it.
        signed: whether negative values of its maps are meaningful, with its default options.
        function: the graph function, ``(view, **options) -> list of tensors``; its images are always channels last.
        options: its options, from name to parameter with type and default.
        any_size: whether it takes images of another size than the model and crops them itself.
        separate_sizes: whether each image size needs a separate trace.
        own_options: ``own_options(options, model, arrays)`` returns the options of each image, a list, if an option
            holds a value for each, such as its segments; else None.
        run_context: ``run_context(options, model, arrays)`` returns a context manager in which the graph is run; its
            options are a list if they differ between images.
        finish: ``finish(maps, options)`` returns the maps in their final form.
        on_pixels: ``on_pixels(map, (H, W), options)`` returns the map at the size of its image, or of another input.
        has_sign: ``has_sign(options)`` returns ``signed`` for other options, where they change it.
        if_zero: likely cause of a map of zeros whose gradient is not 0.
        check: ``check(view)`` runs the part of the function that fails for a model that the method does not work on;
            by default the gradient of the score.
        question: the question that its maps answer, a key of ``questions.QUESTIONS``, or "" for a question of its own.
        trust: a sentence that says when to trust its maps.
        family: how its maps are computed, a key of ``FAMILIES``, or "" for another way.
        passes: its cost in passes of the model, a format string with its options, such as "{steps} + 1 passes"; a pass
            is a forward and backward pass.
        compared: whether ``compare_methods`` shows it by default.
        needs: what a model must have besides a score, "attention" or "".
        with_positions: whether it explains inputs with positions only, and holds features (N, F) beside them fixed.
        at_layer: whether its option ``layer`` names a layer whose output takes the place of the inputs; the function
            then sees that output as its only input, and None as ``layer``.
    """

    name: str
    summary: str
    reference: str
    signed: bool
    function: Callable
    options: dict[str, inspect.Parameter]
    any_size: bool = False
    separate_sizes: bool = False
    own_options: Callable | None = None
    run_context: Callable | None = None
    finish: Callable | None = None
    on_pixels: Callable | None = None
    has_sign: Callable | None = None
    if_zero: str = ""
    check: Callable = View.gradient
    question: str = ""
    trust: str = ""
    family: str = ""
    passes: str = ""
    compared: bool = True
    needs: str = ""
    with_positions: bool = False
    at_layer: bool = False

    def explained_numbers(self, model, arrays: Sequence[Any], options: Mapping[str, Any]) -> list[int] | None:
        """Return the numbers of the inputs that get maps; None if a layer's output takes their place.

        Raises:
            ValueError: all inputs are integers, which have no gradient.
        """
        if starts_at_layer(self.at_layer, options):
            return None
        return explained_numbers(model, arrays, with_positions=self.with_positions)

    def to_pixels(self, values: np.ndarray, size: tuple[int, ...], options: Mapping[str, Any]) -> np.ndarray:
        """Return a map at the size (height, width) of its image if the method defines this, else the map as it is.

        ``size`` holds the positions of the input: (T,) of a signal, (depth, height, width) of a volume.
        """
        return values if self.on_pixels is None else self.on_pixels(values, size, self._all_options(options))

    def extra_name(self, options: Mapping[str, Any]) -> str | None:
        """Return the name of the number per input that follows the map: "gap" or "standard_error", or None.

        A completeness gap has the unit of the score, a standard error is a share of the map's largest absolute value.
        """
        chosen, names = self._all_options(options), {"return_gap": "gap", "return_error": "standard_error"}
        return next((name for option, name in names.items() if chosen.get(option)), None)

    def cost(self, options: Mapping[str, Any]) -> str:
        """Return the cost of a map with these options, such as "51 passes"; "" where it is unknown."""
        return self.passes.format_map(self._all_options(options))

    def is_signed(self, options: Mapping[str, Any]) -> bool:
        """Return whether negative values of maps that were made with these options are meaningful.

        A sum over channels or a drop of the score has a sign; a magnitude or an activation has none.
        """
        return self.signed if self.has_sign is None else self.has_sign(self._all_options(options))

    def _all_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {**{name: parameter.default for name, parameter in self.options.items()}, **options}
