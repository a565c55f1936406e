"""Requests that no server should die of: (signature, inputs, what the error says)."""

import struct
import zlib

import numpy as np


def png_claiming(width, height):
    """Return a PNG that says it is large and is not."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"0")) + chunk(b"IEND", b"")


def _floats(*shape, fill=0.0):
    return np.full(shape, fill, np.float32)


def _file(contents):
    return np.array([contents], dtype=object)


_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
MALFORMED = {
    "a rank too low": ("class_saliency", {"inputs": _floats(8, 8, 3)}, "not compatible with expected shape"),
    "a rank too low for maps": ("guided_backprop", {"inputs": _floats(8)}, "not compatible with expected shape"),
    "a rank too high": ("serving_default", {"inputs": _floats(1, 1, 8, 8, 3)}, "not compatible with expected shape"),
    "another size": ("gradcam", {"inputs": _floats(1, 9, 8, 3)}, "not compatible with expected shape"),
    "no rows": ("class_saliency", {"inputs": _floats(0, 8, 8, 3)}, "inputs must have at least one row"),
    "no files": ("predict_bytes", {"image_bytes": np.zeros(0, "S1")}, "image_bytes must have at least one row"),
    "NaN": ("smoothgrad", {"inputs": _floats(1, 8, 8, 3, fill=np.nan)}, "NaN"),
    "infinity": ("serving_default", {"inputs": _floats(1, 8, 8, 3, fill=np.inf)}, "Inf"),
    "no pixels": ("predict_image", {"images": np.zeros((1, 0, 5, 3), np.uint8)}, "images must have at least one pixel"),
    "four channels": ("predict_image", {"images": np.zeros((1, 5, 5, 4), np.uint8)}, "not compatible"),
    "a class that is not there": (
        "nine",
        {"inputs": _floats(1, 8, 8, 3), "class_index": np.int32([6])},
        "class_index must be in 0..5",
    ),
    "a class below 0": ("nine", {"inputs": _floats(1, 8, 8, 3), "class_index": np.int32([-1])}, "must be in 0..5"),
    "too few classes": (
        "nine",
        {"inputs": _floats(2, 8, 8, 3), "class_index": np.int32([1])},
        "as many rows as the first input",
    ),
    "no bytes": ("predict_bytes", {"image_bytes": _file(b"")}, "JPEG or PNG"),
    "junk": ("predict_bytes", {"image_bytes": _file(b"junk")}, "JPEG or PNG"),
    "another format": ("files", {"image_bytes": _file(b"GIF89a" + b"0" * 99), "class_index": np.int32([1])}, "JPEG"),
    "a JPEG's beginning": ("predict_bytes", {"image_bytes": _file(_JPEG)}, "Invalid JPEG"),
    "a JPEG of junk": ("predict_bytes", {"image_bytes": _file(_JPEG + b"0" * 500)}, "Invalid JPEG"),
    "a PNG's beginning": ("predict_bytes", {"image_bytes": _file(_PNG)}, "JPEG or PNG"),
    "a PNG of junk": ("predict_bytes", {"image_bytes": _file(_PNG + b"x" * 50)}, "megapixels"),
    "a PNG cut off": ("predict_bytes", {"image_bytes": _file(png_claiming(5, 5)[:40])}, "Invalid PNG"),
    "a PNG of 144 megapixels": ("predict_bytes", {"image_bytes": _file(png_claiming(12000, 12000))}, "12000 12000"),
    "a PNG of negative size": ("predict_bytes", {"image_bytes": _file(png_claiming(2**32 - 5, 2**32 - 5))}, "megapix"),
    "a PNG of no size": ("predict_bytes", {"image_bytes": _file(png_claiming(0, 0))}, "megapixels"),
}
WRONG_KIND = {
    "another key": ("serving_default", {"image": _floats(1, 8, 8, 3)}),
    "a key missing": ("nine", {"inputs": _floats(1, 8, 8, 3)}),
    "a key too many": ("serving_default", {"inputs": _floats(1, 8, 8, 3), "more": _floats(1)}),
    "whole numbers": ("class_saliency", {"inputs": np.zeros((1, 8, 8, 3), np.int32)}),
    "float images": ("predict_image", {"images": _floats(1, 8, 8, 3)}),
    "text for numbers": ("serving_default", {"inputs": _file(b"text")}),
    "numbers for text": ("predict_bytes", {"image_bytes": _floats(1)}),
}
