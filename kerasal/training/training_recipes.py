"""Recipes of gaze training: all settings of a run except the model, the data and the machine."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

from kerasal.checks import check_choice, check_int, check_number
from kerasal.names import RenamedAttribute, unknown_name_message
from kerasal.store import plain
from kerasal.training.optimization import Constant, Cosine, Linspace, Schedule, StepFloor, depends_on_length

LOSSES = {
    "mse": "MSE",
    "nss": "(−NSS)",
    "cc": "(−CC)",
    "kld": "KLD",
    "similarity": "(−similarity)",
    "likelihood": "(−log-likelihood, bits)",
    "center_distance": "(squared distance from the center Gaussian)",
    "center_correlation": "(correlation with the center Gaussian)",
}
"""Names of the losses, and the quantity that each minimizes."""

FIXATION_LOSSES = ("nss", "likelihood")
"""Losses that compare maps with fixations; the others use the density, scaled to a maximum of 1."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The settings with which a gaze model is trained.

    Attributes:
        source: where the recipe is from.
        rate: learning rate.
        epochs: number of passes over the data; ``None`` if ``steps`` is set.
        steps: total number of batches, instead of epochs; rounded up to whole epochs.
        batch_size: images per step; the last batch of an epoch may be smaller.
        optimizer: ``"torch_sgd"`` or ``"adam"``.
        momentum: momentum of ``"torch_sgd"``.
        weight_decay: coupled weight decay of ``"torch_sgd"``, on all parameters.
        loss: weights of the losses in ``LOSSES``, such as ``{"kld": 1.0, "cc": 0.2}``.
        mirror: ``"both"`` uses every image and its mirror image once in each epoch, like the mirrored data set of the
            coursework; mirror images that the data already contain are not made again. ``"half"`` mirrors a random half
            of every batch (Pan et al.); ``"none"`` mirrors nothing.
        target_range: range of the densities, 0..1 (``"unit"``) or -1..1 (``"pm1"``, Pan et al.).
        validate_every: number of epochs between validations. The last epoch is always validated.
        validate_every_steps: the same in steps, for a recipe with ``steps``; rounded to whole epochs.
        keep: which weights the run returns: those after the ``"last"`` epoch, or those with the ``"best"`` validation
            loss.
        seed: seed of the order and the mirroring of the images. It does not affect the starting weights, which are the
            model's.
    """

    source: str
    rate: Schedule
    epochs: int | None = None
    steps: int | None = None
    batch_size: int = 128
    optimizer: Literal["torch_sgd", "adam"] = "torch_sgd"
    momentum: Schedule = Constant(0.9)  # noqa: RUF009  (frozen)
    weight_decay: float = 0.0
    loss: Mapping[str, float] = dataclasses.field(default_factory=lambda: {"mse": 1.0})
    mirror: Literal["both", "half", "none"] = "half"
    target_range: Literal["unit", "pm1"] = "unit"
    validate_every: int = 1
    validate_every_steps: int | None = None
    keep: Literal["last", "best"] = "last"
    seed: int = 0

    def for_steps(self, steps_per_epoch: int) -> "Recipe":
        """Return the recipe with all numbers of steps converted to epochs."""
        changes: dict[str, Any] = {}
        if self.epochs is None and self.steps is not None:
            changes |= {"epochs": math.ceil(self.steps / steps_per_epoch), "steps": None}
        if self.validate_every_steps is not None:
            every = max(1, round(self.validate_every_steps / steps_per_epoch))
            changes |= {"validate_every": every, "validate_every_steps": None}
        return dataclasses.replace(self, **changes)

    def images_per_epoch(self, images: int, stored_mirrors: int = 0) -> int:
        """Return the number of images in an epoch, including mirror images.

        ``stored_mirrors`` is the number of images whose mirror image is also among the ``images``.
        """
        return 2 * images - stored_mirrors if self.mirror == "both" else images

    shown = RenamedAttribute("images_per_epoch")

    def steps_per_epoch(self, images: int, stored_mirrors: int = 0) -> int:
        """Return the number of batches in an epoch of ``images_per_epoch``; the last batch may be smaller."""
        return math.ceil(self.images_per_epoch(images, stored_mirrors) / self.batch_size)

    @property
    def needs_fixations(self) -> bool:
        """Whether the loss needs fixations."""
        return any(name in FIXATION_LOSSES for name in self.loss)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that must be equal when a run is resumed, as JSON values."""
        values = dataclasses.asdict(self)
        del values["source"]
        if not any(depends_on_length(schedule) for schedule in (self.rate, self.momentum)):
            del values["epochs"]  # a run may be continued with more epochs, which change no earlier rate
        return {key: plain(value) for key, value in values.items() if value is not None}


