"""Recipes of gaze training: everything that decides a run but the net, the data and the machine."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

from kerasal.checks import check_choice, check_int, check_number
from kerasal.names import unknown_name_message
from kerasal.store import plain
from kerasal.training.optimization import Constant, Cosine, Linspace, Schedule, StepFloor, depends_on_length

LOSSES = {
    "mse": "MSE",
    "nss": "(−NSS)",
    "cc": "(−CC)",
    "kld": "KLD",
    "similarity": "(−similarity)",
    "likelihood": "(−log-likelihood, bits)",
}
"""The losses, and what each minimizes."""

FIXATION_LOSSES = ("nss", "likelihood")
"""The losses of fixations; the others are of the density scaled to a maximum of 1."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a gaze predictor is trained.

    Attributes:
        source: where the recipe is from.
        epochs: passes over the data; ``None`` where ``steps`` counts.
        steps: batches in all, instead of epochs; rounded up to whole epochs.
        batch_size: images a step; the last batch of an epoch may be smaller.
        optimizer: ``"torch_sgd"`` or ``"adam"``.
        rate: learning rate.
        momentum: of ``"torch_sgd"``.
        weight_decay: coupled, on all parameters; of ``"torch_sgd"``.
        loss: weights by the names in ``LOSSES``, such as ``{"kld": 1.0, "cc": 0.2}``; see ``FIXATION_LOSSES``.
        mirror: ``"both"`` shows every image and its mirror image each epoch, as the coursework's mirrored data set
            does; ``"half"`` mirrors a random half of every batch (Pan); ``"none"``.
        target_range: density 0..1 (``"unit"``) or -1..1 (``"pm1"``, Pan).
        validate_every: epochs between validations; the last epoch always has one.
        validate_every_steps: the same in steps, for a recipe of ``steps``; rounded to whole epochs.
        keep: the weights after the ``"last"`` epoch, or those of the ``"best"`` validation loss.
        seed: of order and mirroring; not of the starting weights, which the net brings.
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
        """Return the recipe in epochs, where it counts in steps."""
        changes: dict[str, Any] = {}
        if self.epochs is None and self.steps is not None:
            changes |= {"epochs": math.ceil(self.steps / steps_per_epoch), "steps": None}
        if self.validate_every_steps is not None:
            every = max(1, round(self.validate_every_steps / steps_per_epoch))
            changes |= {"validate_every": every, "validate_every_steps": None}
        return dataclasses.replace(self, **changes)

    def shown(self, images: int) -> int:
        """Return how many images an epoch shows."""
        return 2 * images if self.mirror == "both" else images

    def steps_per_epoch(self, images: int) -> int:
        """Return the batches of an epoch, the last of which may be smaller."""
        return math.ceil(self.shown(images) / self.batch_size)

    @property
    def needs_fixations(self) -> bool:
        """Whether the loss is of fixations."""
        return any(name in FIXATION_LOSSES for name in self.loss)

    @property
    def settings(self) -> dict[str, Any]:
        """What a resumed run must have in common with its beginning; as JSON gives it back."""
        found = dataclasses.asdict(self)
        del found["source"]
        if not any(depends_on_length(schedule) for schedule in (self.rate, self.momentum)):
            del found["epochs"]  # such a run may be given more
        return {key: plain(value) for key, value in found.items() if value is not None}


RECIPES: dict[str, Recipe] = {
    "coursework": Recipe(
        source="the report GN17738, sections V and VI: 157,000 steps on 20,000 images",
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
        source="He & Pugeault's released code (2019): -NSS, Adam, 10,000 steps of 20 images; its rate of 5e-3 is "
        "50 times this one, which is what a pretrained VGG bears under Adam",
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
        loss={"mse": 1.0, "cc": 0.3},  # with 0.1, or the MSE alone, the nets of the zoo stay at the mean map for longer
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
        source="kerasal's own, after the recipe gaze: the whole net, at a rate that pretrained features bear",
        rate=Cosine(1e-4),
        epochs=8,
        batch_size=16,
        optimizer="adam",
        loss={"likelihood": 1.0, "cc": 0.5},  # by the likelihood alone maps follow the densities less (the card)
        keep="best",
    ),
}


def recipe(name: str | Recipe = "default", **changes: Any) -> Recipe:
    """Return a recipe by name, with ``changes`` to its fields; ``None`` changes nothing.

    A number as ``rate`` or ``momentum`` becomes a ``Constant``, and ``loss`` may be a text such as ``"kld=1,cc=0.2"``.
    ``epochs`` replaces ``steps``.

    Raises:
        ValueError: an unknown name or field, or a value out of range.
    """
    if isinstance(name, str) and name not in RECIPES:
        raise ValueError(unknown_name_message(name, RECIPES, "recipe"))
    chosen = RECIPES[name] if isinstance(name, str) else name
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
    chosen = dataclasses.replace(chosen, **changes)
    _check(chosen)
    return chosen


def parse_loss(text: str | Mapping[str, float]) -> dict[str, float]:
    """Read ``"mse"`` or ``"kld=1,cc=0.2"`` as weights by name.

    Raises:
        ValueError: an unknown loss, or a weight that is no number above 0.
    """
    parts = text.split(",") if isinstance(text, str) else [f"{name}={weight}" for name, weight in text.items()]
    found = {}
    for part in parts:
        name, _, weight = part.strip().partition("=")
        if name not in LOSSES:
            raise ValueError(
                unknown_name_message(name, LOSSES, "loss") + ' Write "mse", or a sum such as "kld=1,cc=0.2".'
            )
        try:
            found[name] = float(weight or 1)
        except ValueError:
            found[name] = math.nan
        if not 0 < found[name] < math.inf:
            raise ValueError(f"The weight of the loss {name} is a number above 0. Received: {weight!r}.")
    return found


def _check(chosen: Recipe) -> None:
    for key, least in (("batch_size", 1), ("validate_every", 1), ("seed", 0), ("epochs", 1), ("steps", 1)):
        value = getattr(chosen, key)
        missing = value is None and key in ("epochs", "steps") and (chosen.epochs, chosen.steps) != (None, None)
        if not missing:
            check_int(key, value, least)
    for key in ("optimizer", "mirror", "target_range", "keep"):
        check_choice(key, getattr(chosen, key), get_args(Recipe.__annotations__[key]))
    check_number("rate", chosen.rate(0, chosen.epochs or 1), above=0)
    check_number("momentum", chosen.momentum(0, chosen.epochs or 1), minimum=0)
    if chosen.target_range == "pm1" and "kld" in chosen.loss:
        raise ValueError('kld takes values below 0 for 0: give it target_range "unit", not "pm1".')
