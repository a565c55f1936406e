"""The second part of ``kerasal demo``: what a small model sees in handwritten digits."""

_METHODS = ("class_saliency", "guided_backprop", "deconvnet")


def open_digits():
    """Return the trained model of the digits, one uint8 image (28, 28) per digit, and their inputs."""
    import numpy as np

    from kerasal import create_model, model_spec, preprocessing
    from kerasal.datasets import digits

    model = create_model("mnist_cnn", weights="kerasal")
    pictures, truth = digits()
    pictures = pictures[[int(np.flatnonzero(truth == digit)[0]) for digit in range(10)]]
    inputs = preprocessing.get(model_spec("mnist_cnn").preprocessing).apply(pictures[..., None])
    return model, pictures, inputs


def draw_feature_maps(model, pictures, inputs, path) -> None:
    """Write the outputs of both convolutions for a 7."""
    import numpy as np

    from kerasal import features, images

    sheets = [images.grid([images.heatmap(pictures[7])], ["input"], tile=132)]
    for layer, tile in (("conv1", 132), ("conv2", 56)):
        maps = features.feature_maps(model, inputs[7], layer)[0]
        title = f"{layer}: {maps.shape[2]} channels of {maps.shape[0]} × {maps.shape[1]}"
        sheets.append(features.draw_feature_maps(maps, scale="layer", title=title, tile=tile))
    height = max(sheet.shape[0] for sheet in sheets)
    padded = [np.pad(sheet, ((0, height - len(sheet)), (0, 12), (0, 0)), constant_values=255) for sheet in sheets]
    images.write(path, np.concatenate(padded, axis=1))


def draw_attribution(model, pictures, inputs, path) -> None:
    """Write the pixels that the predicted digit depends on, by three methods."""
    import numpy as np

    from kerasal import attribution, images

    tiles = [np.repeat(picture[..., None], 3, axis=2) for picture in pictures]
    for name in _METHODS:
        maps = getattr(attribution, name)(model, inputs)
        tiles += [
            images.heatmap(values if values.ndim == 2 else values[..., 0], signed=values.ndim == 3) for values in maps
        ]
    sheet = images.grid(
        tiles,
        columns=10,
        row_labels=["digit", *_METHODS],
        title="Which pixels the score of the predicted digit depends on, by three methods",
        note="Maps of class_saliency have no sign. Each map is scaled by its own largest values.",
        legend=[
            ("heat", "class_saliency: no effect", "strongest effect"),
            ("signed", "guided_backprop and deconvnet: lowers the score", "raises the score"),
        ],
        tile=84,
    )
    images.write(path, sheet)


def draw_class_models(model, pictures, inputs, path) -> None:
    """Write the image that maximizes the score of each digit."""
    from kerasal import images, maximize
    from kerasal.maximization import L2, Jitter, TotalVariation
    from kerasal.objectives import class_score

    maximized = maximize(
        model,
        [class_score(digit) for digit in range(10)],
        preset="simonyan",
        preprocessing="unit",
        steps=200,
        step_size=1.0,
        # With the L2 term of the preset alone, this small model prefers grains of light and dark to strokes.
        regularizers=[L2(2e-3), TotalVariation(0.1)],
        transforms=[Jitter(2)],
        clip=True,
    )
    drawn = [images.heatmap(image[..., 0], signed=False) for image in maximized.raw]
    sheet = images.grid(
        drawn,
        [str(digit) for digit in range(10)],
        columns=5,
        title="The image that maximizes the score of each digit",
        note="Gradient ascent from an empty image: smoothed, shifted at each step, and limited to the range of pixels.",
        legend=[("heat", "paper", "ink")],
        tile=140,
    )
    images.write(path, sheet)
