"""What makes a graph function a method: checks, batches, one trace a model, NumPy out, a row in the list, a command.

    @method(reference="Simonyan et al. 2013, section 3")
    def class_saliency(view, *, channel_reduction: Literal["max_abs", "mean_abs"] = "max_abs"):
        \"\"\"One line that says what the map shows.\"\"\"
        return [reduce_channels(gradient, channel_reduction) for gradient in view.gradient()]

A method takes a ``View`` and typed keyword-only options, and returns one tensor for each input of the model; what it
notes in ``view.notes`` becomes attributes of the maps.
"""

import contextlib
import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from kerasal.attribution.compiled import CompiledMethod
from kerasal.attribution.map_notes import named, warn_of_zero_maps
from kerasal.checks import check_int
from kerasal.hooks.layout import channels_last
from kerasal.hooks.model_inputs import conform, unpack
from kerasal.hooks.trace import run_batches
from kerasal.hooks.view import Settings
from kerasal.names import unknown_name_message
from kerasal.objectives.targets import resolve

import keras


@dataclasses.dataclass(frozen=True)
class MethodSpec:
    """A row of the list of methods: what it shows, where it is from, and its options with their types and defaults.

    ``function`` sees images channels last, whatever the model takes.

    ``any_size`` takes images of another size than the model does, and cuts them itself; ``own_size`` traces each size
    of image apart; ``around(options, model, arrays)`` is a context in which the graph is run; ``finish(maps, options)``
    has the last word; ``on_pixels(map, (H, W), options)`` makes a map as large as its image; ``if_zero`` says what a
    map of zeros means where the gradient is not 0.
    """

    name: str
    summary: str
    reference: str
    signed: bool
    function: Callable
    options: dict[str, inspect.Parameter]
    any_size: bool = False
    own_size: bool = False
    around: Callable | None = None
    finish: Callable | None = None
    on_pixels: Callable | None = None
    if_zero: str = ""

    def to_pixels(self, values: np.ndarray, size: tuple[int, int], options: Mapping[str, Any]) -> np.ndarray:
        """Return a map that is as large as its image, (height, width), where the method knows how; else the map."""
        if self.on_pixels is None:
            return values
        defaults = {name: parameter.default for name, parameter in self.options.items()}
        return self.on_pixels(values, size, {**defaults, **options})


_methods: dict[str, MethodSpec] = {}
_functions: dict[str, Callable] = {}


def list_methods() -> list[str]:
    """List the names of all attribution methods, sorted."""
    return sorted(_methods)


def method_spec(name: str) -> MethodSpec:
    """Return what is known of a method.

    Raises:
        ValueError: no method has that name; the closest are listed.
    """
    if name not in _methods:
        raise ValueError(unknown_name_message(name, _methods, "attribution method"))
    return _methods[name]


def method_function(name: str) -> Callable:
    """Return the public function of a method.

    Raises:
        ValueError: no method has that name; the closest are listed.
    """
    return _functions[method_spec(name).name]


def method(*, reference: str, signed: bool = False, **special: Any) -> Callable[[Callable], Callable]:
    """Make a graph function a public method; ``signed`` says whether negative values in its maps mean something.

    ``special`` is for what few methods need: see ``MethodSpec``.
    """

    def decorate(function: Callable) -> Callable:
        options = {
            name: parameter.replace(annotation=typing.get_type_hints(function).get(name, parameter.annotation))
            for name, parameter in inspect.signature(function).parameters.items()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        }
        # The caller gives a model; the view of it is made here.
        lines = [line for line in (inspect.getdoc(function) or "").splitlines() if not line.strip().startswith("view:")]
        graph, text = channels_last(function), "\n".join(lines)
        spec = MethodSpec(function.__name__, lines[0], reference, signed, graph, options, **special)

        def attribute(
            model: keras.Model,
            inputs: Any,
            target: Any = None,
            *,
            output: str | int | None = None,
            logits: bool = True,
            batch_size: int | None = None,
            **chosen: Any,
        ) -> np.ndarray:
            return _attribute(spec, model, inputs, target, output, logits, batch_size, chosen)

        def compiled(
            model: keras.Model, *, output: str | int | None = None, logits: bool = True, **chosen: Any
        ) -> CompiledMethod:
            return CompiledMethod(spec, model, output, logits, _checked(spec, chosen))

        signature = inspect.signature(attribute)
        *shared, _ = signature.parameters.values()  # the method's own options in the place of the last
        public: Any = functools.wraps(function)(attribute)
        public.compiled = compiled
        public.__signature__ = signature.replace(parameters=[*shared[:3], *options.values(), *shared[3:]])
        public.__doc__ = f"{text}\n\nSource: {reference}. Shared arguments: ``kerasal.attribution``."
        compiled.__doc__ = (
            f"Return ``{spec.name}`` of one model as a ``tf.Module``: tensors in, tensors out, no checks."
        )
        _methods[spec.name], _functions[spec.name] = spec, public
        return public

    return decorate


