"""The site builds without a warning, asks nobody for anything, and has every public name."""

import html.parser
import os
import pathlib
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).resolve().parents[2]

# The public contract: what was promised by name.
CONTRACT = {
    "": "list_models create_model model_spec load_model maximize export feature_maps KerasalCallback "
    "open_model explain",
    "attribution": "class_saliency input_gradient gradient_x_input smoothgrad integrated_gradients guided_backprop "
    "deconvnet gradcam gradcam_plus_plus scorecam layercam occlusion drise crop_averaged_saliency attention "
    "attention_gradcam attention_rollout legrad lrp raw_attention transformer_relevance gradient_shap deeplift blur_ig "
    "guided_ig xrai smooth rise lime kernel_shap sobol hsic ablation hirescam xgradcam eigencam eigengradcam ablationcam "
    "finer_cam shapleycam",
    "objectives": "class_score channel neuron layer direction",
    "receptive_field": "field patterns validate_pattern top_exemplars FeatureEvolution",
    "localization": "graphcut bounding_box iou localization_error",
    "metrics": "auc auc_judd auc_borji auc_shuffled nss cc similarity kld information_gain emd evaluate",
    "losses": "NSSLoss CCLoss KLDLoss SimilarityLoss WeightedSum",
    "datasets": "open_gaze mnist GazeDataset",
    "models": "ImageModel open_model open_source from_function",
    "models.registry": "ModelSpec register",
    "atlas": "build",
    "batch": "run methods",
}


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
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}  # the theme's own advertisement
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "WARNING" not in done.stderr
    return {str(path.relative_to(folder)): _Page(path) for path in folder.rglob("*.html")}


def test_every_public_name_is_in_the_reference(site):
    anchors = set().union(*(page.anchors for name, page in site.items() if name.startswith("api/")))
    wanted = {
        ".".join(filter(None, ("kerasal", module, name)))
        for module, names in CONTRACT.items()
        for name in names.split()
    }
    assert wanted - anchors == set()


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
        assert f"kerasal {command}" in text["commands/index.html"]


def test_notebooks_are_pages(site):
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        page = site[f"notebooks/{path.stem}.html"]
        assert any(address.startswith(f"{path.stem}-") for address in page.fetched), path.name
        assert path.name in "".join(page.text)


def test_a_reader_s_browser_asks_nobody_else(site):
    for name, page in site.items():
        outside = [address for address in page.fetched if re.match(r"(https?:)?//", address)]
        assert outside == [], name
