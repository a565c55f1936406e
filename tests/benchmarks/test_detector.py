"""The rendered images of ``benchmarks/detector.py`` and the shares of maps in boxes."""

import importlib.util
import pathlib

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("detector", ROOT / "benchmarks" / "detector.py")
detector = importlib.util.module_from_spec(spec)
spec.loader.exec_module(detector)


def test_objects_lie_in_their_boxes_and_cells():
    photos, boxes, classes = detector.render(20, 3)
    assert photos.shape == (20, 64, 64, 3) and photos.min() >= 0 and photos.max() <= 1
    targets = detector._place(boxes, classes)
    assert (targets["objectness"].sum(1) == 2).all()
    for photo, pair, kinds in zip(photos, boxes, classes, strict=True):
        for (x0, y0, x1, y1), kind in zip(pair, kinds, strict=True):
            inside = photo[y0:y1, x0:x1]
            same = (inside == inside[len(inside) // 2, len(inside) // 2]).all(-1)
            share = same.mean()  # of the box: π/4 for a disk
            assert share == 1 if detector.NAMES[kind] == "square" else abs(share - np.pi / 4) < 0.05
            assert same[len(same) // 2].all()  # the middle row reaches both sides


def test_the_detector_has_a_detection_per_cell_within_reach_of_it():
    photos, *_ = detector.render(2, 0)
    found = detector.make_detector()(photos)
    assert {name: value.shape[1:] for name, value in found.items()} == {
        "boxes": (64, 4),
        "scores": (64, 2),
        "objectness": (64, 1),
    }
    boxes = found["boxes"].numpy().reshape(2, 8, 8, 2, 2)
    centers = boxes.mean(3) / 8
    cells = np.stack(np.meshgrid(np.arange(8), np.arange(8)), axis=-1)
    assert (centers > cells).all() and (centers < cells + 1).all()


def test_the_share_of_a_map_is_of_its_positive_part():
    maps = np.zeros((2, 64, 64))
    maps[0, 2:4, 5:9], maps[0, 50, 50], maps[0, 60] = 1, 2, -5
    shares = detector.share(maps, np.array([[5, 2, 9, 4], [0, 0, 9, 9]]))
    np.testing.assert_allclose(shares, [0.8, 0])
