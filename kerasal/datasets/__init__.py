"""Data sets as arrays: read, checked, and never preprocessed here.

* ``mnist(path=None)``: the handwritten digits, from a local file or folder, or downloaded where no path is given.
* ``digits()``: twenty of its test images, two of each class, which ship with the package.

Images are uint8, 0..255. Every reader refuses what it does not recognise, and nothing stored is ever executed.
"""

from kerasal.datasets.mnist import digits as digits
from kerasal.datasets.mnist import mnist as mnist

__all__ = ["digits", "mnist"]
