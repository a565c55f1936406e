"""``compare --score``: the order of methods on a folder of photos, as a page, an image and JSON."""

import json

import numpy as np
import pytest

from kerasal import images


@pytest.fixture
def place(make_model, tmp_path):
    make_model("functional").save(tmp_path / "net.keras")
    random = np.random.default_rng(0)
    for number in range(12):
        images.write(tmp_path / "photos" / f"{number}.png", random.integers(0, 256, (8, 8, 3), np.uint8))
    return tmp_path


RUN = "compare net.keras -p unit --score photos --method class_saliency --method gradient_x_input"


def test_a_page_with_the_order(cli, place):
    code, out, err = cli(*RUN.split(), "--metric", "deletion", "--metric", "random_logit", "-o", "page.html", "-q")
    assert code == 0, err
    page = (place / "page.html").read_text()
    assert "class_saliency" in page and "random map" in page and "12 photos of the folder photos" in page
    assert "random map" in out and "page.html  2 methods" in out and "mean rank" in out
    assert sorted(path.name for path in place.iterdir()) == ["net.keras", "page.html", "photos"]


def test_an_image_and_json_of_fewer_photos(cli, place):
    line = "--metric deletion --limit 10 --no-suggest --seed 3 --class 1 -o page.png --json -q"
    code, out, err = cli(*RUN.split(), *line.split())
    assert code == 0, err
    document = json.loads(out)
    assert len(document["photos"]) == 10 and "10 of 12 photos" in err
    assert {row["method"] for row in document["order"]} >= {"class_saliency", "gradient_x_input", "random map"}
    assert document["conclusions"] and document["suggestions"] == []
    assert images.read(place / "page.png").std() > 5


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("compare net.keras -p unit", "Pass a photo, to see the maps, or --score FOLDER"),
        ("compare net.keras photos/1.png -p unit --score photos", "IMAGE and --score exclude each other"),
        ("compare net.keras photos/1.png -p unit --metric deletion", "--metric can only be used with --score"),
        ("compare net.keras -p unit --score photos --limit 0", "--limit must be a positive integer, got 0"),
        ("compare net.keras -p unit --score photos --seed -1", "--seed must be an integer in 0..4294967295, got -1"),
        ("compare net.keras -p unit --score photos --method gradcm", "Did you mean"),
        ("compare net.keras -p unit --score photos --metric deletions", "Did you mean"),
        ("compare net.keras -p unit --score photos -o photos/3.png", "would replace"),
        ("compare net.keras -p unit --score photos --similar-to photos/3.png", "can be used with a photo only"),
        ("compare net.keras -p unit --score none", "none"),
    ],
)
def test_what_does_not_fit(cli, place, line, says):
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    code, _, err = cli(*line.split())
    assert code == 2 and says in " ".join(err.split()), err
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before
