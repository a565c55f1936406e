"""What ``train_gaze`` needs of a model, from a name or a file: the model, its pixels, its size and its start."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any, Literal

from kerasal.gaze.predictor import is_log_density
from kerasal.layers import CenterBias
from kerasal.models import open_model, registry
from kerasal.training.training_setup import describe_start, set_seed

import keras


@dataclasses.dataclass(frozen=True)
class GazeSetup:
    """A gaze model to be trained.

    Attributes:
        model: with its starting weights.
        preprocessing: how it wants its pixels.
        size: the (height, width) at which it is to see images; None where it takes one size.
        start: what a run that goes on must have begun from.
    """

    model: keras.Model
    preprocessing: str
    size: tuple[int, int] | None
    start: str


def prepare_gaze(
    source: str | os.PathLike,
    *,
    weights: str | os.PathLike | None = None,
    options: Mapping[str, Any] | None = None,
    preprocessing: str | None = None,
    size: tuple[int, int] | None = None,
    center_bias: Literal["none", "fixed", "learned"] = "none",
    seed: int = 0,
    unsafe: bool = False,
) -> GazeSetup:
    """Open a gaze model to train; Keras' random seed is set, which decides weights that are drawn.

    Args:
        source: a gaze model of the zoo, a run of ``train_gaze``, or a ``.keras`` file.
        weights: of a zoo model: a name or a file; by default random.
        options: of a zoo model.
        preprocessing: how the model wants its pixels; by default what is known of it, or 0..1.
        size: (height, width) for a model that takes any; by default at which it is best.
        center_bias: multiply the maps by a center Gaussian.
        seed: of the starting weights.
        unsafe: allow code inside a model file to run.

    Raises:
        ValueError: no such model, option or weights, or maps that cannot be multiplied.
        FileNotFoundError: a path at which there is nothing.
    """
    set_seed(seed)
    name, options = os.fspath(source), dict(options or {})
    if os.path.exists(source):
        opened = open_model(source, preprocessing=preprocessing, weights=weights, options=options, unsafe=unsafe)
        model, usual = opened.keras_model, opened.size
        convention = opened.preprocessing.name if opened.preprocessing else "unit"
    else:
        if pathlib.Path(name).suffix or "/" in name:
            registry.load_model(name)  # which says that there is no such file
        model, spec = registry.create_model(name, weights, **options), registry.model_spec(name)
        convention = preprocessing or spec.preprocessing
        usual = spec.input_shape[:2] if None in model.input_shape[1:3] else None
    if center_bias != "none":
        model = add_center_bias(model, learned=center_bias == "learned")
    start = describe_start(model, os.path.exists(source) or bool(weights), options)
    return GazeSetup(model, convention, size or usual, start)


def add_center_bias(model: keras.Model, *, learned: bool) -> keras.Model:
    """Return a model whose maps are multiplied by a center Gaussian, fixed or learned.

    Raises:
        ValueError: a model of log-densities, or of maps in a row.
    """
    maps = model.outputs[0]
    if is_log_density(model):
        raise ValueError(
            "A center bias multiplies maps, and this net gives log-densities. It may have a prior of its own: gaze has "
            "the option center_prior."
        )
    if len(maps.shape) == 2:
        raise ValueError("A center bias needs a net whose output is a map (N, H, W), not its pixels in a row.")
    return keras.Model(model.inputs, CenterBias(learned=learned)(maps), name=model.name)
