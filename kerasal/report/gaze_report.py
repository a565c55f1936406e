"""The content of the report of a gaze model."""

import pathlib
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kerasal import gaze
from kerasal.datasets import GazeDataset, gaze_splits, open_gaze_sets, open_training_sets
from kerasal.gaze.gaze_pictures import choose_images
from kerasal.gaze.gaze_prediction import finish_prediction
from kerasal.gaze.observer_ceiling import describe_explained
from kerasal.metrics import evaluate as evaluate_maps
from kerasal.metrics import summarize
from kerasal.models import open_model
from kerasal.report.classifier_report import list_commands
from kerasal.report.report_content import Chart, Example, ExampleGroup, Meaning, Report, Table
from kerasal.report.report_page import draw_svg
from kerasal.report.run_facts import RunFacts
from kerasal.training.training_pictures import draw_losses, draw_validation
from kerasal.training.training_recipes import describe_loss

COLUMNS = {
    "nss": "NSS",
    "cc": "CC",
    "auc_judd": "AUC (Judd)",
    "auc_shuffled": "shuffled AUC",
    "information_gain": "IG, bits",
    "similarity": "SIM",
    "kld": "KL div. ↓",
}
_COURSEWORK = {"coursework_cc": "CC", "coursework_auc_shuffled": "shuffled AUC", "coursework_auc_borji": "AUC (Borji)"}
_EACH = 2
_SURVEY = "Bylinskii et al. 2019 compares the metrics."
_MEANINGS = (
    Meaning("NSS", "The mean height of the map at the fixations, in standard deviations above its mean: 0 is chance.",
            "Peters et al. 2005."),
    Meaning("CC", "The correlation of the map with the density of the fixations: 1 is perfect, 0 is chance.", _SURVEY),
    Meaning("AUC (Judd)", "How often the map is higher at a fixation than elsewhere: 1 is perfect, 0.5 is chance. A "
            "blob in the center scores high.", "Judd et al. 2009."),
    Meaning("Shuffled AUC", "The same against places where people looked in other images, so that the center gives no "
            "advantage: a map that ignores the image gets about 0.5.", "Tatler et al. 2005; Zhang et al. 2008."),
    Meaning("IG", "Information gain: how many bits per fixation the map predicts better than a Gaussian in the center. "
            "Negative is worse than the center.", "Kümmerer et al. 2015."),
    Meaning("SIM, KL divergence", "The overlap of map and density (1 is perfect), and how many nats the map lacks to "
            "describe the density (0 is perfect). KL divergence and IG punish maps that are 0 where people looked.",
            _SURVEY),
    Meaning("Baselines", "The center Gaussian, the mean map of the other images and the uniform map know nothing of "
            "the image. People look at the center, so a score means something only beside them."),
    Meaning("Other observers", "The ceiling: the fixations of all observers but one, as a density, at the fixations of "
            "that one. Its CC is the highest that a map can be expected to reach with so few observers. A perfect "
            "model would be a little better.", "Kümmerer et al. 2015; Wilming et al. 2011."),
    Meaning("Explained", "The information gain of the model over the center as a share of that of the other observers. "
            "Both are gains of densities at every fixation, which differ a little from the IG of the table.",
            "Kümmerer et al. 2015."),
    Meaning("95 % interval", "The range of the middle 95 % of the means of 2,000 samples of the images, drawn with "
            "replacement. It says how much a number depends on the choice of images, not on the seed of the training.",
            "Efron & Tibshirani 1993, chapter 13."),
)  # fmt: skip