RECIPES: dict[str, Recipe] = {
    "coursework": Recipe(
        source="the report GN17738, section VI: batches of 128, 1,000 epochs (157,000 steps on its 20,000 images)",
        rate=StepFloor(0.03, 0.55, 100, 1e-4),
        epochs=1000,
        weight_decay=5e-4,
        mirror="both",
        validate_every=10,
    ),
    "paper": Recipe(
        source="Pan et al. 2016, section 4.1, as the coursework's handout gives it",
        rate=Linspace(0.03, 1e-4),
        epochs=1000,
        weight_decay=5e-4,
        target_range="pm1",
        validate_every=10,
    ),
    "lasagne": Recipe(
        source="Pan et al.'s released training script",
        rate=Linspace(0.05, 1e-4),
        momentum=Linspace(0.9, 0.999),
        epochs=1200,
        target_range="pm1",
        validate_every=10,
    ),
    "he_pugeault": Recipe(
        source="He & Pugeault's released code (2019): -NSS, Adam, 10,000 steps of 20 images; its rate is 5e-3, "
        "50 times this one and too high for a pretrained VGG",
        rate=StepFloor(1e-4, 0.8, 500, 0.0, unit="step"),
        steps=10_000,
        batch_size=20,
        optimizer="adam",
        loss={"nss": 1.0},
        mirror="none",
        validate_every_steps=500,
    ),
    "default": Recipe(
        source="kerasal's own, for a few hundred images and no accelerator",
        rate=Cosine(3e-4),
        epochs=40,
        batch_size=32,
        optimizer="adam",
        loss={"mse": 1.0, "cc": 0.3},  # with 0.1 or without the CC, the zoo's models stay longer at the mean map
        keep="best",
    ),
    "gaze": Recipe(
        source="kerasal's own, for a readout on pretrained features: the log-likelihood of the fixations",
        rate=Cosine(1e-3),
        epochs=8,
        batch_size=16,
        optimizer="adam",
        loss={"likelihood": 1.0},
        keep="best",
    ),
    "gaze_tune": Recipe(
        source="kerasal's own, after the recipe gaze: the whole model, at a rate that preserves pretrained features",
        rate=Cosine(1e-4),
        epochs=8,
        batch_size=16,
        optimizer="adam",
        loss={"likelihood": 1.0, "cc": 0.5},  # without the CC, maps correlate less with the densities (see the card)
        keep="best",
    ),
}
"""The recipes of ``train_gaze`` by name: loss, optimizer, learning rates, epochs, and where they are published."""


def recipe(name: str | Recipe = "default", **changes: Any) -> Recipe:
    """Return a recipe by name, with ``changes`` to its fields; a change of ``None`` is ignored.

    A number as ``rate`` or ``momentum`` becomes a ``Constant``, and ``loss`` may be a text such as ``"kld=1,cc=0.2"``.
    ``epochs`` replaces ``steps``.

    Raises:
        ValueError: an unknown name or field, or a value out of range.
    """
    if isinstance(name, str) and name not in RECIPES:
        raise ValueError(unknown_name_message(name, RECIPES, "recipe"))
    base = RECIPES[name] if isinstance(name, str) else name
    changes = {key: value for key, value in changes.items() if value is not None}
    known = {field.name for field in dataclasses.fields(Recipe)}
    for key in changes:
        if key not in known:
            raise ValueError(unknown_name_message(key, known, "field", " of a recipe"))
    for key in ("rate", "momentum"):
        if isinstance(changes.get(key), (int, float)):
            changes[key] = Constant(float(changes[key]))
    if "loss" in changes:
        changes["loss"] = parse_loss(changes["loss"])
    if "epochs" in changes:
        changes["steps"] = None
    if "validate_every" in changes:
        changes["validate_every_steps"] = None
    changed = dataclasses.replace(base, **changes)
    _check_recipe(changed)
    return changed


def parse_loss(text: str | Mapping[str, float]) -> dict[str, float]:
    """Return the weights by loss of a text such as ``"mse"`` or ``"kld=1,cc=0.2"``.

    Raises:
        ValueError: an unknown loss, or a weight that is not a number above 0.
    """
    parts = text.split(",") if isinstance(text, str) else [f"{name}={weight}" for name, weight in text.items()]
    weights = {}
    for part in parts:
        name, _, weight = part.strip().partition("=")
        if name not in LOSSES:
            raise ValueError(
                unknown_name_message(name, LOSSES, "loss") + ' Examples: "mse", or a sum such as "kld=1,cc=0.2".'
            )
        try:
            weights[name] = float(weight or 1)
        except ValueError:
            weights[name] = math.nan
        if not 0 < weights[name] < math.inf:
            raise ValueError(f"The weight of the loss {name} must be a number above 0, got {weight!r}.")
    return weights


def describe_loss(loss: Mapping[str, float]) -> str:
    """Return the quantity that the weights by loss minimize, such as ``"MSE + 0.3 (−CC)"``."""
    terms = [(LOSSES[name], weight) for name, weight in loss.items()]
    return " + ".join(name if weight == 1 else f"{weight:g} {name}" for name, weight in terms)


def _check_recipe(recipe: Recipe) -> None:
    for key, minimum in (("batch_size", 1), ("validate_every", 1), ("seed", 0), ("epochs", 1), ("steps", 1)):
        value = getattr(recipe, key)
        missing = value is None and key in ("epochs", "steps") and (recipe.epochs, recipe.steps) != (None, None)
        if not missing:
            check_int(key, value, minimum)
    for key in ("optimizer", "mirror", "target_range", "keep"):
        check_choice(key, getattr(recipe, key), get_args(Recipe.__annotations__[key]))
    check_number("rate", recipe.rate(0, recipe.epochs or 1), above=0)
    check_number("momentum", recipe.momentum(0, recipe.epochs or 1), minimum=0)
    for loss, reason in (("kld", "treats negative values as 0"), ("center_distance", "expects maps in 0..1")):
        if recipe.target_range == "pm1" and loss in recipe.loss:
            raise ValueError(f'target_range must be "unit" for the loss {loss}, which {reason}, got "pm1".')
