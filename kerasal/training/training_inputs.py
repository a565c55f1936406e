"""What a classifier is trained on, by number: arrays as they are, or images of class folders, prepared as it wants."""

import concurrent.futures
from collections.abc import Iterator

import numpy as np

from kerasal.datasets.labeled_images import ClassImages
from kerasal.digests import digest
from kerasal.preprocessing import Preprocessing
from kerasal.training.arrays import Labelled, checked
from kerasal.training.augmentation import Augmentation

_AT_ONCE = 20_000_000  # values in a batch that is only measured


class Inputs:
    """Model inputs and labels of one part of the data; ``labels`` is int32 (N,)."""

    def __init__(self, source: Labelled | ClassImages, convention: Preprocessing | None):
        self._source, self._convention = source, convention
        self.labels = source.labels if isinstance(source, ClassImages) else source[1]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: np.ndarray) -> np.ndarray:
        """Return the model inputs of some numbers, float32 (n, H, W, C)."""
        if isinstance(self._source, ClassImages):
            return self._convention.apply(self._source.take(index))
        return self._source[0][index]

    def digest(self) -> str:
        """Return what tells these data from others."""
        if not isinstance(self._source, ClassImages):
            return digest(*self._source)
        return digest(self._source.digest(), self._convention.mean, self._convention.std, self._convention.bgr)

    def batches(
        self, order: np.ndarray, batch_size: int, changes: tuple[Augmentation, np.ndarray] | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (inputs, labels) of every batch, gathered by a thread while the one before is computed.

        ``changes`` are an augmentation and what it drew for each image of the ``order``.
        """

        def gathered(start: int):
            index = order[start : start + batch_size]
            images = self.take(index)
            if changes is not None:
                images = changes[0].apply(images, changes[1][start : start + batch_size])
            return images, self.labels[index]

        with concurrent.futures.ThreadPoolExecutor(1) as ahead:
            following = ahead.submit(gathered, 0)
            for start in range(0, len(order), batch_size):
                ready = following.result()
                if start + batch_size < len(order):
                    following = ahead.submit(gathered, start + batch_size)
                yield ready

    def measured_batches(self, most: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (inputs, labels) of all images in their order, at most so many at once as memory bears."""
        each = max(1, int(np.prod(self.take(np.arange(1)).shape[1:])))
        yield from self.batches(np.arange(len(self)), max(1, min(most, _AT_ONCE // each)))


def inputs_of(data: Labelled | ClassImages, what: str, model, convention: Preprocessing | None) -> Inputs:
    """Check ``data`` against what ``model`` takes and gives.

    Raises:
        ValueError: other shapes or numbers of classes than the model's, no convention for pixels, or bad arrays.
    """
    shape, classes = model.input_shape[1:], model.output_shape[-1]
    if not isinstance(data, ClassImages):
        return Inputs(checked(data, what, shape, classes), None)
    if len(shape) != 3 or any(a not in (None, b) for a, b in zip(shape, data.shape, strict=True)):
        raise ValueError(f"{model.name} takes images {shape}, the {what} images are {data.shape}. Open them so.")
    if len(data.names) != classes:
        raise ValueError(
            f"{model.name} has {classes} outputs and the {what} images have {len(data.names)} classes. A zoo model "
            f"takes classes={len(data.names)}; give another model an output layer of that size."
        )
    if convention is None:
        raise ValueError(f'How does {model.name} want its pixels? Say preprocessing="caffe", "unit" or another.')
    return Inputs(data, convention)
