"""Random changes of the training images, drawn anew each epoch: shifted, scaled, mirrored."""

import dataclasses

import numpy as np

from kerasal.checks import check_number

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How far training images are changed; nothing is, by default.

    What is drawn into view is the image mirrored at its edge; values between pixels are interpolated linearly.

    Attributes:
        shift: up to this share of its sides, each way, uniformly.
        scale: up to 1 + this times as large, or as small, uniformly in the logarithm.
        flip: a random half are mirrored left to right. Not for what that makes into something else: digits, letters,
            left and right hands.

    Raises:
        ValueError: a shift not in 0..0.5, or a scale not in 0..1.
    """

    shift: float = 0.0
    scale: float = 0.0
    flip: bool = False

    def __post_init__(self):
        """Check the ranges."""
        for name, most in (("shift", 0.5), ("scale", 1.0)):
            check_number(name, getattr(self, name), minimum=0, maximum=most)

    def __bool__(self) -> bool:
        return bool(self.shift or self.scale or self.flip)

    def draw(self, count: int, random: np.random.Generator) -> np.ndarray:
        """Draw for each of ``count`` images: shift down and right in shares of its sides, size, and -1 if mirrored."""
        shifts = random.uniform(-self.shift, self.shift, (count, 2))
        sizes = np.exp(random.uniform(-1, 1, count) * np.log1p(self.scale))
        sides = np.where(random.random(count) < 0.5 * self.flip, -1.0, 1.0)
        return np.column_stack([shifts, sizes, sides])

    def apply(self, images: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        """Return float32 images (N, H, W, C), changed as ``drawn`` (N, 4) says."""
        height, width = images.shape[1:3]
        middle = (np.array([height, width]) - 1) / 2
        down, right, size, side = drawn.T
        rows = middle[0] - (middle[0] + down * height) / size
        columns = middle[1] - (middle[1] + right * width) * side / size
        zeros = np.zeros(len(drawn))
        # Output (x, y) shows the input at (a·x + b·y + c, d·x + e·y + f); the last two are of a perspective.
        matrices = np.column_stack([side / size, zeros, columns, zeros, 1 / size, rows, zeros, zeros])
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=matrices.astype(np.float32),
            output_shape=[height, width],
            interpolation="BILINEAR",
            fill_mode="REFLECT",
            fill_value=0.0,
        ).numpy()
