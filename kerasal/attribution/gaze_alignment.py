"""``alignment``: do the attribution maps of a model mark what people look at?"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from kerasal.attribution.alignment_maps import MethodRun, compute_maps
from kerasal.attribution.alignment_scores import (
    METRICS,
    Scores,
    choose_blurs,
    read_fixations,
    read_truth,
    score_fixed,
    score_image,
)
from kerasal.attribution.evaluation.control_maps import random_maps_like
from kerasal.attribution.evaluation.judgment import Evaluation
from kerasal.checks import check_choice, check_int, check_number
from kerasal.datasets.gaze_dataset import GazeDataset
from kerasal.metrics.blur import MeanMap
from kerasal.metrics.summary import summarize
from kerasal.models.examples import takes_images
from kerasal.models.image_model import ImageModel
from kerasal.progress import progress_bar

ROWS: Mapping[str, str] = {
    "map": "the method's map",
    "other image": "the method's map of another image of the data",
    "random map": "random, with the values and the smoothness of the map",
    "random weights": "the method's map of the same class, with every weight array of the model shuffled",
    "center": "a Gaussian in the center with standard deviations of 1/4 of the width and the height",
    "mean map": "the fixations on the other images, blurred",
    "one observer": "the fixations of one observer, blurred, at those of all others; the mean over the observers",
    "other observers": "the fixations of all observers but one, blurred, at those of that one; the mean over them",
}
"""The rows of the table of an ``Alignment`` and what they are. "× center": multiplied by the map "center"."""

_BLURS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.08)


@dataclasses.dataclass(frozen=True)
class Alignment:
    """The scores of attribution maps as predictions of where people look, beside those of controls.

    Attributes:
        scores: a row per image and row of the table, with the columns ``image``, ``row``, ``blur`` (standard deviation
            in shares of the image's width; NaN for rows that are not blurred), ``nss``, ``auc_judd`` and ``cc``.
        model: name of the model.
        method: name of the method.
        layer: layer of a class activation map or an attention; None for other methods.
        sign: "positive" or "absolute", what was scored of signed maps.
        notes: sentences about what was left out or counted.
    """

    scores: pd.DataFrame = dataclasses.field(repr=False)
    model: str
    method: str
    layer: str | None
    sign: str
    notes: tuple[str, ...] = ()

    def table(self, metric: Literal["nss", "auc_judd", "cc"] = "nss", *, seed: int = 0) -> pd.DataFrame:
        """Return the mean of each row of ``ROWS`` with its 95 % bootstrap interval over images.

        Args:
            metric: "nss" (z-score at the fixations, chance 0), "auc_judd" (chance .5) or "cc" (correlation with the
                blurred fixations, chance 0).
            seed: seed of the bootstrap samples.

        Returns:
            A DataFrame with the columns ``mean``, ``low``, ``high``; the paired difference from the row "center",
            ``minus_center``, ``minus_center_low``, ``minus_center_high``; ``blur``, the mean of the chosen widths; and
            ``images``. CC is NaN for "other observers".
        """
        wide = self._wide(metric)
        wide = wide.reindex(columns=list(dict.fromkeys(self.scores["row"])))
        means, gains = (summarize(values, seed=seed) for values in (wide, wide.sub(wide["center"], axis=0)))
        table = pd.DataFrame(means, columns=["mean", "low", "high"])
        for column, source in (("", "mean"), ("_low", "low"), ("_high", "high")):
            table[f"minus_center{column}"] = gains[source]
        table["blur"] = self.scores.groupby("row")["blur"].mean()
        table["images"] = means["images"]
        table.index.name = "row"
        table.attrs = {"metric": metric, "rows": dict(ROWS)}
        return table

    def difference(
        self, row: str, other: str, metric: Literal["nss", "auc_judd", "cc"] = "nss", *, seed: int = 0
    ) -> tuple[float, float, float]:
        """Return the mean paired difference of two rows, and the ends of its 95 % bootstrap interval over images."""
        wide = self._wide(metric, row, other)
        gain = summarize(pd.DataFrame({"gain": wide[row] - wide[other]}), seed=seed).loc["gain"]
        return float(gain["mean"]), float(gain["low"]), float(gain["high"])

    def verdict(
        self, other: str = "center", *, row: str = "map", metric: Literal["nss", "auc_judd", "cc"] = "nss"
    ) -> str:
        """Return "better than …", "worse than …" or "not distinguishable from …" another row.

        It compares ``row``, such as "map × center", with ``other`` image by image, as the verdicts of
        ``kerasal.attribution.evaluation`` do: "better" needs an interval of the differences above 0 and a permutation
        test that agrees. It is "too few images (n)" for fewer than 10 images.
        """
        wide = self._wide(metric, row, other)
        values, others = (wide[name].to_numpy(float) for name in (row, other))
        return Evaluation(metric, "higher", values, {other: others}).verdict_against(other)

    def _wide(self, metric: str, *rows: str) -> pd.DataFrame:
        """Return the scores with a column per row; raise a ValueError if a row is unknown or undefined."""
        check_choice("metric", metric, METRICS)
        wide = self.scores.pivot(index="image", columns="row", values=metric)
        for name in rows:
            check_choice("row", name, tuple(wide.columns))
            if np.isnan(wide[name].to_numpy(float)).all():
                raise ValueError(f"metric must be defined for {name!r}, got {metric!r}. Choose another: nss.")
        return wide

    def _repr_html_(self) -> str:
        return self.table().round(3).to_html(na_rep="–")


def alignment(
    model: ImageModel,
    data: GazeDataset,
    method: str | Callable = "gradcam",
    target: Any = None,
    *,
    output: str | int | None = None,
    fit: Literal["stretch", "crop"] = "stretch",
    sign: Literal["positive", "absolute"] = "positive",
    blurs: Sequence[float] = _BLURS,
    random_weights: bool = False,
    observers: bool = True,
    seed: int = 0,
    group: int = 16,
    progress: bool = False,
    **options: Any,
) -> Alignment:
    """Return how well attribution maps predict where people look, beside the center and other controls.

    A model is not made to look where people look, and people look at the center of most images: a map says something
    only if it beats the center, the mean map of the other images, and the map of another image. ``attrs["rows"]`` of
    the table says what each row is. NSS and CC punish a map that is sharper than the fixations are spread, so each map
    is blurred by the width in ``blurs`` that scores the highest NSS on one random half of the images, and scored on the
    other half, and the reverse. So are the map of another image, the random map and that of shuffled weights, each by
    its own best width; each is also multiplied by the center ("× center"). CC is computed with the density of the data
    or, without one, with fixations blurred by 3 % of the width.

    Scored is the evidence for the target: the positive part of signed maps, and magnitudes and activations as they
    are. Of maps with channels, such as ``guided_backprop``, it is the largest absolute value over the channels. A map
    without any positive value is scored as a constant map: NSS 0, AUC .5, CC 0; ``notes`` counts them.

    Args:
        model: an ``ImageModel`` that takes photos, from ``kerasal.open_model``.
        data: at least two images with fixations.
        method: name of a method, or a function ``(keras_model, inputs, target, **options) -> maps (N, H, W)``.
        target: the score to explain, as for the methods; None is the top class of each image. Of a model without
            classes it is an objective or a function of the output.
        output: name or position of the output to explain, for a model with several outputs.
        fit: "stretch" distorts each photo to the shape of the model's input, so that the model sees all of it; "crop"
            shows it the largest part of that shape in the center, and scores everything in this part alone.
        sign: "positive", or "absolute" for the absolute value of signed maps.
        blurs: standard deviations of the blurs to choose from, in shares of the image's width; 0 is none. A single
            value is used as it is.
        random_weights: score the maps of the same model with shuffled weights as well. During the call its weights
            change and are restored, so it must not be used elsewhere.
        observers: score observers as predictions of each other, if the data tell them apart.
        seed: seed of the halves, the random maps, and the shuffled weights.
        group: number of photos that are prepared at once.
        progress: show a progress bar.
        **options: options of the method, and ``logits`` and ``batch_size``.

    Returns:
        An ``Alignment`` with the scores of each image and the table.

    Raises:
        ValueError: the model or data do not fit, fewer than two images, images without fixations, or the method raises.
    """
    check_choice("fit", fit, ("stretch", "crop"))
    check_choice("sign", sign, ("positive", "absolute"))
    check_int("group", group)
    widths = _check_blurs(blurs)
    model = _check_model(model, fit)
    fixations = read_fixations(data)
    run, mean = MethodRun(method, target, output, options, sign), MeanMap(fixations)
    scores: dict[str, Scores] = {}
    maps: dict[int, dict[str, np.ndarray]] = {}
    layer, constant = None, 0

    def score(number: int, other: int) -> None:
        truth = read_truth(model, data, number, fixations[number], mean)
        noise = random_maps_like(maps[number]["map"][None], seed + number)[0]
        rows = maps[number] | {"other image": maps[other]["map"], "random map": noise}
        scores[data.names[number]] = score_image(rows, truth, widths) | score_fixed(truth, observers)

    with progress_bar("Aligning", len(data), progress) as advance:
        for batch in compute_maps(model, data, run, random_weights=random_weights, seed=seed, size=group):
            layer = batch.layer
            for place, number in enumerate(batch.numbers):
                maps[number] = {"map": batch.maps[place]}
                if batch.random_weights is not None:
                    maps[number]["random weights"] = batch.random_weights[place]
                constant += int(np.ptp(batch.maps[place]) == 0)
                if number:
                    if number == 1:  # the first image is compared with the second, any other with the one before it
                        score(0, 1)
                    score(number, number - 1)
                    del maps[number - 1]
                advance(1)
    notes = _write_notes(scores, constant, observers)
    return Alignment(choose_blurs(scores, seed), model.name, run.name, layer, sign, notes)


def _check_blurs(blurs: Sequence[float] | float) -> list[float]:
    """Return the widths of blurs, without duplicates."""
    widths = [check_number("blurs", width, minimum=0, maximum=1) for width in np.atleast_1d(np.asarray(blurs)).tolist()]
    if not widths:
        raise ValueError("blurs must have at least one width, got none. Pass (0,) for maps as they are.")
    return list(dict.fromkeys(widths))


def _check_model(model: ImageModel, fit: Literal["stretch", "crop"]) -> ImageModel:
    """Return the model with this ``fit``; raise an error if it does not take photos."""
    if not isinstance(model, ImageModel):
        raise ValueError(
            f"model must be an ImageModel, which knows its preprocessing, got {type(model).__name__}. "
            "Open it: kerasal.open_model(model, preprocessing=…)."
        )
    if not takes_images(model):
        raise ValueError(f"model must take images, but {model.name!r} takes another input.")
    model.check_pixels()
    return dataclasses.replace(model, fit=fit)


def _write_notes(scores: Mapping[str, Scores], constant: int, observers: bool) -> tuple[str, ...]:
    notes, count = [], len(scores)
    if constant:
        notes.append(f"{constant} of {count} maps have no positive value or are constant, and are scored as constant.")
    people = sum(any(row == "other observers" for row, _ in of_image) for of_image in scores.values())
    if observers and not people:
        notes.append("The data have one observer per image or do not tell observers apart, so there is no ceiling.")
    elif observers and people < count:
        notes.append(f"The rows of the observers are of {people} of {count} images.")
    return tuple(notes)
