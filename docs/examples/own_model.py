"""stripes_cnn: two convolutions that distinguish horizontal from vertical stripes.

This docstring is the model card: what the model is, its source, measured results with their
command, and limits. `kerasal card stripes_cnn` prints it.
"""

from kerasal.models.registry import register

import keras


@register(
    preprocessing="unit",  # so `kerasal attribute METHOD stripes_cnn PHOTO.jpg` needs no -p
    task="classification",
    input_shape=(32, 32, 3),
    parameters=1_402,
    reference="the documentation of kerasal",
)
def stripes_cnn(*, classes: int = 2) -> keras.Model:
    """Build the model; ``classes`` is the number of directions."""
    image = tensor = keras.Input((32, 32, 3), name="image")
    for number, filters in enumerate((8, 16), 1):
        convolution = keras.layers.Conv2D(filters, 3, padding="same", name=f"conv{number}")
        tensor = keras.layers.ReLU()(convolution(tensor))
        tensor = keras.layers.MaxPooling2D(name=f"pool{number}")(tensor)
    tensor = keras.layers.GlobalAveragePooling2D(name="mean")(tensor)
    output = keras.layers.Dense(classes, activation="softmax", name="predictions")(tensor)
    return keras.Model(image, output)
