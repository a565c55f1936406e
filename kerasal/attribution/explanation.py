"""``explain``: the attribution map of a single input of a model that is opened from a file, by name or as it is."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasal import images
from kerasal.attribution.array_pages import Axes
from kerasal.attribution.explanation_pages import Explanation as Explanation
from kerasal.attribution.method import method_function, method_spec
from kerasal.attribution.smooth import smooth
from kerasal.hooks.engine import fixed_target, target_scores
from kerasal.hooks.model_inputs import conform
from kerasal.labels import find
from kerasal.models.examples import Example, read_examples
from kerasal.models.image_model import ImageModel
from kerasal.models.opener import open_model
from kerasal.objectives import Objective
from kerasal.objectives.areas import target_areas
from kerasal.objectives.targets import resolve

_CROPS_SCALE = 256 / 224  # as in the paper, crops of 224 pixels are cut from 256


def explain(
    model: Any,
    photo: Any,
    method: str = "gradcam",
    target: Any = None,
    *,
    output: str | int | None = None,
    smoothing: Mapping[str, Any] | None = None,
    **options: Any,
) -> Explanation:
    """Return the attribution map of a photo or another input of a model, which is opened from a file or by name.

    A photo is resized and preprocessed for the model. Other inputs are taken as they are.

    Args:
        model: an ``ImageModel``, or any model that ``kerasal.open_model`` takes: a file, the name of a zoo model or a
            ``keras.Model``. To explain several images, or to pass preprocessing or labels, call ``open_model`` first.
        photo: path of an image file, or a uint8 image (H, W, 3) or (H, W, 1); for a model of signals, volumes or videos
            its input, an array of floats such as (T, C) or (D, H, W, C), an ``images.Volume``, or an ``.npy``,
            ``.npz``, NIfTI or TIFF file. For a model of images, an array of floats is a preprocessed input. For a model
            of tokens, their indices (T,), which need a method with the option ``layer``, the name of the embedding.
        method: name of a method; see ``kerasal.attribution.list_methods()``.
        target: None for the top class, the index or name of a class, or an objective of ``kerasal.objectives``.
        output: name or position of the output to explain, for a model with several outputs.
        smoothing: arguments of ``attribution.smooth``, such as ``{"samples": 25, "noise": 0.15}``, to explain by the
            mean of the method's maps over noisy copies of the input; by default the method is called once.
        **options: options of the method, and ``logits`` and ``batch_size``; see ``kerasal.attribution``.

    Returns:
        An ``Explanation`` with the raw map, the class, its label and score.

    Raises:
        NoPreprocessing: a ValueError: the model's preprocessing is unknown and must be passed to ``open_model``.
        ValueError: the method, class or an option is unknown, ``photo`` is not a single input, or the method raises.
        FileNotFoundError: the model or image file does not exist.
    """
    method_spec(method)
    image_model = open_model(model)
    examples = read_examples(image_model, photo)
    if len(examples) != 1:
        raise ValueError(f"photo must be a single photo or input, got {len(examples)}. Pass one at a time: photo[0].")
    return explain_example(image_model, examples[0], method, target, output=output, smoothing=smoothing, **options)


def explain_example(
    image_model: ImageModel,
    example: Example,
    method: str,
    target: Any = None,
    *,
    output: str | int | None = None,
    smoothing: Mapping[str, Any] | None = None,
    **options: Any,
) -> Explanation:
    """Return the attribution map of an input that ``read_examples`` returned; see ``explain``."""
    spec = method_spec(method)
    if isinstance(target, str):
        target = find(target, image_model.labels)
    picture, inputs, photo = example.picture, example.inputs, example.photo
    explained = inputs
    if spec.any_size and photo is not None:
        picture, explained = image_model.show(photo, scale=_CROPS_SCALE)
    function = method_function(method) if smoothing is None else smooth(method, **smoothing)
    result = function(image_model.keras_model, explained, target, output=output, **options)
    maps, *extras = result if isinstance(result, tuple) else (result,)
    extra = {spec.extra_name(options): float(extras[0][0])} if extras else {}
    arrays = conform(image_model.keras_model, inputs, integers=True)
    index, label = None, str(target) if target is None else _describe(target, image_model)
    logits = bool(options.get("logits", True))
    fixed = fixed_target(image_model.keras_model, arrays, target, output=output, logits=logits)
    if not isinstance(fixed, Objective) and not callable(fixed):
        if target is None and output is None and not image_model.class_count:  # no classes, as for a gaze model's map
            label = "the output"
        else:
            index = int(np.ravel(fixed)[0])
            label = image_model.label(index)
    value = target_scores(image_model.keras_model, arrays, fixed, output=output, logits=logits and index is None)
    method_options = {name: option for name, option in options.items() if name in spec.options}
    is_image = picture.ndim == 3
    return Explanation(
        maps[0],
        index,
        label,
        float(value[0]),
        method,
        picture,
        getattr(maps, "layer", None),
        method_options,
        image_model,
        photo=photo,
        box=None if photo is None else images.crop_box(photo.shape, picture.shape[:2], image_model.fit),
        gap=extra.get("gap"),
        standard_error=extra.get("standard_error"),
        axes=Axes(spacing=example.spacing, directions=example.axes, channel_axis=example.channel_axis or 0),
        areas=target_areas(target, example.picture.shape[:2]) if is_image else (),
        smoothing=None if smoothing is None else dict(smoothing),
    )


def _describe(target: Any, image_model: ImageModel) -> str:
    """Return the description of a target, with the names of classes unless they are those of several outputs."""
    objective = resolve(target, 1)
    if "'output'" in str(objective.structure):
        return objective.description
    return re.sub(r"\bclass (\d+)\b", lambda found: image_model.label(int(found[1])), objective.description)
