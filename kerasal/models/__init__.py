"""Models by name or file, and a model with the way it takes images."""

from kerasal import _keras as _keras
