"""Helpers of tf-keras-vis, which are used as they are."""

from tf_keras_vis.utils import (
    find_layer,
    get_input_names,
    get_num_of_steps_allowed,
    is_mixed_precision,
    listify,
    normalize,
    num_of_gpus,
    zoom_factor,
)

__all__ = [
    "find_layer",
    "get_input_names",
    "get_num_of_steps_allowed",
    "is_mixed_precision",
    "listify",
    "normalize",
    "num_of_gpus",
    "zoom_factor",
]
