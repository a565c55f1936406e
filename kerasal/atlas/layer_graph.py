"""The model's graph as a column: each layer a row, and beside it, in lanes, what skips rows."""

import dataclasses
from collections.abc import Sequence

from kerasal.atlas.anatomy import Layer

ROW = 56
"""Height of a row in pixels, which the style sheet has too."""

_LANE, _WIDEST = 9, 90


@dataclasses.dataclass(frozen=True)
class Wires:
    """The lines of a column: ``paths`` are SVG path data, ``width`` and ``height`` the space they take, in pixels."""

    paths: list[str]
    width: int
    height: int
    spine: int


def wires(layers: Sequence[Layer]) -> Wires:
    """Draw what reads from what; a model whose connections are not known has no lines."""
    edges = sorted((source, number) for number, layer in enumerate(layers) for source in layer.sources)
    skips = sorted((edge for edge in edges if edge[1] - edge[0] != 1), key=lambda edge: (edge[1] - edge[0], edge))
    lanes: list[list[tuple[int, int]]] = []
    for low, high in (tuple(sorted(edge)) for edge in skips):
        for lane in lanes:
            if all(high <= other_low or low >= other_high for other_low, other_high in lane):
                lane.append((low, high))
                break
        else:
            lanes.append([(low, high)])
    lane_width = min(_LANE, _WIDEST / max(1, len(lanes)))
    spine = round(lane_width * len(lanes)) + 8
    lane_of = {edge: number for number, lane in enumerate(lanes) for edge in lane}
    paths = [f"M{spine} {_middle(low)}V{_middle(high)}" for low, high in edges if high - low == 1]
    for low, high in dict.fromkeys(tuple(sorted(edge)) for edge in skips):
        x = round(spine - lane_width * (lane_of[low, high] + 1), 1)
        top, bottom = _middle(low) + 5, _middle(high) - 5
        paths.append(f"M{spine} {top}Q{x} {top} {x} {top + 9}V{bottom - 9}Q{x} {bottom} {spine} {bottom}")
    return Wires(paths, spine + 8, ROW * len(layers), spine)


def _middle(row: int) -> int:
    return ROW * row + ROW // 2
