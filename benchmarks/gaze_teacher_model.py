"""The teacher of the gaze model: DINOv2 ViT-S/14 with a readout of log-densities, for ``gaze_teacher.py``."""

from dinov2_classifier import load_backbone

from kerasal.layers import CenterBias, GaussianBlur, LogDensity

import keras

TAPS = (5, 8, 11)
"""The blocks, numbered from 0, whose tokens the readout combines. Those up to the second last stay frozen."""
_PATCH = 14


class Teacher:
    """The teacher and its parts, which share their weights.

    Attributes:
        model: from images (N, H, W, 3) to log-densities (N, h, w) in nats.
        lower: from images to the tokens of all taps, each (N, 1 + H/14 · W/14, 384).
        readout: from the tokens of all taps to log-densities; only the readout's own layers are trained.
        tuned: from the tokens of all taps but the last to log-densities; the blocks above them are trained, too.
        map_size: (h, w), two cells for each patch and side.
    """

    def __init__(self, backbone, size, *, width=96, dropout=0.2, seed=0):
        keras.utils.set_random_seed(seed)
        self.rows, self.columns = size[0] // _PATCH, size[1] // _PATCH
        self.map_size = 2 * self.rows, 2 * self.columns
        network = load_backbone(backbone, size)
        network.trainable = True
        outputs = [network.get_layer(f"block{tap}_add2").output for tap in TAPS]
        self.lower = keras.Model(network.input, outputs)
        self.model = keras.Model(network.input, self._readout(outputs, width, dropout), name="gaze_teacher")
        self.readout = keras.Model(outputs, self.model.output, name="readout")
        self.tuned = keras.Model(outputs[:-1], self.model.output, name="tuned")

    def _readout(self, tokens, width, dropout):
        layers = keras.layers
        grids = []
        for tap, tensor in zip(TAPS, tokens, strict=True):
            tensor = layers.LayerNormalization(epsilon=1e-6, name=f"norm{tap}")(tensor[:, 1:])
            tensor = layers.Reshape((self.rows, self.columns, tensor.shape[-1]), name=f"grid{tap}")(tensor)
            tensor = layers.SpatialDropout2D(dropout, name=f"dropout{tap}")(tensor)
            grids.append(layers.Conv2D(width, 1, name=f"read{tap}")(tensor))
        tensor = layers.Activation("gelu")(layers.Add(name="taps")(grids))
        tensor = layers.Conv2D(width, 3, padding="same", activation="gelu", name="combine")(tensor)
        tensor = layers.UpSampling2D(2, interpolation="bilinear", name="enlarge")(tensor)
        tensor = layers.Conv2D(width // 2, 3, padding="same", activation="gelu", name="refine")(tensor)
        tensor = layers.Reshape(self.map_size, name="map")(layers.Conv2D(1, 1, name="score")(tensor))
        tensor = GaussianBlur(1.0, name="blur")(tensor)
        tensor = CenterBias(0.25, 1.0, mode="add", name="center_prior")(tensor)
        return LogDensity(name="log_density")(tensor)
