"""Checks of what a classifier is trained on, before anything is computed or written."""

import numpy as np

from kerasal.checks import refuse_mask

Labelled = tuple[np.ndarray, np.ndarray]


def checked(data: Labelled, what: str, image_shape: tuple[int | None, ...], classes: int) -> Labelled:
    """Return ``data`` as float32 images (N, H, W, C) and int32 labels (N,), or say what is wrong with ``what``.

    Raises:
        ValueError: no pair; no images; not float, of another shape than the model's, or not finite; labels that are
            not integers in 0..classes-1, one an image.
    """
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise ValueError(f"The {what} data is a pair (images, labels). Received: {type(data).__name__}.")
    refuse_mask(data, f"the {what} data")
    images, labels = np.asarray(data[0]), np.asarray(data[1])
    wanted = ", ".join("any" if size is None else str(size) for size in image_shape)
    if images.ndim != 1 + len(image_shape) or any(
        size not in (None, received) for size, received in zip(image_shape, images.shape[1:], strict=True)
    ):
        raise ValueError(f"The {what} images must have the model's shape (N, {wanted}). Received: {images.shape}.")
    if not images.size:
        raise ValueError(f"The {what} data is empty: there is nothing to compute. Received images of {images.shape}.")
    if images.dtype.kind != "f":
        raise ValueError(
            f"The {what} images must be preprocessed model inputs, float32. Received: {images.dtype}; apply "
            "kerasal.preprocessing first."
        )
    images = np.ascontiguousarray(images, dtype=np.float32)
    if not (np.isfinite(images.min()) and np.isfinite(images.max())):  # a NaN or an infinity is in one of the two
        first = int(np.flatnonzero(~np.isfinite(images).reshape(len(images), -1).all(axis=1))[0])
        raise ValueError(f"The {what} images must be finite. Image {first} (counted from 0) holds NaN or infinity.")
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise ValueError(
            f"The {what} labels must be {len(images)} integers, one an image (class numbers, not one-hot). "
            f"Received: {labels.dtype} of shape {labels.shape}."
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"The {what} labels must lie in 0..{classes - 1}, the model's {classes} outputs. "
            f"Received: {labels.min()}..{labels.max()}."
        )
    return images, labels.astype(np.int32)
