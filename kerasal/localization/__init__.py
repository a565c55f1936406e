"""Localization: from a saliency map to the object, its box, and how good that box is.

    image, model -> localize -> class, score, box, mask        image, map -> graphcut | threshold -> mask -> box
    boxes, true boxes (read_boxes) -> localization_error, correct_localization, mean_iou
    model, folder of images, true boxes -> evaluate_folder -> table, summary, files

Boxes are (x_min, y_min, x_max, y_max) in pixels, 0-based, with exclusive upper bounds; masks are bool (H, W); maps are
(H, W), the larger the stronger, and never normalized by the caller.
"""

from kerasal import _keras as _keras
from kerasal import names as _names
from kerasal.localization.box_files import number_classes as number_classes
from kerasal.localization.box_files import read_boxes as read_boxes
from kerasal.localization.box_pictures import draw_box as draw_box
from kerasal.localization.box_pictures import draw_localizations as draw_localizations
from kerasal.localization.box_pictures import draw_mask as draw_mask
from kerasal.localization.box_pictures import draw_seeds as draw_seeds
from kerasal.localization.box_scores import correct_localization as correct_localization
from kerasal.localization.box_scores import localization_error as localization_error
from kerasal.localization.box_scores import localization_errors as localization_errors
from kerasal.localization.box_scores import mean_iou as mean_iou
from kerasal.localization.box_scores import overlaps as overlaps
from kerasal.localization.box_scores import pointing_accuracy as pointing_accuracy
from kerasal.localization.boxes import clip_boxes as clip_boxes
from kerasal.localization.boxes import iou as iou
from kerasal.localization.boxes import scale_box as scale_box
from kerasal.localization.folder_evaluation import LocalizationReport as LocalizationReport
from kerasal.localization.folder_evaluation import evaluate_folder as evaluate_folder
from kerasal.localization.ground_truth import UnknownClass as UnknownClass
from kerasal.localization.localizer import RECIPES as RECIPES
from kerasal.localization.localizer import Localization as Localization
from kerasal.localization.localizer import find_objects as find_objects
from kerasal.localization.localizer import localize as localize
from kerasal.localization.masks import bounding_box as bounding_box
from kerasal.localization.masks import largest_component as largest_component
from kerasal.localization.masks import threshold as threshold
from kerasal.localization.segmentation import Segmentation as Segmentation
from kerasal.localization.segmentation import graphcut as graphcut
from kerasal.localization.segmentation import seeds as seeds
from kerasal.localization.segmentation import segment as segment

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


def __getattr__(name: str):
    return _names.renamed_attribute(__name__, name, _RENAMED)
