"""Pipelines from a model and an image to boxes, by name: which map, and how it is cut. Any part can be replaced."""

import types

RECIPES = types.MappingProxyType(
    {
        # Simonyan, Vedaldi & Zisserman 2013, section 3.2: the map of section 3.1, averaged over ten crops of a frame
        # 8/7 as large as the network's input, and graphcut's defaults, which are the paper's.
        "simonyan": {"method": "crop_averaged_saliency"},
        # Chosen on 150 training images of ten ImageNet classes (benchmarks/localization_search.py, measured in
        # notebooks/localization.ipynb): a map that covers the object instead of grains on it, and a cut in which the
        # map speaks beside the colours.
        "tuned": {
            "method": "gradcam",
            "blur": 0.018,
            "prior": 25.0,
            "colour": 4.0,
            "level": 0.08,
            "resolution": 64,
        },
    }
)
