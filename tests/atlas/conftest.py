"""What the tests of the atlas share: a small site, built once, with names that nobody should trust."""

import pathlib
import sys

import numpy as np
import pytest

from kerasal import images

sys.path.insert(0, str(pathlib.Path(__file__).parent))  # for atlas_pages: pytest imports tests by path, not by name

LABELS = ["<script>alert(1)</script>", "b & c", "d", "e", "f", "g"]


@pytest.fixture(scope="session")
def photographs(tmp_path_factory) -> pathlib.Path:
    """Five images and one that is none; their names are hostile."""
    folder = tmp_path_factory.mktemp("photographs")
    random = np.random.default_rng(0)
    for name in ("a", "b", "<script>x", 'quote"onerror=1', "index"):
        images.write(folder / f"{name}.png", random.integers(0, 256, (12, 16, 3), np.uint8))
    (folder / "torn.jpg").write_bytes(b"\xff\xd8\xff")
    return folder


@pytest.fixture(scope="session")
def site(shared_model, photographs, tmp_path_factory):
    """A whole atlas of the tiny net: (folder, what ``build`` returned)."""
    from kerasal import atlas

    folder = tmp_path_factory.mktemp("atlas") / "site"
    built = atlas.build(
        shared_model("functional"),
        folder,
        images=photographs,
        preprocessing="unit",
        labels=LABELS,
        name="net <b>",
        channels=4,
        command="kerasal atlas /a/folder/with/a/long/name/and/a/model.keras -p unit --images photographs -o site",
    )
    return folder, built
