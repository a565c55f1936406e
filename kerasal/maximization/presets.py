"""The published recipes, as arguments of ``maximize``. What a paper leaves open is decided here and marked so."""

import types

from kerasal.maximization.regularizers import L1, L2
from kerasal.maximization.transforms import Jitter, Rotation, Scale

# What a recipe that does not say otherwise does.
DEFAULTS = types.MappingProxyType({"parameterization": "pixels", "transforms": (), "regularizers": (), "momentum": 0.0})

PRESETS = types.MappingProxyType(
    {
        # Simonyan, Vedaldi & Zisserman 2013, section 2: from the zero image, S_c - λ‖I‖₂², the mean image added at the
        # end (kerasal.preprocessing does; the pictures are stretched in contrast instead). λ, the step and the number
        # of steps are not in the paper. The score's gradient is scaled to RMS 1, so that one λ fits all networks.
        "simonyan": {
            "init": "zero",
            "steps": 200,
            "step_size": 1.0,
            "regularizers": (L2(2e-2),),
            "normalize": "score",
            "display": "contrast",
        },
        # Tang, Yao, Jiang & Liu, section 3.3: S_c - α‖I‖₁ with α = .1, step .5, from random normal pixels or the mean
        # of the class's images (init=array). Open there: the number of steps (20, as in their 3.2), and whether the
        # gradient is normalized: the score's is, to RMS 1, since .5 times the raw gradient hardly moves a pixel.
        "tang": {
            "init": "normal",
            "steps": 20,
            "step_size": 0.5,
            "regularizers": (L1(0.1),),
            "normalize": "score",
            "display": "contrast",
        },
        # The same paper, section 3.2: one channel's mean, 20 steps from random normal pixels. Open there: the step.
        "channel": {
            "init": "normal",
            "steps": 20,
            "step_size": 1.0,
            "regularizers": (),
            "normalize": "total",
            "display": "contrast",
        },
        # Olah, Mordvintsev & Schubert 2017, "Feature Visualization": a spectrum in decorrelated colors, looked at
        # through random shifts, scales and rotations. Decided here: how large those are, the steps, and that instead of
        # Adam's the step is the gradient's, scaled to RMS 1, with momentum .9: about half a gray level a step.
        "olah": {
            "parameterization": "fourier",
            "init": "normal",
            "steps": 250,
            "step_size": 0.06,
            "momentum": 0.9,
            "transforms": (Jitter(16, share=1 / 14), Scale(0.9, 1.1), Rotation(5.0)),
            "normalize": "total",
            "display": "pixels",
        },
    }
)
