"""The decorator that turns a graph function into a public attribution method, and the list of methods.

    @method(reference="Simonyan et al. 2013, section 3")
    def class_saliency(view, *, channel_reduction: Literal["max_abs", "mean_abs"] = "max_abs"):
        \"\"\"Sensitivity of the score to each pixel: its absolute gradient, largest over channels.\"\"\"
        return [reduce_channels(gradient, channel_reduction) for gradient in view.gradient()]

The graph function takes a ``View`` and typed keyword-only options, and returns a tensor for each input of the model.
Its ``view.notes`` become attributes of the maps. The public method checks its arguments, runs in batches with one trace
per model, and returns NumPy arrays. The first line of the docstring is the caption of the map wherever methods are
listed. The entry of an option in its Args section is also the help text of the option's command-line flag.
"""

import contextlib
import functools
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from kerasal.attribution.compiled import CompiledMethod
from kerasal.attribution.map_notes import attach_notes, warn_of_tolerance, warn_of_zero_maps
from kerasal.attribution.method_facts import MethodSpec
from kerasal.checks import check_int
from kerasal.hooks.held_inputs import explain_inputs
from kerasal.hooks.model_inputs import conform, unpack
from kerasal.hooks.paths import find
from kerasal.hooks.trace import run_batches
from kerasal.hooks.view import Settings
from kerasal.names import unknown_name_message
from kerasal.objectives.targets import resolve

import keras

_methods: dict[str, MethodSpec] = {}
_functions: dict[str, Callable] = {}


def list_methods() -> list[str]:
    """Return the names of all attribution methods, sorted."""
    return sorted(_methods)


def method_spec(name: str) -> MethodSpec:
    """Return the description, source and options of a method.

    Raises:
        ValueError: the name is unknown; the error lists the closest names.
    """
    if name not in _methods:
        raise ValueError(unknown_name_message(name, _methods, "attribution method"))
    return _methods[name]


def method_function(name: str) -> Callable:
    """Return the public function of a method, such as ``kerasal.attribution.gradcam``.

    Raises:
        ValueError: the name is unknown; the error lists the closest names.
    """
    return _functions[method_spec(name).name]


def method(*, reference: str, signed: bool = False, **special: Any) -> Callable[[Callable], Callable]:
    """Return a decorator that turns a graph function into a public attribution method.

    Args:
        reference: the paper and section that define the method.
        signed: whether negative values of its maps are meaningful.
        **special: further fields of ``MethodSpec``, which few methods need.
    """

    def decorate(function: Callable) -> Callable:
        options = {
            name: parameter.replace(annotation=typing.get_type_hints(function).get(name, parameter.annotation))
            for name, parameter in inspect.signature(function).parameters.items()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        }
        # The public method has no parameter view, because it makes the view from the caller's model.
        lines = [line for line in (inspect.getdoc(function) or "").splitlines() if not line.strip().startswith("view:")]
        graph = explain_inputs(
            function, with_positions=special.get("with_positions", False), at_layer=special.get("at_layer", False)
        )
        text = "\n".join(lines)
        spec = MethodSpec(function.__name__, lines[0], reference, signed, graph, options, **special)

        def attribute(
            model: keras.Model,
            inputs: Any,
            target: Any = None,
            *,
            output: str | int | None = None,
            logits: bool = True,
            batch_size: int | None = None,
            **method_options: Any,
        ) -> np.ndarray:
            return _run_method(spec, model, inputs, target, output, logits, batch_size, method_options)

        def compiled(
            model: keras.Model, *, output: str | int | None = None, logits: bool = True, **method_options: Any
        ) -> CompiledMethod:
            return CompiledMethod(spec, model, output, logits, _complete_options(spec, method_options))

        signature = inspect.signature(attribute)
        *shared, _ = signature.parameters.values()  # the last, **method_options, is replaced by the options
        public: Any = functools.wraps(function)(attribute)
        public.compiled = compiled
        public.__signature__ = signature.replace(parameters=[*shared[:3], *options.values(), *shared[3:]])
        public.__doc__ = (
            f"{text}\n\nSource: {reference}. The shared arguments are described in ``kerasal.attribution``."
        )
        compiled.__doc__ = f"Return ``{spec.name}`` of a fixed model as a ``tf.Module`` on tensors, without checks."
        _methods[spec.name], _functions[spec.name] = spec, public
        return public

    return decorate


