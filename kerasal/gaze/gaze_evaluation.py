"""Scores of a gaze model, of two baselines, center and mean map, and of the ceiling, the other observers."""

import warnings

import numpy as np
import pandas as pd

from kerasal.datasets.gaze_dataset import GazeDataset
from kerasal.gaze.gaze_prediction import finish_prediction
from kerasal.gaze.observer_ceiling import GAIN, Ceiling, NoCeiling, explained_share, measure_gain, score_ceiling
from kerasal.gaze.predictor import Postprocess, Predictor
from kerasal.metrics import coursework_metrics
from kerasal.metrics._fixations import Fixations, as_fixations
from kerasal.metrics.blur import BASELINES, MeanMap, center_map
from kerasal.metrics.definitions import PRESETS, resolve_metrics
from kerasal.metrics.image_scorer import Scorer, check_baselines, sample_other_fixations, unite_fixations
from kerasal.progress import progress_bar

COURSEWORK_SHAPE = (480, 640)
"""(H, W) to which fixations are scaled: the coursework's blurs of 2 and 19 pixels are for images of this size."""

_ERRORS = (ValueError, OSError)
_AVAILABLE = {"fixations", "baseline", "others", "density"}


def evaluate(
    predictor: Predictor,
    data: GazeDataset,
    *,
    postprocess: Postprocess | None = None,
    metrics: str = "mit",
    baselines: tuple[str, ...] = ("center", "mean"),
    sigma: float | None = None,
    legacy: bool = False,
    seed: int = 0,
    batch_size: int = 16,
    ceiling: bool = True,
    progress: bool = False,
) -> pd.DataFrame:
    """Return the scores of a model's maps, one row per image.

    Args:
        predictor: the gaze model.
        data: a ``GazeDataset`` with fixations. Of a coursework pickle, a model of its input size gets X, as in the
            report, and not X_original, resized again.
        postprocess: method of resizing the maps to the images for ``metrics``; see ``resize_map``. By default the
            predictor's, so that the maps of ``predict`` are scored: ``"none"`` for models of log-densities, otherwise
            ``"examiners"``. Values below 0 are set to 0. The coursework metrics do not use it; they resize the raw
            maps themselves.
        metrics: a preset of ``kerasal.metrics``.
        baselines: ``"center"`` and ``"mean"``, which are scored like the maps, in columns ``center_...`` and
            ``mean_...``. The mean map is that of the other images of ``data``.
        sigma: standard deviation in pixels of the blur of fixations, for metrics that compare densities; by default the
            densities of the data set, or 3 % of the image's width (24 for OSIE's 800, 19 for the coursework's 640).
        legacy: compute the coursework metrics with the mistakes of the original run; see ``coursework_scores``.
        seed: seed of the choice of ten other images for the shuffled AUC.
        batch_size: number of images per batch.
        ceiling: whether to score also how well the observers of each image predict one another, in columns
            ``ceiling_...``, if the data tell them apart; see ``kerasal.gaze.ceiling``.
        progress: whether to show a progress bar.

    Returns:
        A DataFrame with the columns of the preset, ``coursework_cc``, ``coursework_auc_shuffled``,
        ``coursework_auc_borji``, those of the baselines, and ``error``, which is None or the reason why an image has no
        scores. ``attrs["definitions"]`` describes each column. With a ceiling, the column ``density_gain`` has the
        information gain of the model's density, and ``attrs["explained"]`` the share of the explainable information:
        the mean of ``density_gain`` divided by that of ``ceiling_density_gain`` (``share``, ``low``, ``high``).
        ``attrs["ceiling"]`` is None, or the reason why there is no ceiling.

    Raises:
        ValueError: an option is unknown, or no image can be scored.
    """
    postprocess = predictor.postprocess if postprocess is None else postprocess
    all_fixations, position, errors = _read_fixations(data)
    if not all_fixations:
        raise ValueError(f"None of the {len(data)} images can be scored. The first error: {_quote_first(errors)}")
    scorer = Scorer(resolve_metrics(PRESETS[metrics], _AVAILABLE), check_baselines(baselines), resize="matlab")
    single = len(all_fixations) == 1  # no other images for the mean map and the shuffled AUC
    scorer = scorer.without_others() if single else scorer
    limit, reason = _find_ceiling(data, list(position), scorer, sigma, progress) if ceiling else (None, None)
    mean = MeanMap(all_fixations)
    rows: dict[str, dict] = {}
    with progress_bar("Scoring", len(position), progress) as advance:
        for name, raw in _predict_raw(predictor, data, list(position), errors, batch_size):
            fixations = all_fixations[position[name]]
            others = sample_other_fixations(all_fixations, position[name], seed)
            try:
                prediction = finish_prediction(predictor, raw, fixations.shape, postprocess)
                values = np.maximum(prediction.map, 0)
                density = np.asarray(data.density(name, sigma=sigma))
                row = scorer.score(values, fixations, density, others=others, mean=mean, name=name)
                row |= {} if single else _score_coursework(raw, fixations, others, mean, scorer.baselines, legacy, name)
                if limit is not None and (points := data.points(name)) is not None:
                    row["density_gain"] = measure_gain(prediction.log_density, points)
                rows[name] = {**row, "error": None}
            except _ERRORS as error:
                errors[name] = str(error)
            advance(1)
    if not rows:
        raise ValueError(f"None of the {len(data)} images can be scored. The first error: {_quote_first(errors)}")
    rows |= {name: {"error": reason} for name, reason in errors.items()}
    definitions = _describe_columns(scorer, sigma, legacy, single)
    table = pd.DataFrame.from_dict({name: rows[name] for name in data.names}, orient="index")
    explained = None
    if limit is not None:
        definitions["density_gain"] = f"{GAIN}, of the model's density"
        for source, text in limit.definitions.items():
            column = f"ceiling_{'density_gain' if source == 'information_gain' else source}"
            definitions[column] = text
            table.loc[table["error"].isna(), column] = limit.table[source]
        explained = explained_share(table["density_gain"], table["ceiling_density_gain"])
    table = table.reindex(columns=[*definitions, "error"])
    table.index.name = "image"
    table.attrs = {"definitions": definitions, "seed": seed, "postprocess": postprocess, "metrics": metrics}
    table.attrs |= {"explained": explained, "ceiling": reason}
    return table


