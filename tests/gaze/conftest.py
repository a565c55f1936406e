import numpy as np
import pytest

from kerasal.datasets.gaze_dataset import GazeDataset

import keras


def bright_spots(n, seed=0):
    """Dark photographs with one bright square; people look at it."""
    random = np.random.default_rng(seed)
    images, fixations = [], []
    for i in range(n):
        height, width = (48, 64) if i % 2 else (60, 60)  # sizes are mixed
        y, x = random.integers(8, height - 8), random.integers(8, width - 8)
        image = random.integers(0, 40, (height, width, 3)).astype(np.uint8)
        image[y - 5 : y + 6, x - 5 : x + 6] = 220
        images.append(image)
        fixations.append(np.clip(random.normal((x, y), 2, (12, 2)), 0, (width - 1, height - 1)).round())
    return images, fixations


@pytest.fixture(scope="session")
def spots():
    images, fixations = bright_spots(8)
    return GazeDataset(images, fixations, names=[f"spot{i}" for i in range(8)])


def seeing_net(shape=(24, 24), gain=1.0, offset=0.0):
    """A net that needs no training: the map is how bright the pixels are, at half the size."""
    inputs = keras.Input((*shape, 3))
    tensor = keras.layers.AveragePooling2D(2)(inputs)
    tensor = keras.layers.Conv2D(1, 1, name="weigh")(tensor)
    net = keras.Model(inputs, keras.layers.Reshape((shape[0] // 2, shape[1] // 2))(tensor), name="seeing")
    net.get_layer("weigh").set_weights([np.full((1, 1, 3, 1), gain / 3, np.float32), np.float32([offset])])
    return net


@pytest.fixture(scope="session")
def seeing():
    return seeing_net()


@pytest.fixture(scope="session")
def make_seeing():
    """The function that builds it; see ``seeing_net``."""
    return seeing_net