def _run_method(spec, model, inputs, target, output, logits, batch_size, method_options) -> Any:
    """Check the arguments, run the graph in batches and return the maps: the body of every public method."""
    options = _complete_options(spec, method_options)
    shows_error = options.get("return_error", True)
    if options.get("tolerance") is not None:
        options["return_error"] = True  # to warn if the tolerance is not reached
    if not isinstance(logits, (bool, np.bool_)):
        raise TypeError(f"logits must be True or False, got {logits!r}.")
    arrays = conform(model, inputs, any_size=spec.any_size, integers=True)
    explained = spec.explained_numbers(model, arrays, options)
    images = len(arrays[0])
    objective = resolve(target, images)
    rows = images if batch_size is None else check_int("batch_size", batch_size, none="None")
    if rows < images and objective.loops_over_batch:
        raise ValueError(
            f"batch_size must be None with a tf-keras-vis score, which needs all images in a batch, got {batch_size}."
        )
    for layer in (*objective.layers, options.get("layer")):  # before the tracing, which takes seconds
        if layer is not None:
            find(model, layer)
    settings = Settings(output, bool(logits)).for_inputs(inputs)
    each = spec.own_options(options, model, arrays) if spec.own_options else None
    if each and objective.loops_over_batch and images > 1:
        raise ValueError(
            "Options must be the same for all images with a tf-keras-vis score, which needs all images in a batch, got "
            "options per image, such as segments."
        )
    run_options = {"batch_size": batch_size, "declared": not (spec.any_size or spec.separate_sizes)}
    with spec.run_context(each or options, model, arrays) if spec.run_context else contextlib.nullcontext():
        results, trace = run_batches(spec.function, model, arrays, objective, settings, each or options, **run_options)
    count = 1 if explained is None else len(explained)
    # Results after the maps of all inputs, such as a completeness gap, are (N,) and are returned as they are.
    maps, extras = results[:count], results[count:]
    for place, result in enumerate(results):
        of = f" at input {explained[place]} of {len(arrays)}" if explained and 1 < count > place else ""
        _check_finite(spec.name, result, of)
    maps = [attach_notes(array, trace.notes, place) for place, array in enumerate(maps)]
    if spec.finish:
        maps = [spec.finish(array, options) for array in maps]
    if options.get("tolerance") is not None:
        warn_of_tolerance(spec.name, options["tolerance"], extras)
        extras = extras if shows_error else []
    warn_of_zero_maps(spec, maps, explained, model, objective, arrays, settings, batch_size)
    if explained is None:
        shown = maps[0]
    else:
        by_number = dict(zip(explained, maps, strict=True))
        shown = unpack(model, [by_number.get(number) for number in range(len(arrays))], inputs)
    return (shown, *extras) if extras else shown


def _complete_options(spec: MethodSpec, method_options: dict[str, Any]) -> dict[str, Any]:
    """Return all options with defaults filled in; raise for an unknown name or a value of the wrong type."""
    for name, value in method_options.items():
        if name not in spec.options:
            names = [*spec.options, "output", "logits", "batch_size"]
            raise TypeError(unknown_name_message(name, names, "option", f" of {spec.name}"))
        annotation = spec.options[name].annotation
        if typing.get_origin(annotation) is Literal and value not in typing.get_args(annotation):
            raise ValueError(
                f"{name} must be one of {', '.join(map(repr, typing.get_args(annotation)))}, got {value!r}."
            )
        if not _has_type(value, annotation):
            raise TypeError(f"{name} must be {_describe_type(annotation)}, got {value!r}.")
    return {name: method_options.get(name, parameter.default) for name, parameter in spec.options.items()}


def _has_type(value: Any, annotation: Any) -> bool:
    """Return whether a value has the type of an annotation; NumPy's numbers count as numbers."""
    if annotation is Any or np.ndarray in typing.get_args(annotation):
        return True  # the method checks the array itself
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return any(_has_type(value, kind) for kind in typing.get_args(annotation))
    if typing.get_origin(annotation) is Literal:
        return isinstance(value, (str, bool)) and value in typing.get_args(annotation)
    if typing.get_origin(annotation) is tuple:
        kinds = typing.get_args(annotation)
        if kinds[-1] is ...:
            return np.ndim(value) == 1 and all(_has_type(part, kinds[0]) for part in value)
        return np.ndim(value) == 1 and len(value) == len(kinds) and all(map(_has_type, value, kinds))
    kinds = {int: (int, np.integer), float: (int, float, np.integer, np.floating), bool: (bool, np.bool_)}
    is_bool = isinstance(value, (bool, np.bool_))
    return isinstance(value, kinds.get(annotation, annotation)) and (annotation is bool) == is_bool


def _describe_type(annotation: Any) -> str:
    words = {int: "an integer", float: "a number", bool: "True or False", str: "a string", types.NoneType: "None"}
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return " or ".join(map(_describe_type, typing.get_args(annotation)))
    if typing.get_origin(annotation) is Literal:
        return " or ".join(map(repr, typing.get_args(annotation)))
    if typing.get_origin(annotation) is tuple and typing.get_args(annotation)[-1] is ...:
        return "one per axis" if typing.get_args(annotation)[0] is int else "one per channel"
    if typing.get_origin(annotation) is tuple:
        return f"({', '.join(map(_describe_type, typing.get_args(annotation)))})"
    return words.get(annotation, str(annotation))


def _check_finite(name: str, maps: np.ndarray, of: str) -> None:
    bad = np.flatnonzero(~np.isfinite(maps).reshape(len(maps), -1).all(axis=1))
    if bad.size:
        raise ValueError(
            f"{name} returned NaN or infinite values{of} for {bad.size} of {len(maps)} images, the first at image "
            f"{bad[0]}: the model overflows there, divides by 0 or has no derivative, as a square root at 0. "
            "Check its weights and the preprocessing; with mixed precision, try float32."
        )
