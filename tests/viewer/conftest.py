"""What the tests of the live page share: a small opened model and a colored photo."""

import numpy as np
import pytest

import kerasal

LABELS = ["ant", "bee", "cat, tabby", "dog", "eel", "fox"]


@pytest.fixture(scope="session")
def opened(shared_model):
    """The small model with preprocessing and labels."""
    return kerasal.open_model(shared_model("functional"), preprocessing="unit", labels=LABELS)


@pytest.fixture
def photo(tmp_path):
    """A photo of 24 × 40 pixels, red at the left and blue at the right, as a file."""
    pixels = np.random.default_rng(0).integers(0, 60, (24, 40, 3)).astype(np.uint8)
    pixels[:, :20, 0] += 180
    pixels[:, 20:, 2] += 180
    return kerasal.images.write(tmp_path / "photos" / "two.png", pixels)
