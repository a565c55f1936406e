"""A folder with one web page that predicts gaze in the browser, offline, with a gaze model.

``build`` writes the folder: the model as an ONNX file, the runtime ONNX Runtime Web, and the page. Photos are dropped
on the page or come from a webcam, and never leave the device. The page predicts what ``kerasal.gaze.predict`` does.
"""

from kerasal import _keras as _keras
from kerasal.gaze_page.page_folder import GazePage, build

__all__ = ["GazePage", "build"]


def __dir__() -> list[str]:
    return sorted(__all__)