def _attribute(spec, model, inputs, target, output, logits, batch_size, chosen) -> Any:
    """Check, cut into chunks, run, and join: the body of every method."""
    options = _checked(spec, chosen)
    if not isinstance(logits, (bool, np.bool_)):
        raise TypeError(f"logits is True or False. Received: {logits!r}.")
    arrays = conform(model, inputs, any_size=spec.any_size)
    images = len(arrays[0])
    objective = resolve(target, images)
    rows = images if batch_size is None else check_int("batch_size", batch_size, none="None")
    if rows < images and objective.loops_over_batch:
        raise ValueError(f"A tf-keras-vis score is for a whole batch; leave batch_size out. Received: {batch_size}.")
    settings = Settings(output, bool(logits)).for_inputs(inputs)
    how = {"batch_size": batch_size, "declared": not (spec.any_size or spec.own_size)}
    with spec.around(options, model, arrays) if spec.around else contextlib.nullcontext():
        results, trace = run_batches(spec.function, model, arrays, objective, settings, options, **how)
    for number, one in enumerate(results):
        _check_finite(spec.name, one, f" at input {number} of {len(arrays)}" if len(arrays) > 1 else "")
    # What a method returns beyond one map an input, such as a gap, is (N,) and follows the maps.
    maps = [named(one, trace.notes, number) for number, one in enumerate(results[: len(arrays)])]
    more = results[len(arrays) :]
    if spec.finish:
        maps = [spec.finish(one, options) for one in maps]
    warn_of_zero_maps(spec, maps, model, objective, arrays, settings, batch_size)
    return (unpack(model, maps, inputs), *more) if more else unpack(model, maps, inputs)


def _checked(spec: MethodSpec, chosen: dict[str, Any]) -> dict[str, Any]:
    """Fill in the defaults; refuse an unknown option or a value that is none of its choices."""
    for name, value in chosen.items():
        if name not in spec.options:
            names = [*spec.options, "output", "logits", "batch_size"]
            raise TypeError(unknown_name_message(name, names, "option", f" of {spec.name}"))
        annotation = spec.options[name].annotation
        if typing.get_origin(annotation) is Literal and value not in typing.get_args(annotation):
            raise ValueError(f"{name} is one of {typing.get_args(annotation)}. Received: {value!r}.")
        if not _fits(value, annotation):
            raise TypeError(f"{name} is {_said(annotation)}. Received: {value!r}.")
    return {name: chosen.get(name, parameter.default) for name, parameter in spec.options.items()}


def _fits(value: Any, annotation: Any) -> bool:
    """Tell whether a value is of the kind that an option says; NumPy's numbers are numbers."""
    if annotation is Any or np.ndarray in typing.get_args(annotation):
        return True  # the method itself looks at its shape
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return any(_fits(value, one) for one in typing.get_args(annotation))
    if typing.get_origin(annotation) is Literal:
        return isinstance(value, (str, bool)) and value in typing.get_args(annotation)
    if typing.get_origin(annotation) is tuple:
        kinds = typing.get_args(annotation)
        return np.ndim(value) == 1 and len(value) == len(kinds) and all(map(_fits, value, kinds))
    kinds = {int: (int, np.integer), float: (int, float, np.integer, np.floating), bool: (bool, np.bool_)}
    is_bool = isinstance(value, (bool, np.bool_))
    return isinstance(value, kinds.get(annotation, annotation)) and (annotation is bool) == is_bool


def _said(annotation: Any) -> str:
    words = {int: "a whole number", float: "a number", bool: "True or False", str: "a name", types.NoneType: "None"}
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return " or ".join(map(_said, typing.get_args(annotation)))
    if typing.get_origin(annotation) is Literal:
        return " or ".join(map(repr, typing.get_args(annotation)))
    if typing.get_origin(annotation) is tuple:
        return f"({', '.join(map(_said, typing.get_args(annotation)))})"
    return words.get(annotation, str(annotation))


def _check_finite(name: str, maps: np.ndarray, of: str) -> None:
    bad = np.flatnonzero(~np.isfinite(maps).reshape(len(maps), -1).all(axis=1))
    if bad.size:
        raise ValueError(
            f"{name} gave NaN or infinite values{of} for {bad.size} of {len(maps)} images, first for image {bad[0]}: "
            "the model overflows there, divides by 0 or has no derivative, as a root at 0. Check its weights, the "
            "preprocessing and, under mixed precision, try float32."
        )
