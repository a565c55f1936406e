"""Does the gaze model predict who is looked at: NSS and density inside and outside of the faces of crowd.

    python benchmarks/gaze_faces.py CROWD_FOLDER [--model gaze.keras] [--images 100]

CROWD_FOLDER has ``faces.csv`` (image, left, top, width, height in pixels of 1024 × 768, and the flags frontal, profile,
back and occluded) beside its fixations. Only the test images are used, and of them those with faces. Rows: the model,
the other observers (the density that all but one predict, at the fixations of that one; see ``kerasal.gaze.ceiling``)
and the center Gaussian. Columns: the share of the density in the boxes of faces, and the NSS and the information gain
over the center in bits at the fixations inside and outside of them. Each is the mean over images with its 95 %
bootstrap interval.

The second table groups the faces. ``looked at`` is the mean over images of the share of the image's fixations in the
boxes of the group; ``predicted`` is the model's density there as a share of it, the ratio of the means over images with
its interval: below 1, the model misses these faces. Overlapping boxes each count all that they contain. The third table
lists the faces with the largest difference.
"""

import argparse
import itertools
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
from markdown_tables import interval, print_table

from kerasal import gaze, metrics, open_model
from kerasal.datasets import open_gaze
from kerasal.metrics.observer_density import left_out_densities
from kerasal.metrics.summary import summarize_ratio

STIMULUS = (768, 1024)
WORST = 10


def read_faces(folder: pathlib.Path) -> pd.DataFrame:
    """Return the faces with the name of their image, and corners as shares of width and height."""
    faces = pd.read_csv(folder / "faces.csv")
    height, width = STIMULUS
    corners = {
        "x_min": faces["left"] / width,
        "y_min": faces["top"] / height,
        "x_max": (faces["left"] + faces["width"]) / width,
        "y_max": (faces["top"] + faces["height"]) / height,
    }
    faces = faces.assign(**{name: values.clip(0, 1) for name, values in corners.items()})
    faces["image"] = faces["image"].str.removesuffix(".jpg")
    return faces[(faces["x_max"] > faces["x_min"]) & (faces["y_max"] > faces["y_min"])].reset_index(drop=True)


def boxes_in_pixels(faces: pd.DataFrame, shape: tuple[int, int]) -> np.ndarray:
    return faces[["x_min", "y_min", "x_max", "y_max"]].to_numpy() * np.array([*shape[::-1], *shape[::-1]])


