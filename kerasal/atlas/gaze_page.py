"""One photograph as a gaze model sees it: where people will look."""

import pathlib
from typing import Any

import numpy as np

from kerasal import gaze, images
from kerasal.atlas.atlas_store import Store
from kerasal.digests import digest_files
from kerasal.gaze.predictor import is_log_density
from kerasal.models.image_model import ImageModel

_LONGEST = 480


def look(model: ImageModel, store: Store, predictor: gaze.Predictor, file: pathlib.Path, slug: str) -> None:
    """Make the map of one photograph; a file that cannot be read is noted as such."""
    key, settings = gaze_record(model, file, slug)
    try:
        photograph = images.read(file)
    except (ValueError, OSError) as error:
        store.add(key, settings, {"image": {"file": str(file), "unreadable": str(error)}})
        return
    scale = min(1.0, _LONGEST / max(photograph.shape[:2]))
    shown = images.resize(photograph, tuple(max(1, round(scale * side)) for side in photograph.shape[:2]))
    values = gaze.predict(shown, predictor, postprocess="none").map
    heat = values - values.min()
    entry: dict[str, Any] = {
        "file": str(file),
        "picture": store.picture(f"images/{slug}/image", shown),
        "map": store.picture(f"images/{slug}/gaze", images.heatmap(heat, signed=False, limit=float(heat.max()) or 1.0)),
        "over": store.picture(f"images/{slug}/gaze-over", images.overlay(shown, heat, strength=1.0)),
        "top": [],
        "flat": bool(np.ptp(values) == 0),
    }
    store.add(key, settings, {"image": entry})


def gaze_record(model: ImageModel, file: pathlib.Path, slug: str) -> tuple[str, dict[str, Any]]:
    """Return the key and the settings of one photograph's record."""
    return f"gaze/{slug}", {**model.settings, "stamp": digest_files([file])}


def make_predictor(model: ImageModel) -> gaze.Predictor:
    """Compile the model; one that takes any size looks at photographs as large as the rest of the atlas does."""
    free = None in (getattr(model.keras_model, "input_shape", None) or (None,))[1:3]
    size = model.input_size() if free and not is_log_density(model.keras_model) else None
    return gaze.Predictor(model.keras_model, model.preprocessing, size=size)
