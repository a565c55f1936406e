"""The numbers of the card and of the guide are those that ``kerasal gaze evaluate`` prints."""

import pathlib
import re

import pytest

from kerasal import gaze, metrics, models
from kerasal.datasets import open_gaze

ROOT = pathlib.Path(__file__).resolve().parents[2]
COLUMNS = ("nss", "cc", "auc_judd", "auc_shuffled", "information_gain")


def read_row(text, name):
    """Return [(mean, half of the interval), ...] of the row of a table that begins with ``name``."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {name} |"))
    return [tuple(cell.strip().split(" ± ")) for cell in line.strip("|").split("|")[1:]]


def shorten(value, like):
    """Round ``value`` as the text ``like`` is, such as .773."""
    return re.sub(r"^0(?=\.)", "", f"{value:.{len(like.partition('.')[2])}f}")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "images"), [("osie", 200), ("crowd", 100)])
def test_the_card_has_the_numbers_of_the_command(data_folder, name, images):
    if not (data_folder / name).is_dir():
        pytest.skip(f"no {name} in {data_folder}")
    predictor = gaze.Predictor.from_image_model(models.open_model("gaze"))
    table = gaze.evaluate(predictor, open_gaze(data_folder / name, "test"))
    summary = metrics.summarize(table.drop(columns="error").astype(float))
    assert len(table) == images
    card = (ROOT / "zoo" / "gaze.py").read_text(encoding="utf-8")
    card = card[card.index(f"| {name if name == 'crowd' else 'OSIE'}, {images} images |") :]
    guide = (ROOT / "docs" / "pages" / "gaze.md").read_text(encoding="utf-8")
    title = f"{name if name == 'crowd' else 'OSIE'}, {images} images: `gaze`"
    for cells in (read_row(card, "gaze"), read_row(guide, title)):
        for column, (mean, half) in zip(COLUMNS, cells, strict=True):
            row = summary.loc[column]
            assert shorten(row["mean"], mean) == mean, column
            assert shorten((row["high"] - row["low"]) / 2, half) == half, column
    baselines = next(line for line in card.splitlines() if line.startswith("| center baseline"))
    for column, cell in zip(COLUMNS, baselines.strip("|").split("|")[1:], strict=True):
        center, mean = cell.strip().split("; ")
        for prefix, text in (("center_", center), ("mean_", mean)):
            assert shorten(summary.loc[prefix + column, "mean"], text) == text, prefix + column


@pytest.mark.slow
@pytest.mark.parametrize(("name", "first"), [("osie", "OSIE, 200 images"), ("crowd", "crowd, 100 images")])
def test_the_card_of_the_shallow_model_has_the_numbers_of_the_command(data_folder, name, first):
    if not (data_folder / name).is_dir():
        pytest.skip(f"no {name} in {data_folder}")
    predictor = gaze.Predictor.from_image_model(models.open_model("shallow_saliency"))
    table = gaze.evaluate(predictor, open_gaze(data_folder / name, "test"), baselines=())
    summary = metrics.summarize(table.drop(columns="error").astype(float))
    columns = ("coursework_cc", "coursework_auc_shuffled", "coursework_auc_borji", "nss", "kld")
    for column, (mean, *half) in zip(
        columns, read_row((ROOT / "zoo" / "shallow_saliency.py").read_text(encoding="utf-8"), first), strict=True
    ):
        row = summary.loc[column]
        assert shorten(row["mean"], mean) == mean, column
        assert not half or shorten((row["high"] - row["low"]) / 2, half[0]) == half[0], column
