"""Localization: object masks and bounding boxes from saliency maps, and scores of the boxes.

    image, model -> localize -> class, score, box, mask        image, map -> graphcut | threshold -> mask -> box
    boxes, true boxes (read_boxes) -> localization_error, correct_localization, mean_iou
    model, folder of images, true boxes -> evaluate_folder -> table, summary, files

Boxes are (x_min, y_min, x_max, y_max) in pixels, 0-based, with exclusive upper bounds. Masks are bool (H, W). Maps are
(H, W) with larger values for stronger evidence; they need not be normalized.
"""

from kerasal import _keras as _keras
from kerasal import names as _names
from kerasal.localization.box_files import number_classes, read_boxes
from kerasal.localization.box_pictures import draw_box, draw_localizations, draw_mask, draw_seeds
from kerasal.localization.boxes import (
    clip_boxes,
    correct_localization,
    iou,
    localization_error,
    localization_errors,
    mean_iou,
    overlaps,
    pointing_accuracy,
    scale_box,
)
from kerasal.localization.folder_evaluation import LocalizationReport, evaluate_folder
from kerasal.localization.ground_truth import UnknownClass
from kerasal.localization.localizer import RECIPES, Localization, find_objects, localize
from kerasal.localization.masks import bounding_box, largest_component, threshold
from kerasal.localization.segmentation import Segmentation, graphcut, seeds, segment

__all__ = [
    "RECIPES",
    "Localization",
    "LocalizationReport",
    "Segmentation",
    "UnknownClass",
    "bounding_box",
    "draw_box",
    "correct_localization",
    "evaluate_folder",
    "find_objects",
    "draw_localizations",
    "graphcut",
    "clip_boxes",
    "iou",
    "largest_component",
    "localization_error",
    "localization_errors",
    "localize",
    "draw_mask",
    "mean_iou",
    "number_classes",
    "overlaps",
    "pointing_accuracy",
    "read_boxes",
    "scale_box",
    "draw_seeds",
    "seeds",
    "segment",
    "threshold",
]

_RENAMED = {
    "boxed": "draw_box",
    "figure": "draw_localizations",
    "inside": "clip_boxes",
    "masked": "draw_mask",
    "scaled": "scale_box",
    "seeded": "draw_seeds",
}


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str):
    return _names.renamed_attribute(__name__, name, _RENAMED)
