"""Encoded JPEG and PNG files, in the graph: their size is read before they are decoded."""

from kerasal.serving import guards

import tensorflow as tf

MAX_PIXELS = 50_000_000
"""The pixels that an encoded image may have; more are refused before decoding, which takes 3 or 4 bytes for each."""

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER = 24
_JPEG = b"\xff\xd8\xff"


def decode(contents: tf.Tensor) -> tf.Tensor:
    """Decode one JPEG or PNG file, a scalar string, to uint8 RGB (H, W, 3); transparency is laid on white."""
    # A PNG shorter than its header would be named, with all its bytes, by the operation that reads the header.
    is_png = (tf.strings.substr(contents, 0, len(_PNG)) == _PNG) & (tf.strings.length(contents) >= _PNG_HEADER)
    is_jpeg = tf.strings.substr(contents, 0, len(_JPEG)) == _JPEG
    known = "Expected the bytes of a JPEG or PNG file."
    contents = guards.require(is_png | is_jpeg, known, contents)
    size = tf.cond(is_png, lambda: _png_size(contents), lambda: _jpeg_size(contents))
    pixels = tf.reduce_prod(tf.cast(size, tf.float64))
    limit = f"An image has from 1 pixel to {MAX_PIXELS // 10**6} megapixels."
    fits = (tf.reduce_min(size) > 0) & (pixels <= MAX_PIXELS)
    contents = guards.require(fits, limit, contents, shown=size)
    image = tf.cond(is_png, lambda: _png(contents), lambda: _jpeg(contents))
    return tf.ensure_shape(image, (None, None, 3))


def _png_size(contents):
    """Read width and height from the header, which by the standard comes first."""
    return tf.io.decode_raw(tf.strings.substr(contents, 16, 8), tf.int32, little_endian=False)


def _jpeg_size(contents):
    return tf.image.extract_jpeg_shape(contents)[:2]


def _jpeg(contents):
    return tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE")


def _png(contents):
    # With the channels that the file has: asked for four, TensorFlow makes palettes of few bits nearly transparent.
    image = tf.io.decode_png(contents)
    channels = tf.shape(image)[2]
    color = tf.cond(channels < 3, lambda: tf.repeat(image[..., :1], 3, axis=2), lambda: image[..., :3])
    return tf.cond(channels % 2 == 0, lambda: _on_white(color, image[..., -1:]), lambda: color)


def _on_white(color, cover):
    share = tf.cast(cover, tf.float32) / 255
    return tf.cast(tf.round(tf.cast(color, tf.float32) * share + 255 * (1 - share)), tf.uint8)
