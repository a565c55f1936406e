"""The decorator that turns a function of maps into a public metric, and the list of metrics.

    @metric(reference="Petsiuk, Das & Saenko 2018, section 4.1", better="lower")
    def deletion(scorer, maps, *, steps: int = 50):
        \"\"\"Area under the score as the map's strongest positions are removed first.\"\"\"
        return areas, {"curve": curve}

The function returns a value per map, or a tuple of these and a dictionary of details. Its first arguments tell what it
reads: ``scorer, maps`` (``Scorer``: the model's scores of changed inputs), ``maps, truth`` (where the object is),
``maps`` alone, or ``subject, explain`` (``Subject``: a model and inputs; ``explain`` returns their maps by the judged
method). The public metric checks its arguments, computes the same for control maps, and returns an ``Evaluation``.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kerasal.attribution.evaluation.control_maps import center_maps, edge_maps, random_maps_like
from kerasal.attribution.evaluation.judgment import Evaluation
from kerasal.attribution.evaluation.scorer import Scorer, read_maps
from kerasal.attribution.evaluation.subject import Subject
from kerasal.checks import check_int
from kerasal.names import unknown_name_message
from kerasal.progress import progress_bar

_USES = {("scorer", "maps"): "score", ("maps", "truth"): "truth", ("maps",): "", ("subject", "explain"): "method"}

_metrics: dict[str, "MetricSpec"] = {}
_functions: dict[str, Callable] = {}


@dataclasses.dataclass(frozen=True)
class MetricSpec:
    """A metric of attribution maps.

    Attributes:
        name: name of the metric.
        summary: a sentence that describes its values.
        reference: the paper and section that define it.
        better: "higher" or "lower"; "" for a property of maps that is neither good nor bad.
        uses: what it reads besides maps: "score", "truth", "method" (which it runs again), or "" for maps alone.
        control: the control with which its verdict compares: "random", or "edges" for a test that every map passes that
            has nothing to do with the input, and that a map fails that has nothing to do with the model.
        function: the decorated function.
        options: its options, from name to parameter with type and default.
    """

    name: str
    summary: str
    reference: str
    better: str
    uses: str
    control: str
    function: Callable
    options: Mapping[str, inspect.Parameter]

    def evaluate(self, subject: Any, maps: Any, controls: Mapping[str, list], options: Mapping[str, Any]) -> Evaluation:
        """Return the evaluation of maps beside control maps, ``{control: [maps, …]}``, without checks of options.

        ``subject`` is what the function reads besides the maps: a ``Scorer``, a ``Subject``, the truth, or None. Maps
        are functions if the metric runs the method again.
        """
        values, details = self.run(subject, maps, options)
        means = {}
        for control, variants in controls.items():
            means[control] = np.mean([self.run(subject, variant, options)[0] for variant in variants], axis=0)
        return Evaluation(self.name, self.better, values, means, self.control, details)

    def run(self, subject: Any, maps: Any, options: Mapping[str, Any]) -> tuple[np.ndarray, Mapping[str, Any]]:
        """Return the values (N,) and the details for maps."""
        before = {"score": (subject, maps), "method": (subject, maps), "truth": (maps, subject), "": (maps,)}
        result = self.function(*before[self.uses], **options)
        values, details = result if isinstance(result, tuple) else (result, {})
        return np.asarray(values, np.float64), details


def list_metrics() -> list[str]:
    """Return the names of all metrics, sorted."""
    return sorted(_metrics)


def metric_spec(name: str) -> MetricSpec:
    """Return the description, source and options of a metric.

    Raises:
        ValueError: the name is unknown; the error lists the closest names.
    """
    if name not in _metrics:
        raise ValueError(unknown_name_message(name, _metrics, "metric"))
    return _metrics[name]


def metric_function(name: str) -> Callable:
    """Return the public function of a metric, such as ``kerasal.attribution.evaluation.deletion``.

    Raises:
        ValueError: the name is unknown; the error lists the closest names.
    """
    return _functions[metric_spec(name).name]


def metric(*, reference: str, better: str, control: str = "random") -> Callable[[Callable], Callable]:
    """Return a decorator that turns a function of maps into a public metric; see ``MetricSpec`` for the arguments."""

    def decorate(function: Callable) -> Callable:
        signature = inspect.signature(function)
        parts = signature.parameters.values()
        options = {part.name: part for part in parts if part.kind is inspect.Parameter.KEYWORD_ONLY}
        first = tuple(part.name for part in parts if part.kind is not inspect.Parameter.KEYWORD_ONLY)
        text = inspect.getdoc(function) or ""
        summary = text.splitlines()[0]
        spec = MetricSpec(function.__name__, summary, reference, better, _USES[first], control, function, options)
        runner = {"score": _judge_scores, "truth": _judge_places, "": _judge_alone, "method": _judge_method}[spec.uses]

        @functools.wraps(function)
        def judge(*arguments: Any, **keywords: Any) -> Evaluation:
            return runner(spec, *arguments, **keywords)

        public: Any = judge
        shared = list(inspect.signature(runner).parameters.values())[1:-1]  # without the spec and the options
        place = next((i for i, part in enumerate(shared) if part.kind is part.KEYWORD_ONLY), len(shared))
        own = [part for name, part in options.items() if name not in {part.name for part in shared}]
        public.__signature__ = signature.replace(
            parameters=[*shared[:place], *own, *shared[place:]], return_annotation=Evaluation
        )
        public.__doc__ = (
            f"{text}\n\nSource: {reference}. The shared arguments are described in ``kerasal.attribution.evaluation``."
        )
        _metrics[spec.name], _functions[spec.name] = spec, public
        return public

    return decorate


def _judge_scores(
    spec: MetricSpec,
    model,
    inputs,
    maps,
    target=None,
    *,
    random_maps: int = 3,
    seed: int = 0,
    output: str | int | None = None,
    logits: bool = False,
    batch_size: int | None = None,
    progress: bool = False,
    **options,
) -> Evaluation:
    options = _complete_options(spec, options, seed)
    with progress_bar(spec.name.replace("_", " ").capitalize(), None, progress) as advance:
        scorer = Scorer(
            model, inputs, target, output=output, logits=logits, batch_size=batch_size, advance=lambda n: advance(n)
        )
        maps = scorer.read_maps(maps)
        return spec.evaluate(scorer, maps, control_maps(scorer, maps, random_maps, seed), options)


def _judge_places(
    spec: MetricSpec, maps, truth, *, inputs=None, random_maps: int = 3, seed: int = 0, **options
) -> Evaluation:
    options = _complete_options(spec, options, seed)
    maps = read_maps(maps)
    controls = _controls_of(maps, random_maps, seed)
    if inputs is not None:
        controls["edges"] = [_edges_of(inputs, maps.shape)]
    return spec.evaluate(truth, maps, controls if random_maps else {}, options)


def _judge_alone(spec: MetricSpec, maps, *, random_maps: int = 3, seed: int = 0, **options) -> Evaluation:
    options, maps = _complete_options(spec, options, seed), read_maps(maps)
    return spec.evaluate(None, maps, _controls_of(maps, random_maps, seed), options)


def _judge_method(
    spec: MetricSpec,
    model,
    inputs,
    method,
    target=None,
    *,
    method_options: Mapping[str, Any] | None = None,
    random_maps: int = 1,
    seed: int = 0,
    output: str | int | None = None,
    logits: bool = True,
    batch_size: int | None = None,
    progress: bool = False,
    **options,
) -> Evaluation:
    options = _complete_options(spec, options, seed)
    with progress_bar(spec.name.replace("_", " ").capitalize(), None, progress) as advance:
        subject = Subject(
            model,
            inputs,
            method,
            target,
            options=method_options,
            output=output,
            logits=logits,
            batch_size=batch_size,
            advance=lambda n: advance(n),
        )
        return spec.evaluate(subject, subject.explain, subject.controls(random_maps, seed), options)


def control_maps(scorer: Scorer, maps: np.ndarray, random_maps: int, seed: int) -> dict[str, list[np.ndarray]]:
    """Return the control maps of checked maps: ``random_maps`` random ones, and for images the center and the edges."""
    if not check_int("random_maps", random_maps, 0):
        return {}
    controls = _controls_of(maps, random_maps, seed, is_ordered=scorer.is_ordered)
    if scorer.is_ordered:
        controls["edges"] = [edge_maps(scorer.inputs, scorer.channels)]
    return controls


def _controls_of(maps: np.ndarray, random_maps: int, seed: int, *, is_ordered: bool = True) -> dict[str, list]:
    if not check_int("random_maps", random_maps, 0):
        return {}
    variants = [random_maps_like(maps, seed + number, is_ordered=is_ordered) for number in range(random_maps)]
    return {"random": variants} | ({"center": [center_maps(maps.shape)]} if is_ordered else {})


def _edges_of(inputs: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return the edges of inputs whose channels are last, first or missing, told from the shape of their maps."""
    array = np.asarray(inputs)
    for channels in (None, array.ndim - 1, 1):
        rest = array.shape if channels is None else (*array.shape[:channels], *array.shape[channels + 1 :])
        if rest == shape:
            return edge_maps(array, channels)
    raise ValueError(
        f"inputs must have the positions of the maps {shape}, with or without channels, got {array.shape}."
    )


def _complete_options(spec: MetricSpec, options: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return all options with their defaults, and the seed where the metric draws; raise for an unknown name."""
    check_int("seed", seed, 0)
    for name in options:
        if name not in spec.options:
            raise TypeError(unknown_name_message(name, spec.options, "option", f" of {spec.name}"))
    drawn = {"seed": seed} if "seed" in spec.options else {}
    return {name: options.get(name, part.default) for name, part in spec.options.items()} | drawn
