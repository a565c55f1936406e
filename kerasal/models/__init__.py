"""Models by name or file, with the preprocessing and the labels they need to classify images.

``registry``       the named models of the zoo and their weights
``open_model``     a path, a zoo name or a Keras model -> ``ImageModel``
``ImageModel``     a model with its preprocessing and labels: images -> inputs -> scores with class names
``from_function``  any function of a batch -> a Keras model that calls it
``open_source``    files, arrays or a ``tf.data.Dataset`` -> numbered model inputs in batches
"""

from kerasal import _keras as _keras
from kerasal.models.function_model import from_function
from kerasal.models.image_model import ImageModel
from kerasal.models.image_sources import mean_input, open_source
from kerasal.models.opener import open_model
from kerasal.preprocessing import NoPreprocessing

__all__ = ["ImageModel", "NoPreprocessing", "from_function", "mean_input", "open_model", "open_source"]


def __dir__() -> list[str]:
    return sorted(__all__)
