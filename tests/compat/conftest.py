"""The model that most tests of the drop-in use."""

import pytest

from tests.compat.pairs import flat_model


@pytest.fixture(scope="session")
def model():
    return flat_model()
