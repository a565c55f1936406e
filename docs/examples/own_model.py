"""stripes_cnn: two convolutions that tell horizontal from vertical stripes.

This docstring is the model's card: what it is, where it is from, what was measured and by which command, what it is bad
at. `kerasal card stripes_cnn` prints it.
"""

from kerasal.models.registry import register

import keras


@register(
    preprocessing="unit",  # how it wants its pixels: `kerasal attribute METHOD stripes_cnn PHOTO.jpg` needs no -p
    task="classification",
    input_shape=(32, 32, 3),
    parameters=1_402,
    reference="the documentation of kerasal",
)
def stripes_cnn(*, classes: int = 2) -> keras.Model:
    """Build the stripes net; ``classes`` is how many directions it tells apart."""
    image = tensor = keras.Input((32, 32, 3), name="image")
    for number, filters in enumerate((8, 16), 1):
        tensor = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv{number}")(tensor)
        tensor = keras.layers.MaxPooling2D(name=f"pool{number}")(tensor)
    tensor = keras.layers.GlobalAveragePooling2D(name="mean")(tensor)
    return keras.Model(image, keras.layers.Dense(classes, activation="softmax", name="predictions")(tensor))
