"""The first part of ``kerasal demo``: what a classifier sees in a photo, and where people will look."""

_CLASSES = ("Egyptian cat", "espresso")
_METHODS = ("gradcam", "occlusion")
_LAYER = "block8_project_bn"


def make_photo():
    """Return a photo with two objects, half of the bundled cat beside half of the bundled cup, uint8 (240, 320, 3)."""
    import numpy as np

    from kerasal import images
    from kerasal.models.opener import PHOTOGRAPHS

    cat, coffee = (images.read(file) for file in PHOTOGRAPHS[:2])
    return np.concatenate([cat[:, 160:320], coffee[:, 80:240]], axis=1)


def draw_maps(model, photo, path) -> None:
    """Write the maps of two classes by two methods: rows of methods, columns of classes."""
    from kerasal import explain, images

    maps = {method: [explain(model, photo, method, name) for name in _CLASSES] for method in _METHODS}
    labels = [f"{map_.label}, {map_.score:.0%}" for map_ in maps["gradcam"]]
    tiles = []
    for method in _METHODS:
        tiles += [photo, *(map_.overlay() for map_ in maps[method])]
    sheet = images.grid(
        tiles,
        columns=1 + len(_CLASSES),
        column_labels=["photo", *labels],
        row_labels=["Grad-CAM", "occlusion"],
        title="Where is the evidence for the cat, and where for the coffee?",
        note=f"The probabilities are those of {model.name}. Each map has its own scale.",
        legend=[
            ("overlay", "Grad-CAM: no evidence", "most evidence"),
            ("signed", "occlusion: lowers the score", "raises the score"),
        ],
        tile=240,
    )
    images.write(path, sheet)


def draw_channels(path, count: int = 8) -> None:
    """Write the images that maximize the first channels of a layer, 128 × 128 pixels to save time."""
    from kerasal import create_model, images, maximize, model_spec
    from kerasal.objectives import channel

    model = create_model("efficientnet_lite0", "imagenet", include_top=False, input_shape=(128, 128, 3))
    maximized = maximize(
        model,
        [channel(_LAYER, i) for i in range(count)],
        preprocessing=model_spec(model.name).preprocessing,
        steps=48,
    )
    sheet = images.grid(
        list(maximized.images),
        [f"channel {i}" for i in range(count)],
        columns=count // 2,
        title=f"What do channels of the layer {_LAYER} respond to?",
        note=f"Each image maximizes the mean of one channel of {model.name}, after Olah et al. 2017.",
        tile=192,
    )
    images.write(path, sheet)


def draw_class_models(path) -> None:
    """Write the images that maximize the classes of a small model of five classes, by two recipes."""
    from kerasal import images, maximize, open_model
    from kerasal.maximization import L2, Jitter, TotalVariation

    model = open_model("five_class_cnn")
    targets = range(len(model.labels))
    noise = maximize(model, [*targets], preset="tang", steps=60)
    # As for the digits: smoothed, since this model too answers to grains of light and dark.
    smooth = maximize(
        model,
        [*targets],
        preset="simonyan",
        steps=60,
        regularizers=[L2(2e-3), TotalVariation(0.1)],
        transforms=[Jitter(16)],
    )
    sheet = images.grid(
        [*noise.images, *smooth.images],
        columns=len(model.labels),
        column_labels=list(model.labels),
        row_labels=["from noise", "smoothed"],
        title="The image that maximizes each class of a model with four convolutions",
        note="After Tang et al., section 4.2: five_class_cnn answers to colors and blobs rather than to objects.",
        tile=192,
    )
    images.write(path, sheet)


def draw_gaze(path) -> None:
    """Write where people will look in the four bundled photos."""
    from kerasal import gaze, images
    from kerasal.models.opener import PHOTOGRAPHS

    photos = [images.read(file) for file in PHOTOGRAPHS]
    drawn = [gaze.overlay(photo, gaze.predict(photo).map) for photo in photos]
    sheet = images.grid(
        [images.fit_image(picture, (220, 220)) for picture in (*photos, *drawn)],
        columns=len(photos),
        row_labels=["photo", "prediction"],
        title="Where people will look, predicted by the gaze model that is installed with kerasal",
        note="A prediction: nobody's gaze was measured on these photos.",
        legend=[("overlay", "hardly looked at", "looked at most")],
        tile=220,
    )
    images.write(path, sheet)
