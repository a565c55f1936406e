"""KServe's model server over one SavedModel, with the REST bodies of TensorFlow Serving: rows, columns and base64.

    python kserve_server.py MODEL PORT

KServe brings the HTTP server and its v1 protocol, whose address and bodies are TensorFlow Serving's; this adapter turns
JSON into the tensors that a signature declares, and back. It is no TensorFlow Serving.
"""

import base64
import sys

import kserve
import numpy as np
from kserve.errors import InvalidInput

import tensorflow as tf

path, port = sys.argv[1:]


def plain(value):
    """Replace {"b64": …} by its bytes, at any depth."""
    if isinstance(value, dict) and set(value) == {"b64"}:
        return base64.b64decode(value["b64"])
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def shown(value):
    """Turn an array into JSON values."""
    if value.dtype == object:
        return np.vectorize(lambda text: text.decode(), otypes=[object])(value).tolist()
    return value.tolist()


class Served(kserve.Model):
    def load(self):
        self.signatures = tf.saved_model.load(path).signatures
        self.ready = True
        return True

    def predict(self, payload, headers=None, response_headers=None):
        name = payload.get("signature_name", "serving_default")
        try:
            function = self.signatures[name]
            specs = function.structured_input_signature[1]
            by_row = "instances" in payload
            given = plain(payload["instances"] if by_row else payload["inputs"])
            if by_row and isinstance(given[0], dict):
                given = {key: [row[key] for row in given] for key in given[0]}
            if not isinstance(given, dict):
                given = {next(iter(specs)): given}
            tensors = {key: tf.constant(value, specs[key].dtype) for key, value in given.items()}
            answers = {key: shown(value.numpy()) for key, value in function(**tensors).items()}
        except Exception as error:
            raise InvalidInput(str(error)[:500]) from error
        only = next(iter(answers.values())) if len(answers) == 1 else None
        if not by_row:
            return {"outputs": answers if only is None else only}
        rows = [dict(zip(answers, row, strict=True)) for row in zip(*answers.values(), strict=True)]
        return {"predictions": rows if only is None else only}


model = Served("net")
model.load()
kserve.ModelServer(http_port=int(port), workers=1, enable_grpc=False).start([model])