def _find_ceiling(
    data: GazeDataset, names: list[str], scorer: Scorer, sigma: float | None, progress: bool
) -> tuple[Ceiling | None, str | None]:
    """Return the ceiling of the images that can be scored, or None and the reason why there is none."""
    try:
        return score_ceiling(data.subset(names), scorer.metrics, sigma, progress=progress), None
    except NoCeiling as error:
        return None, str(error)


def _read_fixations(data) -> tuple[list[Fixations], dict[str, int], dict[str, str]]:
    """Return the fixations of all images, the index of each image in this list, and the errors of the other images."""
    all_fixations, position, errors = [], {}, {}
    for name in data.names:
        try:
            fixations = as_fixations(data.fixation_map(name), None, "fixations", name)
        except _ERRORS as error:
            errors[name] = str(error)
            continue
        position[name] = len(all_fixations)
        all_fixations.append(fixations)
    return all_fixations, position, errors


def _predict_raw(predictor: Predictor, data, names: list[str], errors: dict[str, str], batch_size: int):
    """Yield (name, raw map) of each readable image; the messages of unreadable images are added to ``errors``."""
    for start in range(0, len(names), batch_size):
        loaded = {}
        for name in names[start : start + batch_size]:
            try:
                loaded[name] = data.stimulus(name).model_pixels(predictor.size)
            except _ERRORS as error:
                errors[name] = str(error)
        yield from zip(loaded, predictor.raw(loaded.values(), batch_size), strict=True)


def _score_coursework(raw, fixations, others, mean, baselines, legacy, name) -> dict[str, float]:
    """Return the coursework scores of a map and of the baselines, on 640 x 480 pixels as in the examiners' script."""
    scaled = unite_fixations([fixations], COURSEWORK_SHAPE)
    pool = others(COURSEWORK_SHAPE)
    row = {}
    baseline_maps = ((f"{baseline}_", _make_baseline(baseline, fixations, mean)) for baseline in baselines)
    for prefix, prediction in (("", raw), *baseline_maps):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a constant map: its correlation is NaN in the table
            scores = coursework_metrics.coursework_scores(
                prediction, scaled, pool, legacy=legacy and not prefix, name=name
            )
        row |= {f"{prefix}coursework_{key}": value for key, value in scores.items()}
    return row


def _make_baseline(name: str, fixations: Fixations, mean: MeanMap) -> np.ndarray:
    values = center_map(COURSEWORK_SHAPE) if name == "center" else mean.mean_of_others(fixations)
    return values / values.max()


def _describe_columns(scorer: Scorer, sigma: float | None, legacy: bool, single: bool) -> dict[str, str]:
    dense = [column for column, metric in scorer.metrics.items() if "density" in metric.needs]
    blur = "that of the data set, or fixations blurred by 3 % of the width"
    blur = blur if sigma is None else f"fixations blurred by {sigma:g} px"
    texts = {
        column: text + (f"; density: {blur}" if column.split("_", 1)[-1] in dense or column in dense else "")
        for column, text in scorer.columns.items()
    }
    for prefix in () if single else ("", *(f"{baseline}_" for baseline in scorer.baselines)):
        suffix = f", of {BASELINES[prefix[:-1]]}" if prefix else ""
        suffix = "; legacy: values wrapped, nearest pixel" if legacy and not prefix else suffix
        for key, text in coursework_metrics.DEFINITIONS.items():
            pixels = f"{COURSEWORK_SHAPE[1]} x {COURSEWORK_SHAPE[0]} pixels"
            texts[f"{prefix}coursework_{key}"] = f"{text}, on {pixels}{suffix}"
    return texts


def _quote_first(errors: dict[str, str]) -> str:
    name, reason = next(iter(errors.items()))
    return reason if name in reason else f"{name}: {reason}"
