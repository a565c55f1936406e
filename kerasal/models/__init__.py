"""Models by name or file, and a model with the way it takes images.

``registry``       the models that have names, and their weights
``open_model``     a path, a zoo name or a Keras model -> an ``ImageModel``
``ImageModel``     images -> inputs -> the picture that the model saw, and scores with labels
``open_source``    files, arrays or a stream of images -> numbered model inputs in batches
"""

from kerasal import _keras as _keras
from kerasal.models.image_model import ImageModel
from kerasal.models.image_sources import mean_input, open_source
from kerasal.models.opener import open_model
from kerasal.preprocessing import NoPreprocessing

__all__ = ["ImageModel", "NoPreprocessing", "mean_input", "open_model", "open_source"]


def __dir__() -> list[str]:
    return sorted(__all__)
