"""Deprecated alias of ``kerasal.models.registry``."""

import warnings

from kerasal.models.registry import ModelSpec, Weights, create_model, list_models, load_model, model_spec, register

__all__ = ["ModelSpec", "Weights", "create_model", "list_models", "load_model", "model_spec", "register"]

warnings.warn("kerasal.registry is called kerasal.models.registry now.", DeprecationWarning, stacklevel=2)