def inside_boxes(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return which points (n, 2) lie in which boxes, bool (n, boxes)."""
    low, high = boxes[None, :, :2], boxes[None, :, 2:]
    return ((points[:, None] >= low) & (points[:, None] < high)).all(axis=-1)


def score(density: np.ndarray, center: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the normalized density and the gain over the center in bits at each fixation."""
    x, y = points.astype(int).T
    at = density[y, x]
    return (at - density.mean()) / density.std(ddof=1), np.log2(at) - np.log2(center[y, x])


def describe_image(name, data, limit, density, faces):
    """Return the rows of an image in the first table, {row: {column: value}}, and its faces with their shares."""
    points = data.points(name)
    shape = points.frame
    boxes = boxes_in_pixels(faces, shape)
    member = inside_boxes(points.xy, boxes)
    in_face = member.any(axis=1)
    center = metrics.center_map(shape)
    center /= center.sum()
    others = list(left_out_densities(points.xy, points.subject, shape, limit.mixture(name)))
    rows = {}
    for row, pairs in (
        ("model", [(slice(None), density)]),
        ("other observers", others),
        ("center", [(slice(None), center)]),
    ):
        nss, gain, share = np.empty(len(in_face)), np.empty(len(in_face)), np.empty(len(in_face))
        for own, values in pairs:
            nss[own], gain[own] = score(values, center, points.xy[own])
            share[own] = 1 - gaze.attention_share(values, boxes).rest["share"]
        rows[row] = {"density in faces": share.mean()}
        for label, part in (("inside", in_face), ("outside", ~in_face)):
            rows[row] |= {f"NSS {label}": nss[part].mean() if part.any() else np.nan}
            rows[row] |= {f"gain {label}": gain[part].mean() if part.any() else np.nan}
    shares = gaze.attention_share(density, boxes).table
    rows["fixations"] = {"density in faces": in_face.mean()}
    rows["area"] = {"density in faces": 1 - gaze.attention_share(np.ones(shape), boxes).rest["share"]}
    found = faces.assign(
        looked=member.mean(axis=0), predicted=shares["share"].to_numpy(), area=shares["area"].to_numpy()
    )
    return rows, found


def group_faces(faces: pd.DataFrame) -> dict[str, pd.Series]:
    """Return {group: bool per face}, by size, place and kind of the face."""
    height = faces["y_max"] - faces["y_min"]
    x, y = (faces["x_min"] + faces["x_max"]) / 2, (faces["y_min"] + faces["y_max"]) / 2
    count = faces.groupby("image")["image"].transform("size")
    groups = {"all faces": pd.Series(True, faces.index)}
    bounds = [0, 0.04, 0.06, 0.1, 0.15, 1]
    for low, high in itertools.pairwise(bounds):
        title = f"height {low:.0%} to {high:.0%} of the image" if high < 1 else f"height {low:.0%} and more"
        groups[title] = (height >= low) & (height < high)
    aside = (x - 0.5).abs()
    for title, part in (
        ("middle third across", aside < 1 / 6),
        ("between", (aside >= 1 / 6) & (aside < 1 / 3)),
        ("outer thirds of the sides", aside >= 1 / 3),
    ):
        groups[title] = part
    groups |= {"upper third": y < 1 / 3, "middle third down": (y >= 1 / 3) & (y < 2 / 3), "lower third": y >= 2 / 3}
    groups |= {flag: faces[flag] == 1 for flag in ("frontal", "profile", "back", "occluded")}
    return groups | {
        "1 to 5 faces in the image": count <= 5,
        "6 to 15": (count > 5) & (count <= 15),
        "16 and more": count > 15,
    }


def print_groups(faces: pd.DataFrame, names: list[str]) -> None:
    rows = {}
    for title, part in group_faces(faces).items():
        sums = faces[part].groupby("image")[["looked", "predicted", "area"]].sum().reindex(names, fill_value=0.0)
        share, low, high = summarize_ratio(sums["predicted"], sums["looked"])
        rows[title] = {
            "faces": int(part.sum()),
            "area": f"{sums['area'].mean():.3f}",
            "looked at": interval(sums["looked"]),
            "predicted / looked at": f"{share:.2f} [{low:.2f}, {high:.2f}]",
        }
    print_table("Faces by size, place and kind", rows)


def print_worst(faces: pd.DataFrame) -> None:
    worst = faces.assign(missed=faces["looked"] - faces["predicted"]).nlargest(WORST, "missed")
    rows = {}
    for number, face in enumerate(worst.itertuples(), 1):
        flags = ", ".join(flag for flag in ("frontal", "profile", "back", "occluded") if getattr(face, flag)) or "–"
        rows[f"{number}: {face.image}"] = {
            "center x, y": f"{(face.x_min + face.x_max) / 2:.2f}, {(face.y_min + face.y_max) / 2:.2f}",
            "height": f"{face.y_max - face.y_min:.1%}",
            "kind": flags,
            "fixations": f"{face.looked:.1%}",
            "predicted": f"{face.predicted:.1%}",
        }
    print_table("The faces that are missed most", rows)


def main(words=None) -> None:
    summary, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("crowd", type=pathlib.Path)
    parser.add_argument("--model", default="gaze", help="a model file, a run, or a zoo name")
    parser.add_argument("--images", type=int, help="use only this number of images")
    parser.add_argument("--split", default="test", help="part of the data, or 'all'")
    options = parser.parse_args(words)
    data = open_gaze(options.crowd, None if options.split == "all" else options.split)
    data = data.subset(range(options.images)) if options.images else data
    faces = read_faces(options.crowd)
    with_faces = set(faces["image"])
    names = [name for name in data.names if name in with_faces]
    data = data.subset(names)
    limit = gaze.ceiling(data)
    predictor = gaze.Predictor.from_image_model(open_model(options.model))
    scores: dict[str, list[dict]] = {}
    parts = []
    predictions = gaze.predict_many((data.image(name) for name in names), predictor)
    for name, prediction in zip(names, predictions, strict=True):
        density = np.exp(prediction.log_density.astype(np.float64))
        rows, found = describe_image(name, data, limit, density / density.sum(), faces[faces["image"] == name])
        for row, values in rows.items():
            scores.setdefault(row, []).append(values)
        parts.append(found)
    columns = list(scores["model"][0])
    tables = {row: pd.DataFrame(values).reindex(columns=columns) for row, values in scores.items()}
    rows = {row: {column: interval(table[column]) for column in columns} for row, table in tables.items()}
    both = {}
    for label in ("inside", "outside"):
        share, low, high = summarize_ratio(tables["model"][f"gain {label}"], tables["other observers"][f"gain {label}"])
        both |= {f"gain {label}": f"{share:.1%} [{low:.1%}, {high:.1%}]"}
    rows["model / other observers"] = {column: both.get(column, "–") for column in columns}
    print_table(f"{options.crowd.name}, {len(names)} images with faces", rows)
    faces = pd.concat(parts, ignore_index=True)
    print_groups(faces, names)
    print_worst(faces)


if __name__ == "__main__":
    main()