def collect_gaze(run: RunFacts, data: pathlib.Path | None, *, unsafe: bool, progress: bool) -> Report:
    """Return the report of a gaze model; see ``collect_report``."""
    test, which = _open_test_images(run, data)
    opened = open_model(run.folder, unsafe=unsafe)
    predictor = gaze.Predictor.from_image_model(opened)
    installed = gaze.Predictor.from_image_model(open_model("gaze"))
    table = gaze.evaluate(predictor, test, progress=progress)
    other = gaze.evaluate(installed, test, baselines=(), ceiling=False, progress=progress)
    explained = table.attrs["explained"]
    failed = table["error"].dropna()
    notes = (
        [f"{len(failed)} images could not be scored; the first: {failed.index[0]}: {failed.iloc[0]}"]
        if len(failed)
        else []
    )
    scored = table["error"].isna()
    values, other = (item.loc[scored].drop(columns="error").astype(float) for item in (table, other))
    usable = test.subset(list(values.index)) if len(failed) else test
    diagnosis = gaze.diagnose(predictor, usable).findings if len(usable) > 2 else []
    notes += [] if "mean_nss" in values else ["A single image has no other images to compare with."]
    recipe = run.facts.get("training") or {}
    loss = describe_loss(recipe["loss"]) if recipe.get("loss") else "as in the recipe"
    steps = run.steps if run.steps is not None else run.history.rename(columns={"epoch": "epoch"})
    curves = [
        Chart(draw_svg(draw_losses(steps, run.history, "loss"), "loss"), f"Loss by step: {loss}."),
        Chart(draw_svg(draw_validation(steps, run.history), "cc"), _describe_validation(run)),
    ]
    return Report(
        title=str(run.facts.get("net") or run.folder.name),
        kind="Gaze model",
        lead=[*_lead(values, which), *([describe_explained(explained)] if explained else [])],
        scores=_score_tables(values, other, usable),
        findings=diagnosis,
        curves=curves,
        example_note="Images in the order of the CC of the prediction: the highest, those in the middle and the "
        "lowest. Yellow points are fixations. Each map is scaled from its lowest to its highest value.",
        examples=_show_examples(predictor, usable, values.loc[:, "cc"]),
        data=[_describe_data(run, which)],
        settings=run.settings(),
        commands=list_commands(run, "kerasal gaze report", data),
        meanings=_MEANINGS,
        notes=notes,
    )


def _open_test_images(run: RunFacts, data: pathlib.Path | None) -> tuple[GazeDataset, str]:
    """Return images that were not trained on, and what they are."""
    paths = [data] if data is not None else [pathlib.Path(path) for path in run.facts.get("data") or ()]
    if not paths:
        raise ValueError("data must be the path of the images with fixations, because run.json has none, got None.")
    if all("test" in gaze_splits(path) for path in paths):
        other = "" if data is None else f" of {data}"
        return open_gaze_sets(paths, "test")[0], f"test images{other}, which the training did not use"
    if data is not None:
        return open_gaze_sets(paths, "all", missing="skip")[0], f"images of {data}, which may be those of the training"
    split = run.facts.get("split") or {}
    validation, seed = split.get("validation_data"), split.get("seed") or 0
    held_out = open_training_sets(paths, validation and pathlib.Path(validation), split.get("part"), seed=seed)[1]
    best = (run.facts.get("training") or {}).get("keep") == "best"
    chose = ", which also chose the epoch, so the scores are too high" if best else ""
    return held_out, f"validation images{chose}"


def _lead(values: pd.DataFrame, which: str) -> list[str]:
    prior = "mean" if "mean_nss" in values else "center"
    baseline = "the mean map of the other images" if prior == "mean" else "a Gaussian in the center"
    summary = summarize(pd.DataFrame({"nss": values["nss"], "gain": values["nss"] - values[f"{prior}_nss"]}))
    nss, gain = summary.loc["nss"], summary.loc["gain"]
    verdict = "more than" if gain["low"] > 0 else "no more than" if gain["high"] < 0 else "not reliably more than"
    return [
        f"On {len(values):,} {which}, the model has an NSS of {nss['mean']:.2f} (95 % interval {nss['low']:.2f} to "
        f"{nss['high']:.2f}); {baseline}, which ignores the image, has {values[f'{prior}_nss'].mean():.2f}.",
        f"The difference is {gain['mean']:.2f} [{gain['low']:.2f}, {gain['high']:.2f}]: the model predicts {verdict} "
        "where people look in general.",
    ]


