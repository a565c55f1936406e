"""From the MODEL argument to an opened model, whose notes are printed on the error stream."""

from kerasal.cli.options import options_of
from kerasal.cli.session import remark
from kerasal.process import load_tensorflow


class OpenedModel:
    """An ``ImageModel`` under the names that the commands still use; they are to use it itself."""

    def __init__(self, image_model):
        self.image_model = image_model
        self.model, self.how = image_model.keras_model, image_model.name
        self.untrained = image_model.untrained

    preprocessing = property(lambda self: self.image_model.preprocessing)
    labels = property(lambda self: self.image_model.labels)

    def size(self, photograph=None):
        """Return the (height, width) that the model takes."""
        return self.image_model.input_size(photograph)

    def shape(self):
        """Return the declared input shape."""
        return self.image_model.shape

    def show(self, photograph, fit="crop", scale=1.0):
        """Return what the model sees, and its input."""
        self.image_model.fit = fit
        return self.image_model.show(photograph, scale=scale)


def open_model(
    text: str,
    *,
    preprocessing: str | None = None,
    labels: str | None = None,
    weights: str | None = None,
    net_options: list[str] | None = None,
    unsafe: bool = False,
) -> OpenedModel:
    """Load what MODEL names, and say on the error stream what had to be assumed."""
    options = options_of(net_options)
    load_tensorflow()
    from kerasal import models

    opened = models.open_model(
        text, preprocessing=preprocessing, labels=labels, weights=weights, options=options, unsafe=unsafe
    )
    for note in opened.notes:
        remark(note)
    return OpenedModel(opened)
