"""Score a gaze model on a data set: the metrics of benchmark and coursework, beside the center and the mean map."""

import warnings

import numpy as np
import pandas as pd

from kerasal.datasets.gaze_dataset import GazeDataset
from kerasal.gaze.gaze_prediction import complete
from kerasal.gaze.predictor import Postprocess, Predictor
from kerasal.metrics import coursework_metrics
from kerasal.metrics._fixations import Fixations, as_fixations
from kerasal.metrics.blur import BASELINES, MeanMap, center_map
from kerasal.metrics.definitions import PRESETS, resolve_metrics
from kerasal.metrics.image_scorer import Scorer, check_baselines, sample_other_fixations, unite_fixations
from kerasal.progress import progress_bar

COURSEWORK_SHAPE = (480, 640)
"""(H, W) of the images for which the coursework's blurs, 2 and 19 pixels, are meant; fixations are scaled to it."""

_ERRORS = (ValueError, OSError)
_AVAILABLE = {"fixations", "baseline", "others", "density"}


def evaluate(
    predictor: Predictor,
    data: GazeDataset,
    *,
    postprocess: Postprocess = "examiners",
    metrics: str = "mit",
    baselines: tuple[str, ...] = ("center", "mean"),
    sigma: float | None = None,
    legacy: bool = False,
    seed: int = 0,
    batch_size: int = 16,
    progress: bool = False,
) -> pd.DataFrame:
    """Score the maps of a model: a table of one row per image; what could not be read is under ``error``.

    Args:
        predictor: the model.
        data: a ``GazeDataset`` with fixations.
        postprocess: how the maps are brought to the images' size for ``metrics``; see ``finish``. Values below 0
            count as 0. The coursework's definition has its own way.
        metrics: a preset of ``kerasal.metrics``.
        baselines: scored like the maps, in columns ``center_...`` and ``mean_...``. The mean is that of the other
            images of ``data``.
        sigma: blur of the fixations for the metrics of densities, in pixels of the image; by default the data set's own
            densities, or 3 % of its width (24 of OSIE's 800, 19 of the coursework's 640).
        legacy: the coursework's definition with the original run's accidents; see ``coursework_scores``.
        seed: of the ten other images of the shuffled AUC.
        batch_size: images at a time.
        progress: show a bar.

    Returns:
        A DataFrame with the preset's columns, ``coursework_cc``, ``coursework_auc_shuffled``, ``coursework_auc_borji``,
        the baselines of all, and ``error``. ``attrs["definitions"]`` says what every column is.

    Raises:
        ValueError: unknown options; no image that could be scored.
    """
    everyone, position, errors = _read_fixations(data)
    if not everyone:
        raise ValueError(f"None of the {len(data)} images can be scored. {_quote_first(errors)}")
    scorer = Scorer(resolve_metrics(PRESETS[metrics], _AVAILABLE), check_baselines(baselines), resize="matlab")
    alone = len(everyone) == 1
    scorer = scorer.without_others() if alone else scorer
    mean = MeanMap(everyone)
    rows: dict[str, dict] = {}
    with progress_bar("Scoring", len(position), progress) as advance:
        for name, raw in _predict_raw(predictor, data, list(position), errors, batch_size):
            fixated = everyone[position[name]]
            others = sample_other_fixations(everyone, position[name], seed)
            try:
                shown = np.maximum(complete(predictor, raw, fixated.shape, postprocess).map, 0)
                density = np.asarray(data.density(name, sigma=sigma))
                row = scorer.score(shown, fixated, density, others=others, mean=mean, name=name)
                row |= {} if alone else _score_coursework(raw, fixated, others, mean, scorer.baselines, legacy, name)
                rows[name] = {**row, "error": None}
            except _ERRORS as error:
                errors[name] = str(error)
            advance(1)
    if not rows:
        raise ValueError(f"None of the {len(data)} images could be scored. {_quote_first(errors)}")
    rows |= {name: {"error": reason} for name, reason in errors.items()}
    definitions = _describe_columns(scorer, sigma, legacy, alone)
    table = pd.DataFrame.from_dict({name: rows[name] for name in data.names}, orient="index")
    table = table.reindex(columns=[*definitions, "error"])
    table.index.name = "image"
    table.attrs = {"definitions": definitions, "seed": seed, "postprocess": postprocess, "metrics": metrics}
    return table


def _read_fixations(data) -> tuple[list[Fixations], dict[str, int], dict[str, str]]:
    """Read the fixations of all images; return them, each image's place among them, and why others have none."""
    everyone, position, errors = [], {}, {}
    for name in data.names:
        try:
            fixated = as_fixations(data.fixation_map(name), None, "fixations", name)
        except _ERRORS as error:
            errors[name] = str(error)
            continue
        position[name] = len(everyone)
        everyone.append(fixated)
    return everyone, position, errors


def _predict_raw(predictor: Predictor, data, names: list[str], errors: dict[str, str], batch_size: int):
    """Yield (name, the model's own map); an image that cannot be read goes to ``errors``."""
    for start in range(0, len(names), batch_size):
        read = {}
        for name in names[start : start + batch_size]:
            try:
                read[name] = data.image(name)
            except _ERRORS as error:
                errors[name] = str(error)
        yield from zip(read, predictor.raw(read.values(), batch_size), strict=True)


def _score_coursework(raw, fixated, others, mean, baselines, legacy, name) -> dict[str, float]:
    """Score a map and the baselines by the examiners' script, on its 640 x 480 pixels."""
    scaled = unite_fixations([fixated], COURSEWORK_SHAPE)
    pool = others(COURSEWORK_SHAPE)
    found = {}
    for prefix, prediction in (("", raw), *((f"{one}_", _make_baseline(one, fixated, mean)) for one in baselines)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a constant map: its correlation is NaN in the table
            scores = coursework_metrics.coursework_scores(
                prediction, scaled, pool, legacy=legacy and not prefix, name=name
            )
        found |= {f"{prefix}coursework_{key}": value for key, value in scores.items()}
    return found


def _make_baseline(which: str, fixated: Fixations, mean: MeanMap) -> np.ndarray:
    values = center_map(COURSEWORK_SHAPE) if which == "center" else mean.mean_of_others(fixated)
    return values / values.max()


def _describe_columns(scorer: Scorer, sigma: float | None, legacy: bool, alone: bool) -> dict[str, str]:
    dense = [column for column, metric in scorer.metrics.items() if "density" in metric.needs]
    blur = (
        "the data set's own, or fixations blurred by 3 % of the width" if sigma is None else f"blurred by {sigma:g} px"
    )
    texts = {
        column: text + (f"; density: {blur}" if column.split("_", 1)[-1] in dense or column in dense else "")
        for column, text in scorer.columns.items()
    }
    for prefix in () if alone else ("", *(f"{one}_" for one in scorer.baselines)):
        of = f", of {BASELINES[prefix[:-1]]}" if prefix else "; legacy: values wrapped, nearest pixel" if legacy else ""
        for key, text in coursework_metrics.DEFINITIONS.items():
            texts[f"{prefix}coursework_{key}"] = f"{text}, on {COURSEWORK_SHAPE[1]} x {COURSEWORK_SHAPE[0]} pixels{of}"
    return texts


def _quote_first(errors: dict[str, str]) -> str:
    name, reason = next(iter(errors.items()))
    return reason if name in reason else f"{name}: {reason}"
