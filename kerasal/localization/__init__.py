"""Localisation: from a saliency map to the object, its box, and how good that box is.

    image, model -> localize -> class, score, box, mask        image, map -> graphcut | threshold -> mask -> box
    boxes, true boxes (read_boxes) -> localization_error, correct_localization, mean_iou
    model, folder of images, true boxes -> evaluate_folder -> table, summary, files

Boxes are (x_min, y_min, x_max, y_max) in pixels, 0-based, with exclusive upper bounds; masks are bool (H, W); maps are
(H, W), the larger the stronger, and never normalised by the caller.
"""

from kerasal import _keras as _keras
from kerasal.localization.box_files import number_classes as number_classes
from kerasal.localization.box_files import read_boxes as read_boxes
from kerasal.localization.box_pictures import boxed as boxed
from kerasal.localization.box_pictures import figure as figure
from kerasal.localization.box_pictures import masked as masked
from kerasal.localization.box_pictures import seeded as seeded
from kerasal.localization.box_scores import correct_localization as correct_localization
from kerasal.localization.box_scores import localization_error as localization_error
from kerasal.localization.box_scores import localization_errors as localization_errors
from kerasal.localization.box_scores import mean_iou as mean_iou
from kerasal.localization.box_scores import overlaps as overlaps
from kerasal.localization.box_scores import pointing_accuracy as pointing_accuracy
from kerasal.localization.boxes import inside as inside
from kerasal.localization.boxes import iou as iou
from kerasal.localization.boxes import scaled as scaled
from kerasal.localization.folder_evaluation import LocalizationReport as LocalizationReport
from kerasal.localization.folder_evaluation import evaluate_folder as evaluate_folder
from kerasal.localization.ground_truth import UnknownClass as UnknownClass
from kerasal.localization.localizer import Localization as Localization
from kerasal.localization.localizer import find_objects as find_objects
from kerasal.localization.localizer import localize as localize
from kerasal.localization.masks import bounding_box as bounding_box
from kerasal.localization.masks import largest_component as largest_component
from kerasal.localization.masks import threshold as threshold
from kerasal.localization.seed_recipes import RECIPES as RECIPES
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
    "boxed",
    "correct_localization",
    "evaluate_folder",
    "find_objects",
    "figure",
    "graphcut",
    "inside",
    "iou",
    "largest_component",
    "localization_error",
    "localization_errors",
    "localize",
    "masked",
    "mean_iou",
    "number_classes",
    "overlaps",
    "pointing_accuracy",
    "read_boxes",
    "scaled",
    "seeded",
    "seeds",
    "segment",
    "threshold",
]
