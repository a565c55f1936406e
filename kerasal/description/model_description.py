"""``ModelDescription``: the facts about a model, as text and as JSON."""

import dataclasses
import json
from typing import Any

from kerasal.names import abbreviate


@dataclasses.dataclass(frozen=True)
class ModelDescription:
    """The facts about a model; an empty text or list means that there is none or that it cannot be known.

    Attributes:
        name: name of the model.
        kind: name of its Keras class, such as ``Sequential``.
        inputs, outputs: names and shapes, such as ``{"image": "(N, 64, 64, 3)"}``.
        parameters: number of parameters.
        preprocessing: name of the preprocessing, or "" if it is unknown.
        preprocessing_reason: how it was recognized, or what to pass.
        labels: the class names.
        last_layer, last_grid: the layer whose positions class activation maps weight, and its (height, width).
        fields: receptive fields of some layers: layer, map size, size and stride in pixels.
        rectifiers: number of ReLUs and other rectifiers, by kind.
        attention: number of attention layers.
        methods: for each attribution method, and for maximize, exemplars, localize, atlas and export, "" if it works
            on this model, or the reason why not.
        notes: what was assumed when the model was opened, and what cannot be known about it.
    """

    name: str
    kind: str
    inputs: dict[str, str]
    outputs: dict[str, str]
    parameters: int
    preprocessing: str
    preprocessing_reason: str
    labels: list[str]
    last_layer: str
    last_grid: tuple[int | None, ...]
    fields: list[dict[str, Any]]
    rectifiers: dict[str, int]
    attention: int
    methods: dict[str, str]
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as a dictionary of what JSON can hold."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    def __str__(self) -> str:
        fields = [f"{row['layer']} {_times(row['size'])} (stride {_times(row['stride'])})" for row in self.fields]
        last = f"{self.last_layer}, {_times(self.last_grid)}" if self.last_layer else "none"
        rows = [
            ("model", f"{self.name} ({self.kind}), {self.parameters:,} parameters"),
            *(("input", f"{name} {shape}") for name, shape in self.inputs.items()),
            *(("output", f"{name} {shape}") for name, shape in self.outputs.items()),
            ("preprocessing", f"{self.preprocessing or 'unknown'}: {self.preprocessing_reason}"),
            (
                "labels",
                f"{len(self.labels)}: {abbreviate([name.partition(',')[0] for name in self.labels], 5)}"
                if self.labels
                else "none",
            ),
            ("last positions", last),
            *(("receptive field" if i == 0 else "", text) for i, text in enumerate(fields)),
            ("rectifiers", ", ".join(f"{count} × {kind}" for kind, count in self.rectifiers.items()) or "none"),
            ("attention", f"{self.attention} layer{'s' * (self.attention != 1)}" if self.attention else "none"),
            *(("note", note) for note in self.notes),
        ]
        works = [name for name, reason in self.methods.items() if not reason]
        rows += [("works", ", ".join(works) or "nothing")]
        reasons = dict.fromkeys(reason for reason in self.methods.values() if reason)
        for reason in reasons:
            names = ", ".join(name for name in self.methods if self.methods[name] == reason)
            rows.append(("does not work", f"{names}: {reason}"))
        lines, previous = [], ""
        for title, text in rows:
            lines.append(f"{'' if title == previous else title:16} {text}")
            previous = title
        return "\n".join(lines)


def _times(values: Any) -> str:
    return values if isinstance(values, str) else " × ".join("any" if v is None else f"{v:g}" for v in values)
