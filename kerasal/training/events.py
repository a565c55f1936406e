"""Event files for TensorBoard. Summaries are written as TensorBoard's own package would, which need not be here."""

import io
import pathlib

import numpy as np
from PIL import Image

import tensorflow as tf

_DATA = tf.compat.v1.SummaryMetadata


class Events:
    """Scalars and pictures in a folder that TensorBoard reads."""

    def __init__(self, path: pathlib.Path):
        self._writer = tf.summary.create_file_writer(str(path))

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Add one number."""
        self._write(tag, tf.constant(value, tf.float32), step, "scalars", 1)

    def picture(self, tag: str, picture: np.ndarray, step: int) -> None:
        """Add one picture, uint8 (H, W, 3)."""
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "PNG")
        height, width = picture.shape[:2]
        self._write(tag, tf.constant([str(width), str(height), file.getvalue()]), step, "images", 3)

    def flush(self) -> None:
        """Bring everything to the file."""
        self._writer.flush()

    def close(self) -> None:
        """End the file."""
        self._writer.close()

    def _write(self, tag: str, tensor: tf.Tensor, step: int, plugin: str, kind: int) -> None:
        metadata = _DATA(plugin_data=_DATA.PluginData(plugin_name=plugin), data_class=kind)
        with self._writer.as_default():
            tf.summary.write(tag, tensor, step=step, metadata=metadata)
