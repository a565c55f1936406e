"""The site builds without a warning, asks nobody for anything, and has every public name."""

import html.parser
import pathlib
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).resolve().parents[2]

# The public contract: what was promised by name.
CONTRACT = """
list_models create_model model_spec load_model maximize export feature_maps
attribution.class_saliency attribution.input_gradient attribution.gradient_x_input attribution.smoothgrad
attribution.integrated_gradients attribution.guided_backprop attribution.deconvnet attribution.gradcam
attribution.gradcam_plus_plus attribution.scorecam attribution.layercam attribution.occlusion
attribution.crop_averaged_saliency
objectives.class_score objectives.channel objectives.neuron objectives.layer objectives.direction
receptive_field.field receptive_field.patterns receptive_field.validate_pattern receptive_field.top_exemplars
receptive_field.FeatureEvolution
localization.graphcut localization.bounding_box localization.iou localization.localization_error
metrics.auc metrics.auc_judd metrics.auc_borji metrics.auc_shuffled metrics.nss metrics.cc metrics.similarity metrics.kld
metrics.information_gain metrics.emd metrics.evaluate
losses.NSSLoss losses.CCLoss losses.KLDLoss losses.SimilarityLoss losses.WeightedSum
datasets.open_gaze datasets.mnist datasets.GazeDataset registry.ModelSpec registry.register
""".split()


class _Page(html.parser.HTMLParser):
    """The anchors of a page, its text, and what a browser fetches for it."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.fetched, self.text = set(), [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors.add(given.get("id"))
        if tag in ("script", "img", "iframe", "source"):
            self.fetched.append(given.get("src") or "")
        if tag == "link" and given.get("rel") not in ("canonical", "prev", "next", "alternate"):
            self.fetched.append(given.get("href") or "")

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("mkdocs")
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", ROOT / "docs" / "mkdocs.yml", "-d", folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "WARNING" not in done.stderr
    return {str(path.relative_to(folder)): _Page(path) for path in folder.rglob("*.html")}


def test_every_public_name_is_in_the_reference(site):
    anchors = set().union(*(page.anchors for name, page in site.items() if name.startswith("api/")))
    assert {f"kerasal.{name}" for name in CONTRACT} <= anchors, {f"kerasal.{n}" for n in CONTRACT} - anchors


def test_every_module_that_the_package_names_has_a_page(site):
    tree = (ROOT / "kerasal" / "__init__.py").read_text(encoding="utf-8")
    modules = re.findall(r'"(\w+)"', re.search(r"_MODULES = \((.*?)\)", tree, re.DOTALL)[1])
    missing = [name for name in modules if name != "zoo" and f"api/{name}.html" not in site]
    assert not missing


def test_every_metric_model_and_command_is_there(site):
    import kerasal
    from kerasal.metrics.definitions import METRICS, PRESETS

    text = {name: "".join(page.text) for name, page in site.items()}
    assert [name for name in (*METRICS, *PRESETS) if name not in text["metrics.html"]] == []
    for model in kerasal.list_models():
        assert model in text["cards/index.html"]
        line = kerasal.model_spec(model).card.splitlines()[4].split("`")[0].strip()
        assert any(line[:40] in page for name, page in text.items() if name.startswith("cards/")), model
    for command in ("demo", "attribute", "compare", "maximize", "gaze train", "export", "score"):
        assert f"kerasal {command}" in text["commands.html"]


def test_a_reader_s_browser_asks_nobody_else(site):
    for name, page in site.items():
        outside = [address for address in page.fetched if re.match(r"(https?:)?//", address)]
        assert outside == [], name
