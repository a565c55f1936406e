"""What the tests of batches share: a small net in a file, a folder of good and bad photographs, a run of them."""

import numpy as np
import pytest
from PIL import Image

from kerasal import batch, images
from kerasal.models import registry


@pytest.fixture
def model_file(make_model, tmp_path):
    make_model("functional").save(tmp_path / "net.keras")
    return tmp_path / "net.keras"


@pytest.fixture
def photos(tmp_path):
    """Ten images in two folders: two of one name, a gray one, an animation, and three that cannot be read."""
    random, folder = np.random.default_rng(0), tmp_path / "photos"
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/3.jpg", "b/4.webp"):
        images.write(folder / name, random.integers(0, 255, (12, 17, 3), np.uint8))
    images.write(folder / "gray.png", random.integers(0, 255, (9, 9), np.uint8))
    first, second = (Image.fromarray(random.integers(0, 255, (10, 10), np.uint8)) for _ in range(2))
    first.save(folder / "moving.gif", save_all=True, append_images=[second])
    (folder / "a" / "cut.png").write_bytes((folder / "a" / "1.png").read_bytes()[:200])
    (folder / "b" / "empty.jpg").touch()
    (folder / "b" / "text.jpg").write_text("no image")
    return folder


@pytest.fixture
def run(model_file, photos, tmp_path, shared_model, monkeypatch):
    """Run a batch in this process, with shards of three images and what threads TensorFlow has here.

    The net of ``model_file`` is traced once for all tests; that files are loaded, the tests of the command show.
    """
    original = registry.load_model

    def load_model(path, **given):
        return shared_model("functional") if path == model_file else original(path, **given)

    monkeypatch.setattr(registry, "load_model", load_model)

    def call(method="class_saliency", out="out", **given):
        given = {"preprocessing": "unit", "threads": None, "shard_size": 3, **given}
        return batch.run(method, given.pop("model", model_file), given.pop("images", photos), tmp_path / out, **given)

    return call


@pytest.fixture
def contents():
    """Return every file of a folder, by its path."""

    def read(folder):
        return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}

    return read
