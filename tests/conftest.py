"""What all tests share: quiet TensorFlow, and where the real data lie."""

import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest


@pytest.fixture(scope="session")
def data_folder() -> pathlib.Path:
    """The folder of real data: ``KERASAL_DATA``, or ``shared/data`` beside the checkout; skips where there is none."""
    named = os.environ.get("KERASAL_DATA")
    folder = pathlib.Path(named) if named else pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs real data in {folder}; set KERASAL_DATA")
    return folder