def _score_tables(values: pd.DataFrame, other: pd.DataFrame, test: GazeDataset) -> list[Table]:
    """Return the table of the benchmark metrics and that of the coursework."""
    rows = [_row("this model", values, COLUMNS), _row("gaze, installed", other, COLUMNS)]
    for prefix, name in (("center_", "center Gaussian"), ("mean_", "mean map of the others")):
        if f"{prefix}nss" in values:
            rows.append(_row(name, values, COLUMNS, prefix, intervals=False))
    rows.append(_row("uniform map", _score_uniform(test, list(COLUMNS)), COLUMNS, intervals=False))
    has_ceiling = "ceiling_nss" in values
    if has_ceiling:
        rows.append(_row("other observers", values, COLUMNS, "ceiling_"))
    note = (
        "Mean over the images, and its 95 % interval; ↓: lower is better; –: not defined. The definitions are those of "
        "the MIT benchmark, as in `kerasal gaze evaluate`. `gaze` was trained on the training images of OSIE and crowd."
    ).replace("`", "")
    note += "" if has_ceiling else " The data do not tell the observers apart, so there is no upper bound."
    tables = [Table(("", *COLUMNS.values()), rows, "", note)]
    if "coursework_cc" in values:
        rows = [_row("this model", values, _COURSEWORK), _row("gaze, installed", other, _COURSEWORK)]
        rows += [
            _row(name, values, _COURSEWORK, prefix, intervals=False)
            for prefix, name in (("center_", "center Gaussian"), ("mean_", "mean map of the others"))
        ]
        note = "640 × 480 pixels, 8 bits. Never put these and the numbers above in one table."
        tables.append(Table(("", *_COURSEWORK.values()), rows, "By the script of the Bristol coursework", note))
    return tables


def _score_uniform(data: GazeDataset, columns: Sequence[str]) -> pd.DataFrame:
    """Return the scores of a uniform map, one row per image; metrics that are undefined for it are NaN."""
    names = list(data.names)
    fixations = [np.asarray(data.fixation_map(name)) for name in names]
    wanted = [column for column in columns if column != "auc_shuffled" or len(names) > 1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # constant maps: what is undefined is NaN
        return evaluate_maps(
            (np.ones(fixated.shape) for fixated in fixations),
            fixations,
            (np.asarray(data.density(name)) for name in names),
            metrics=wanted,
            baselines=(),
            names=names,
        )


def _row(name: str, values: pd.DataFrame, columns, prefix: str = "", *, intervals: bool = True) -> list:
    summary, cells = summarize(values), []
    for column in columns:
        row = summary.loc[prefix + column] if prefix + column in summary.index else None
        if row is None or np.isnan(row["mean"]):
            cells.append("–")
        elif intervals:
            cells.append((f"{row['mean']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}"))
        else:
            cells.append(f"{row['mean']:.3f}")
    return [name, *cells]


def _describe_validation(run: RunFacts) -> str:
    validated = run.history.dropna(subset="val_loss")
    best = (run.facts.get("training") or {}).get("keep") == "best"
    row = validated.loc[validated["val_loss"].idxmin()] if best else validated.iloc[-1]
    kept = "The weights of the epoch with the lowest validation loss are kept" if best else "The last weights are kept"
    return f"CC on the validation images. {kept}: epoch {int(row['epoch'])}, CC {row['val_cc']:.3f}."


def _show_examples(predictor: gaze.Predictor, test: GazeDataset, scores: pd.Series) -> Sequence[ExampleGroup]:
    if not scores.notna().any():  # constant maps
        return []
    chosen = choose_images(scores.to_dict(), max(1, min(_EACH, len(scores) // 3)))
    outputs = predictor.raw(test.stimulus(name).model_pixels(predictor.size) for name in chosen)
    groups: dict[str, list[Example]] = {}
    for (name, kind), raw in zip(chosen.items(), outputs, strict=True):
        photo, points = test.image(name), test.fixations(name)
        found = finish_prediction(predictor, raw, photo.shape[:2], predictor.postprocess)
        shares = None if points is None else (np.asarray(points) + 0.5) / np.array(photo.shape[1::-1])
        density = gaze.overlay(photo, np.asarray(test.density(name)))
        pictures = [
            ("photo, fixations", photo),
            ("where people looked", density),
            ("prediction", gaze.overlay(photo, found.map)),
        ]
        groups.setdefault(kind.capitalize(), []).append(Example(f"{name}, CC {scores[name]:.3f}", pictures, shares))
    return [ExampleGroup(kind, examples) for kind, examples in groups.items()]


def _describe_data(run: RunFacts, which: str) -> Table:
    rows = [(part, f"{run.part(part)['images']:,}") for part in ("training", "validation") if run.part(part)]
    split = run.facts.get("split") or {}
    skipped = sum(len(part) for part in (run.facts.get("skipped") or {}).values())
    folder = ", ".join(run.facts.get("data") or ()) or "arrays"
    note = f"Data: {folder}. {split.get('how', 'The split was not recorded.')} {skipped} images were skipped."
    return Table(("part", "images"), rows or [("unknown", "–")], "", f"{note} The scores are of the {which}.")
