"""Checks of integer inputs, such as token indices and categories, before a model runs on them."""

from typing import Any

import numpy as np

from kerasal.hooks import paths

import keras


def refuse_words(name: str, value: Any) -> None:
    """Raise a TypeError if a value for an integer input is a text or holds texts, not indices."""
    first = value
    while isinstance(first, (list, tuple, np.ndarray)) and len(first):
        first = first[0]
    if isinstance(first, (str, bytes)):
        raise TypeError(
            f"Input {name!r} must hold integers, got {first!r}. Convert words to their indices in the model's "
            "vocabulary first, as by keras.layers.TextVectorization."
        )


def convert_integers(name: str, array: np.ndarray, dtype: str) -> np.ndarray:
    """Return an array of whole numbers in the type of an integer input.

    Raises:
        TypeError: a value is not whole or does not fit into the type.
    """
    with np.errstate(invalid="ignore"):
        converted = array.astype(dtype)
    wrong = converted != array
    if np.any(wrong):
        raise TypeError(
            f"Input {name!r} must hold whole numbers, got values that are not in {dtype}, first {array[wrong][0]}. "
            "Pass the indices themselves."
        )
    return converted


def check_vocabulary(model: keras.Model, number: int, name: str, array: np.ndarray) -> None:
    """Raise an error if an index is outside of an embedding that reads this input of a functional model directly.

    TensorFlow would stop with an error of the graph on a CPU, return zeros on a GPU, and count a negative index from
    the end.

    Raises:
        ValueError: an index is negative or not below the size of the embedding.
    """
    for path, layer in _embeddings(model, number):
        wrong = array[(array < 0) | (array >= layer.input_dim)]
        if wrong.size:
            raise ValueError(
                f"Input {name!r} must hold indices in 0..{layer.input_dim - 1} for the layer {path!r}, which has "
                f"{layer.input_dim}, got {wrong[0]}. Replace words that are not in the vocabulary by its index for "
                "unknown words."
            )


def _embeddings(model: keras.Model, number: int) -> list[tuple[str, keras.layers.Embedding]]:
    """Return (path, layer) of each embedding that reads input ``number`` of a functional model."""
    tensors = getattr(model, "inputs", None) or []
    history = getattr(tensors[number], "_keras_history", None) if number < len(tensors) else None
    if history is None:
        return []
    readers = {id(node.operation) for node in history.operation._outbound_nodes}  # also of other models
    layers = paths.layers(model)
    return [
        (path, layer) for path, layer in layers if id(layer) in readers and isinstance(layer, keras.layers.Embedding)
    ]
