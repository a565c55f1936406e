"""A bad request gets an error, and the next one its answer: nothing that is sent ends the process."""

import numpy as np
import pytest

pytestmark = pytest.mark.slow  # exports take seconds each


def test_a_bad_request_gets_an_error_and_nothing_dies(served, consume, malformed, batch):
    requests = []
    for signature, inputs, _ in malformed.values():
        requests += [(signature, inputs), ("class_saliency", {"inputs": batch})]  # after each a good one
    replies = consume(served[1], requests)
    for (name, (_, _, says)), bad, good in zip(malformed.items(), replies[::2], replies[1::2], strict=True):
        assert says in str(bad.get("error", "an answer")), (name, bad)
        assert "error" in bad, (name, bad)
        np.testing.assert_array_equal(good["map"], replies[1]["map"])
