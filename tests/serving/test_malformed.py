"""A bad request gets an error, and the next one its answer: nothing that is sent ends the process."""

import cv2
import numpy as np
import pytest

from kerasal.models.saved_models import check_saved_model

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


def test_damaged_images_get_an_answer_or_an_error_and_nothing_dies(served, consume, batch):
    """Cut off, with bits flipped, or overwritten: what decoders of JPEG and PNG have died of elsewhere."""
    random, requests = np.random.default_rng(0), []
    photo = random.integers(0, 255, (40, 50, 3), np.uint8)
    files = [cv2.imencode(suffix, photo)[1].tobytes() for suffix in (".jpg", ".png")]
    for number in range(120):
        content = bytearray(files[number % 2])
        place = int(random.integers(len(content)))
        if number % 3 == 0:
            del content[place:]
        elif number % 3 == 1:
            content[place] ^= 1 << int(random.integers(8))
        else:
            content[place : place + 16] = bytes(len(content[place : place + 16]))
        requests.append(("predict_bytes", {"image_bytes": np.array([bytes(content)], dtype=object)}))
    good = ("class_saliency", {"inputs": batch})
    replies = consume(served[1], [good, *requests, good])
    assert all("error" in one or np.isfinite(one["scores"]).all() for one in replies[1:-1])
    assert sum("error" in one for one in replies) > 20
    np.testing.assert_array_equal(replies[0]["map"], replies[-1]["map"])


def test_an_export_of_every_kind_of_signature_only_computes(served):
    check_saved_model(served[1])
