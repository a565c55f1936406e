"""The maps of a method, measured by metrics: a row that can be stored in a journal."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasal.attribution.evaluation import Evaluation, Scorer, Subject, metric_spec
from kerasal.attribution.evaluation.localization_metrics import read_truth
from kerasal.attribution.evaluation.metric import control_maps


class Measurements:
    """What all methods share: the model, the inputs, the scores of changed inputs, and the settings of the metrics.

    Args:
        scorer: the scores of changed inputs, shared by all metrics and methods.
        logits: whether maps explain the score before the softmax, as the methods do by default.
        output, batch_size: as for the methods.
        metrics: ``{metric: options}``.
        truth: where the object is, for metrics of places; else None.
        random_maps: number of random maps per image and method.
        seed: seed of the random maps and of what metrics draw.
    """

    def __init__(
        self,
        scorer: Scorer,
        metrics: Mapping[str, Mapping[str, Any]],
        *,
        truth: Any = None,
        random_maps: int = 1,
        seed: int = 0,
        logits: bool = True,
        output: str | int | None = None,
        batch_size: int | None = None,
    ):
        self.scorer, self.random_maps, self.seed = scorer, random_maps, seed
        self.truth = None if truth is None else read_truth(truth, (len(scorer.inputs), *scorer.positions))
        self.metrics = {name: _complete_options(name, options, seed) for name, options in metrics.items()}
        self._settings = {"output": output, "logits": logits, "batch_size": batch_size}

    def subject(self, method: str, options: Mapping[str, Any]) -> Subject:
        """Return a method with the model and the inputs."""
        scorer = self.scorer
        return Subject(scorer.model, scorer.inputs, method, scorer.target, options=options, **self._settings)

    def measure(self, method: str, options: Mapping[str, Any], *, with_controls: bool = True) -> dict[str, Any]:
        """Return the seconds per image and the evaluations of a method, as a dictionary that JSON can hold.

        Raises:
            ValueError: the method does not work on the model.
        """
        subject = self.subject(method, options)
        subject.explain_first()  # traces the graph, which is no cost per image
        start = time.perf_counter()
        maps = subject.maps
        seconds = (time.perf_counter() - start) / len(maps)
        if maps.shape[1:] != self.scorer.positions:
            raise ValueError(
                f"{method} must return a value per position, {self.scorer.positions}, to be ranked, got "
                f"{maps.shape[1:]}. Reduce its channels."
            )
        rows = {}
        for name, metric_options in self.metrics.items():
            result = self._evaluate(name, metric_options, subject, maps, with_controls)
            controls = {control: values.tolist() for control, values in result.controls.items()}
            rows[name] = {"values": result.values.tolist(), "controls": controls}
        return {"seconds": seconds, "layer": subject.layer, "metrics": rows}

    def _evaluate(self, name: str, options, subject: Subject, maps: np.ndarray, with_controls: bool) -> Evaluation:
        spec = metric_spec(name)
        if spec.uses == "method":
            controls = subject.controls(self.random_maps, self.seed) if with_controls else {}
            return spec.evaluate(subject, subject.explain, controls, options)
        controls = control_maps(self.scorer, maps, self.random_maps, self.seed) if with_controls else {}
        return spec.evaluate(self.scorer if spec.uses == "score" else self.truth, maps, controls, options)


def read_evaluation(metric: str, row: Mapping[str, Any]) -> Evaluation:
    """Return the evaluation that a row of ``measure`` holds."""
    spec = metric_spec(metric)
    values = np.array(row["values"], float)
    controls = {name: np.array(values, float) for name, values in row["controls"].items()}
    return Evaluation(metric, spec.better, values, controls, spec.control)


def _complete_options(metric: str, options: Mapping[str, Any], seed: int) -> dict[str, Any]:
    spec = metric_spec(metric)
    drawn = {"seed": seed} if "seed" in spec.options else {}
    return {name: options.get(name, part.default) for name, part in spec.options.items()} | drawn
