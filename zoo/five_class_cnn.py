"""five_class_cnn: four convolutions that tell five things apart in photographs.

Source: Tang, Yao, Jiang & Liu, "How the Deep Convolutional Networks see the world", sections 1.3 and 4.1: four times
[3×3 convolution in steps of 2 with ReLU, 32, 64, 128 and 128 channels; 2×2 max-pooling; batch normalization], a dense
layer of 128 with ReLU, dropout .3, and a softmax over goldfish, Siberian husky, lemon, ostrich and green snake. The
source leaves size and padding open: 224 pixels and "same" here, which gives 112, 56 > 28, 14 > 7, 3 > 2, 1, so 128
features and 259,397 parameters ("valid" convolutions would leave nothing). Its two sections disagree on where the
normalization stands; after the pooling here, as in section 1.3. The momentum of its moving means is .9: with Keras' .99
the net at inference was still at chance, .22 of the test images, after two epochs of 79 steps; with .9 it had .77.

``stride=1`` is the other reading of its sizes (3,454,277 parameters, and it takes images from 16 pixels on);
``classes`` is their number. Input: (224, 224, 3), pixels / 255 (preprocessing "unit"), or ``input_shape`` of at least
171 pixels. Output: probabilities.

The source reports accuracies of .879 on 2,312 training and .801 on 578 test images after 5 epochs of Adam. These are
its figures, on its photographs. No weights ship. The net is trained on class folders of your own by

    kerasal train five_class_cnn --data FOLDER

that is Adam, learning rate .001, batches of 32, seed 0 and 5 epochs. On goldfish, lemon, king penguin, golden retriever
and boa constrictor of Tiny ImageNet (64 × 64 photographs, enlarged; three of these classes stand in for the source's)
that gave .785 on 2,500 training and .716 on 250 test images; ``notebooks/how_convnets_see.ipynb`` does and shows it.
"""

from kerasal.checks import check_int, check_size
from kerasal.models.registry import register

import keras

_FILTERS = (32, 64, 128, 128)
_MOMENTUM = 0.9


@register(
    preprocessing="unit",
    task="classification",
    input_shape=(224, 224, 3),
    parameters=259_397,
    reference='Tang, Yao, Jiang & Liu, "How the Deep Convolutional Networks see the world", sections 1.3 and 4',
    recipe={"data": "folders", "epochs": 5, "batch_size": 32, "learning_rate": 1e-3, "seed": 0},
)
def five_class_cnn(
    *,
    stride: int = 2,
    classes: int = 5,
    input_shape: tuple = (224, 224, 3),
    classifier_activation: str | None = "softmax",
) -> keras.Model:
    """Build the five-class net; ``stride`` is that of all convolutions, 2 as the source says, or 1."""
    if stride not in (1, 2):
        raise ValueError(f"stride is 2 (the source's) or 1 (the other reading of it). Received: {stride!r}.")
    check_int("classes", classes, 2)
    check_size("input_shape", input_shape, ("H", "W", "C"))
    layers = keras.layers
    tensor = inputs = keras.Input(tuple(input_shape), name="image")
    for number, filters in enumerate(_FILTERS, start=1):
        convolution = layers.Conv2D(filters, 3, strides=stride, padding="same", activation="relu", name=f"conv{number}")
        tensor = convolution(tensor)
        if min(tensor.shape[1:3]) < 2:
            raise ValueError(
                f"input_shape {tuple(input_shape)} is too small for stride={stride}: pool{number} would get "
                f"{tensor.shape[1]} × {tensor.shape[2]} values, and needs 2 × 2."
            )
        tensor = layers.MaxPooling2D(2, name=f"pool{number}")(tensor)
        tensor = layers.BatchNormalization(momentum=_MOMENTUM, name=f"norm{number}")(tensor)
    tensor = layers.Flatten(name="flatten")(tensor)
    tensor = layers.Dense(128, activation="relu", name="dense")(tensor)
    tensor = layers.Dropout(0.3, name="dropout")(tensor)
    outputs = layers.Dense(classes, activation=classifier_activation, name="predictions")(tensor)
    return keras.Model(inputs, outputs, name="five_class_cnn")
