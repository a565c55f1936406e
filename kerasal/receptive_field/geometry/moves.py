"""How one axis of a map follows from that of the map below, whatever its length: forwards lengths, backwards ranges.

``length(inputs)``       how many values come out of ``inputs`` values
``back(first, last, inputs)``  the inputs, first to last and both inclusive, that the outputs first to last look at
``jump``                 how far apart neighbouring outputs lie, in neighbouring inputs

Ranges are arrays, (units,), and are not cut to the map: what lies outside it is padding.
"""

import dataclasses
from fractions import Fraction

import numpy as np

from kerasal.hooks.operations import Sliding

# The range that looks at nothing: its first is after its last, and stays so when it is joined with others.
NOTHING = (2**40, -(2**40))


@dataclasses.dataclass(frozen=True)
class Slide:
    """A convolution, pooling, padding or cropping: output o looks at o·t - p, …, o·t - p + (k-1)·d."""

    kernel: Sliding

    @property
    def jump(self) -> Fraction:
        return Fraction(self.kernel.stride)

    def length(self, inputs: int) -> int:
        return self.kernel.length(inputs)

    def back(self, first, last, inputs: int):
        start = -self.kernel.before(inputs)
        return first * self.kernel.stride + start, last * self.kernel.stride + start + self.kernel.extent - 1


@dataclasses.dataclass(frozen=True)
class Mirror(Slide):
    """A padding by the map's own reflection: what lies outside of it are values of the map again.

    ``repeats`` is 1 where the value at the border stands there twice (SYMMETRIC), 0 where it does not (REFLECT).
    """

    repeats: int

    def length(self, inputs: int) -> int:
        fits = max(self.kernel.padding) < inputs + self.repeats
        return super().length(inputs) if fits else 0

    def back(self, first, last, inputs: int):
        first, last = self.unfolded(np.maximum(first, 0), np.minimum(last, self.length(inputs) - 1), inputs)
        mirrored = [
            (np.maximum(first, 0), np.minimum(last, inputs - 1)),
            (-np.minimum(last, -1) - self.repeats, -first - self.repeats),
            (2 * inputs - 2 + self.repeats - last, 2 * inputs - 2 + self.repeats - np.maximum(first, inputs)),
        ]
        seen = [(first <= last) & (low <= high) for low, high in mirrored]
        lows = [np.where(one, low, NOTHING[0]) for one, (low, _) in zip(seen, mirrored, strict=True)]
        highs = [np.where(one, high, NOTHING[1]) for one, (_, high) in zip(seen, mirrored, strict=True)]
        return np.minimum.reduce(lows), np.maximum.reduce(highs)

    def unfolded(self, first, last, inputs: int):
        """Return the range before reflection, which reaches outside of the map where outputs look at the padding."""
        return super().back(first, last, inputs)


@dataclasses.dataclass(frozen=True)
class Spread:
    """A transposed convolution: input i reaches the outputs i·t - p, …, i·t - p + (k-1)·d.

    ``extra`` is how many outputs there are beyond t times the inputs.
    """

    kernel: Sliding
    extra: int

    @property
    def jump(self) -> Fraction:
        return Fraction(1, self.kernel.stride)

    def length(self, inputs: int) -> int:
        return inputs * self.kernel.stride + self.extra

    def back(self, first, last, inputs: int):
        kernel = self.kernel
        before = kernel.before(self.length(inputs))
        return -(-(first + before - kernel.extent + 1) // kernel.stride), (last + before) // kernel.stride


@dataclasses.dataclass(frozen=True)
class Resize:
    """An enlargement or reduction by ``factor``: output o looks around (o + ½) / factor - ½, or o / factor.

    ``reach`` is how many inputs beyond the nearest ones on either side take part: 0 bilinear, 1 bicubic, None nearest.
    """

    factor: Fraction
    reach: int | None
    centred: bool

    @property
    def jump(self) -> Fraction:
        return 1 / self.factor

    def length(self, inputs: int) -> int:
        return int(inputs * self.factor)

    def back(self, first, last, inputs: int):
        up, down = self.factor.numerator, self.factor.denominator
        shift = 1 if self.centred else 0
        if self.reach is None:
            return ((2 * first + shift) * down) // (2 * up), ((2 * last + shift) * down) // (2 * up)
        low, high = ((2 * end + shift) * down - shift * up for end in (first, last))  # in 2·up-ths of an input
        low, high = low // (2 * up), -(-high // (2 * up))
        beyond = np.where(low == high, 0, self.reach)  # exactly on an input, its neighbours weigh nothing
        return (low - beyond, high + beyond) if self.reach else (low, high)
