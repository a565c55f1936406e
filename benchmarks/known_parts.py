"""Which methods of attribution find the part that decides, where it is known?

    python benchmarks/known_parts.py RUNS [--seeds 0 1] [--images 40] [--picture truth.jpg]

``datasets.known_parts`` renders creatures whose crest alone decides the class. ``kerasal train`` trains a small network
of four convolutions on 4,000 of them, once per seed, in about a minute on a core. Its answer to a taken-away part is
known as well: the same image is rendered without the part, and the score falls by so much. Each map of the true class
of test images is measured by

``hit``     the pointing game: is the maximum on the crest?
``mass``    the share of the map's positive sum that is on the crest.
``rank``    of as many of the highest pixels as the crest has, the share that is on it.
``parts``   rank correlation over the seven parts of the map's sum in a part and the fall of the score without it.

A map that is 0 everywhere gets 0. "place" is the mean place by these four among all rows. Controls: for each map a
random one with the same values and the same smoothness, the center, the edges of the image, and the method on the
network with shuffled weights. Then one thing at a time is changed, with the first
seed:

``distractors``  loose feathers and eggs, which decide nothing: one network, the same creatures without and with four.
``shortcut``     a background pattern that agrees with the class in 95 % of the training images, beside a network for
                 which the pattern is random: the share of the map on the background of the same images.
``two causes``   crest and tail both show the class: the share on each, and the smaller share divided by the larger.

Models and scores are stored in RUNS, and a stopped run continues there. Intervals are 95 % bootstrap intervals over
images, whose scores are averaged over the seeds first. ``--small`` uses a few images and methods.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import time
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
from map_scores import Rows, by_row, shuffled, smooth_noise, use_one_thread
from markdown_tables import interval, print_table
from PIL import Image
from scipy.ndimage import distance_transform_edt
from scipy.stats import kendalltau, rankdata

from kerasal import attribution, datasets, images
from kerasal.attribution import evaluation
from kerasal.attribution.method_comparison import QUICK
from kerasal.files import atomic_write
from kerasal.hooks.engine import target_scores
from kerasal.progress import progress_bar

import keras
from keras import layers

ROOT = pathlib.Path(__file__).resolve().parents[1]
SIZE, CLASSES, NAME = 64, 4, "parts_cnn"
TEST_SEED = 1000  # of the images with maps, which are the same for all networks
BATCH = 20  # images per call of a method
MEASURES = ("hit", "mass", "rank", "parts")
RANDOM = ("random map, 8 × 8", "random map, pixels")
VARIANTS = {  # methods whose default is black, with the light gray of the images instead
    "integrated_gradients, baseline .8": ("integrated_gradients", {"baseline": 0.8}),
    "deeplift, baseline .8": ("deeplift", {"baseline": 0.8}),
    "occlusion, fill .8": ("occlusion", {"fill": 0.8}),
    "ablation, fill .8": ("ablation", {"fill": 0.8}),
}
VARIED = (  # methods whose maps are made under every condition
    "class_saliency",
    "guided_backprop",
    "integrated_gradients",
    "integrated_gradients, baseline .8",
    "deeplift",
    "lrp",
    "gradcam",
    "layercam",
    "occlusion",
    "occlusion, fill .8",
    "rise",
)
DATA = {  # options of the training images, by condition
    "plain": "",
    "distractors": "distractors=4",
    "textured": "background=textured",
    "shortcut": "background=spurious",
    "two causes": "causes=2",
}


def small_network(seed: int) -> keras.Model:
    """Return an untrained network of images in 0..1, with the weights of a seed."""
    keras.utils.set_random_seed(seed)
    image = x = keras.Input((SIZE, SIZE, 3), name="image")
    for number, width in enumerate((8, 16, 32, 64)):
        x = layers.MaxPooling2D(2)(x) if number else x
        x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"conv{number + 1}")(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(CLASSES, activation="softmax")(x), name=NAME)


def trained(runs: pathlib.Path, condition: str, seed: int, small: bool = False) -> keras.Model:
    """Return the network of a condition and a seed, which ``kerasal train`` trains if it is not stored."""
    folder, start = runs / f"{condition.replace(' ', '_')}_{seed}", runs / f"untrained_{seed}.keras"
    if not (folder / f"{NAME}.keras").is_file():
        runs.mkdir(parents=True, exist_ok=True)
        small_network(seed).save(start)
        count = "train=40,test=8" if small else "train=4000"
        data = ",".join(filter(None, [f"known_parts:{count},seed={2 * seed}", DATA[condition]]))
        words = [str(start), "--data", data, "--preprocessing", "unit", "-o", str(folder), "--seed", str(seed)]
        words += ["--epochs", "1" if small else "8", "--learning-rate", "0.003"]
        print("kerasal train", *words, flush=True)
        environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_NUM_INTRAOP_THREADS": "1"}
        subprocess.run([sys.executable, "-m", "kerasal", "train", *words, "--quiet"], check=True, env=environment)
    return keras.models.load_model(folder / f"{NAME}.keras")


def inputs_of(data) -> np.ndarray:
    """Return the images of a data set as inputs, 0..1."""
    return data.images / np.float32(255)


def score(model: keras.Model, data) -> np.ndarray:
    """Return the logits of the true classes, (N,)."""
    return target_scores(model, [inputs_of(data)], data.classes)


def accuracy(model: keras.Model, data) -> np.ndarray:
    """Return whether the top class is the true one, (N,)."""
    return (model.predict(inputs_of(data), verbose=0).argmax(axis=1) == data.classes).astype(float)


def compute_maps(method: str, model: keras.Model, data) -> tuple[np.ndarray, float]:
    """Return the maps of the true classes, (N, H, W), and the time per image in ms without that of the first batch.

    ``method`` is a name or one of ``VARIANTS``.
    """
    x, maps, seconds = inputs_of(data), [], []
    name, options = VARIANTS.get(method, (method, QUICK.get(method, {})))
    for start in range(0, len(x), BATCH):
        part = slice(start, start + BATCH)
        before = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", attribution.ZeroMap)
            values = evaluation.Subject(model, x[part], name, data.classes[part], options=options).maps
        seconds.append((time.perf_counter() - before) / len(values))
        maps.append(values)
    return np.concatenate(maps), 1000 * float(np.median(seconds[1:] or seconds))


def part_correlation(maps: np.ndarray, data, drops: np.ndarray) -> np.ndarray:
    """Return the rank correlation over parts of the sums of maps in the parts and the drops (N, P) without them."""
    sums = (maps[:, None] * data.part_masks).sum(axis=(2, 3))
    pairs = zip(rankdata(sums, axis=1), rankdata(drops, axis=1), strict=True)
    return np.array([np.corrcoef(a, b)[0, 1] if np.ptp(a) and np.ptp(b) else np.nan for a, b in pairs])


def measure(maps: np.ndarray, data, drops: np.ndarray) -> dict[str, np.ndarray]:
    """Return the measures of maps, and of random maps like them with the suffix " random"; each (N,)."""
    results, truth = {}, data.mask()
    functions = evaluation.pointing_game, evaluation.relevance_mass, evaluation.relevance_rank
    for name, function in zip(MEASURES, functions, strict=False):
        result = function(maps, truth)
        results |= {name: result.values, f"{name} random": result.controls["random"]}
    results["parts"] = part_correlation(maps, data, drops)
    random = [part_correlation(evaluation.random_maps_like(maps, seed), data, drops) for seed in range(3)]
    results["parts random"] = np.mean(random, axis=0)
    return {name: np.nan_to_num(values) for name, values in results.items()}


def part_drops(model: keras.Model, data, **options) -> np.ndarray:
    """Return by how much the score falls without each part, (N, P)."""
    whole = score(model, data)
    without = [test_images(len(data), without=part, **options) for part in data.part_names]
    return np.stack([whole - score(model, other) for other in without], axis=1)


def test_images(count: int, **options):
    """Return the images with maps: always the same creatures."""
    return datasets.known_parts(count, TEST_SEED, size=SIZE, **options)


def runs_on(model: keras.Model, method: str) -> bool:
    """Return whether a method runs on the network."""
    try:
        compute_maps(method, model, test_images(2))
    except ValueError as error:
        print(f"{method} is left out: {error}", flush=True)
        return False
    return True


def add_rows(rows: Rows, values: dict[str, np.ndarray], **facts) -> None:
    """Store a row per image."""
    count = len(next(iter(values.values())))
    table = pd.DataFrame({**values, "image": range(count), **facts})
    rows.add(table.to_dict("records"))


def score_methods(model: keras.Model, seed: int, methods: list[str], rows: Rows, count: int) -> None:
    """Store the measures of all methods and controls, with the weights of training and with shuffled ones."""
    data = test_images(count)
    drops, noise = part_drops(model, data), np.random.default_rng(seed)
    shape = (count, SIZE, SIZE)
    controls = {
        RANDOM[0]: np.stack([smooth_noise(shape[1:], (8, 8), noise) for _ in range(count)]),
        RANDOM[1]: noise.random(shape),
        "center": evaluation.center_maps(shape),
        "edges": evaluation.edge_maps(inputs_of(data), 3),
    }
    wrong = shuffled(model, seed)
    with progress_bar(f"methods of seed {seed}", len(methods) + 1) as advance:
        if f"controls {seed}" not in rows.done:
            for name, maps in controls.items():
                add_rows(rows, measure(maps, data, drops), row=name, seed=seed, key=f"controls {seed}")
        advance(1)
        for method in methods:
            if f"{method} {seed}" not in rows.done:
                maps, cost = compute_maps(method, model, data)
                values = measure(maps, data, drops)
                values |= {f"{name} shuffled": np.full(count, np.nan) for name in MEASURES}
                some = test_images(-(-count // 3))
                other = measure(compute_maps(method, wrong, some)[0], some, drops[: len(some)])
                for name in MEASURES:
                    values[f"{name} shuffled"][: len(some)] = other[name]
                add_rows(rows, values, row=method, seed=seed, ms=cost, key=f"{method} {seed}")
            advance(1)


def share(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return the share of the positive sum of maps on masks, NaN where the map or the mask is empty."""
    masks, positive = masks.reshape(len(maps), -1), np.maximum(maps, 0).reshape(len(maps), -1)
    inside, total = (positive * masks).sum(axis=1), positive.sum(axis=1)
    return np.where(masks.any(axis=1) & (total > 0), inside / np.where(total > 0, total, 1), np.nan)


def score_distractors(models: dict, method: str, count: int) -> dict[str, np.ndarray]:
    """Return the measures of maps of the same creatures without and with distractors."""
    values = {}
    for number in (0, 4):
        data = test_images(count, distractors=number)
        maps, _ = compute_maps(method, models["distractors"], data)
        values[f"hit, {number}"] = np.nan_to_num(evaluation.pointing_game(maps, data.mask(), random_maps=0).values)
        values[f"mass, {number}"] = share(maps, data.mask())
    area = data.distractor_masks.mean(axis=(1, 2))
    values["distractors"] = share(maps, data.distractor_masks) / area
    values["random"] = share(evaluation.random_maps_like(maps), data.distractor_masks) / area
    return values


def score_shortcut(models: dict, method: str, count: int) -> dict[str, np.ndarray]:
    """Return the share on the background of the maps of both networks for the same images, which show the cue."""
    data, values = test_images(count, background="spurious", cue_share=1), {}
    for condition in ("textured", "shortcut"):
        maps, _ = compute_maps(method, models[condition], data)
        values[condition] = share(maps, data.background_masks)
    values["random"] = share(evaluation.random_maps_like(maps), data.background_masks)
    return values


def score_causes(models: dict, method: str, count: int) -> dict[str, np.ndarray]:
    """Return the shares of maps on crest and tail, of the network with two causes and of that with one."""
    data, values = test_images(count, causes=2), {}
    for condition, name in (("plain", "one cause"), ("two causes", "two causes")):
        maps, _ = compute_maps(method, models[condition], data)
        crest, tail = share(maps, data.mask("crest")), share(maps, data.mask("tail"))
        values |= {f"crest, {name}": crest, f"tail, {name}": tail}
    values["smaller / larger"] = np.minimum(crest, tail) / np.maximum(np.maximum(crest, tail), 1e-12)
    values["random"] = share(evaluation.random_maps_like(maps), data.mask("tail"))
    return values


def print_reactions(models: dict[str, keras.Model], count: int) -> None:
    """Print accuracies, and by how much the networks' scores fall when a part or the cue is taken away."""
    rows: dict[str, dict] = {}

    def add(row: str, condition: str, fall, **options) -> None:
        data = test_images(count, **options)
        model = models[condition]
        cells = {"accuracy": interval(accuracy(model, data), 2)}
        for name, other in fall.items():
            cells[name] = interval(score(model, data) - score(model, other), 2)
        rows[row] = {name: cells.get(name, "–") for name in ("accuracy", "crest", "tail", "wing", "pattern")}

    def gone(**options):
        return {part: test_images(count, without=part, **options) for part in ("crest", "tail", "wing")}

    cue = {"background": "spurious", "cue_share": 1}
    pattern = {"pattern": test_images(count, background="spurious", cue_share=0)}
    add("one cause", "plain", gone())
    add("four distractors", "distractors", gone(distractors=4), distractors=4)
    add("random pattern", "textured", gone(**cue) | pattern, **cue)
    add("pattern as shortcut", "shortcut", gone(**cue) | pattern, **cue)
    add("the same, another pattern", "shortcut", {}, background="spurious", cue_share=0)
    add("two causes", "two causes", gone(causes=2), causes=2)
    print_table("fall of the score without a part, or with another pattern", rows)


def draw_picture(models: dict[str, keras.Model], methods=("gradcam", "lrp", "rise", "guided_backprop")) -> np.ndarray:
    """Return creatures with the outlines of the deciding parts and maps of their classes beside them."""
    large = 3 * SIZE
    plain = test_images(4), models["plain"]
    cue = test_images(4, background="spurious", cue_share=1), models["shortcut"]
    both = test_images(4, causes=2), models["two causes"]
    chosen = [(*plain, 1, "crest"), (*cue, 3, "crest, and pattern as a shortcut"), (*both, 0, "crest and tail")]
    pictures = []
    for data, model, number, _ in chosen:
        picture = np.repeat(np.repeat(data.images[number], 3, axis=0), 3, axis=1)
        pictures += [picture, images.outline(picture, data.mask()[number])]
        for method in methods:
            values = compute_maps(method, model, data)[0][number]
            pictures.append(images.overlay(picture, np.maximum(values, 0), signed=False))
    return images.grid(
        pictures,
        columns=2 + len(methods),
        column_labels=["image", "truth", *(method.replace("guided_", "guided ") for method in methods)],
        row_labels=[name for *_, name in chosen],
        legend=[("overlay", "weak evidence", "the strongest evidence of a map")],
        tile=large // 2,
        lines=3,
    )


def print_distances(model: keras.Model, count: int, methods: tuple[str, ...]) -> None:
    """Print how far the maxima of maps are from the crest; the pointing game counts a miss by a pixel as a miss."""
    data, rows = test_images(count), {}
    from_crest = np.stack([distance_transform_edt(~mask) for mask in data.mask()])
    for method in methods:
        maps, _ = compute_maps(method, model, data)
        place = np.arange(count), *np.unravel_index(maps.reshape(count, -1).argmax(axis=1), maps.shape[1:])
        distance, ground = from_crest[place], data.background_masks[place]
        rows[method] = {"median": f"{np.median(distance):.1f}", "within 2": interval(distance <= 2, 2)}
        rows[method]["on the background"] = interval(ground, 2)
    print_table("distance of the maximum from the crest, in pixels", rows)


def places(table: pd.DataFrame) -> pd.DataFrame:
    """Return the place of each row by each measure, 1 for the best, and the mean place."""
    means = table.groupby("row", sort=False)[list(MEASURES)].mean()
    ranks = means.rank(ascending=False)
    return ranks.assign(place=ranks.mean(axis=1))


def agreement(table: pd.DataFrame, resamples: int = 500) -> dict[str, dict]:
    """Return Kendall's tau of the order of the methods by two seeds, with bootstrap intervals over images."""
    methods = table[table["ms"].notna()]
    seeds, random = sorted(table["seed"].unique())[:2], np.random.default_rng(0)
    arrays = []  # per seed (methods, images, measures)
    for seed in seeds:
        parts = methods[methods["seed"] == seed].sort_values("image").groupby("row", sort=True)
        arrays.append(np.stack([part[list(MEASURES)].to_numpy() for _, part in parts]))

    def compare(index) -> list[float]:
        means = [array[:, index].mean(axis=1) for array in arrays]  # (methods, measures)
        orders = [np.column_stack([mean, -rankdata(-mean, axis=0).mean(axis=1)]) for mean in means]
        return [kendalltau(a, b).statistic for a, b in zip(orders[0].T, orders[1].T, strict=True)]

    count = arrays[0].shape[1]
    drawn = np.array([compare(random.integers(count, size=count)) for _ in range(resamples)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no order by a measure that is the same for all methods
        low, high = np.nanquantile(drawn, (0.025, 0.975), axis=0)
    cells = [f"{v:.2f} [{a:.2f}, {b:.2f}]" for v, a, b in zip(compare(np.arange(count)), low, high, strict=True)]
    return {f"seeds {seeds[0]} and {seeds[1]}": dict(zip([*MEASURES, "place"], cells, strict=True))}


def print_methods(table: pd.DataFrame) -> None:
    """Print the table of all methods against truth, and the agreement of the seeds."""
    wide, order = by_row(table, "image"), places(table).sort_values("place")
    rows = {}
    for row in order.index:
        part = wide[row]
        cells = {"place": f"{order.loc[row, 'place']:.1f}"} | {name: interval(part[name], 2) for name in MEASURES}
        is_method = part["ms"].notna().any()
        verdicts, same = [], []
        for name in MEASURES if is_method else ():
            for control, found in (("random", verdicts), ("shuffled", same)):
                controls = {"random": part[f"{name} {control}"].to_numpy()}
                judged = evaluation.Evaluation(name, "higher", part[name].to_numpy(), controls)
                found.append(judged.verdict == "better than random")
        cells["above its random map"] = f"{sum(verdicts)} of 4" if is_method else "–"
        cells["above shuffled weights"] = f"{sum(same)} of 4" if is_method else "–"
        cells["ms"] = f"{table[table['row'] == row]['ms'].median():.1f}" if is_method else "–"
        rows[row] = cells
    print_table(f"against truth, {table['image'].nunique()} images, {table['seed'].nunique()} seeds", rows)
    for seed, part in table.groupby("seed"):
        first = {name: places(part)[name].idxmin() for name in [*MEASURES, "place"]}
        print(f"First with seed {seed}: {', '.join(f'{name}: {row}' for name, row in first.items())}.")
    if table["seed"].nunique() > 1:
        print_table("agreement of the order of the methods, Kendall's tau", agreement(table))


def print_variations(rows: dict[str, Rows]) -> None:
    """Print the tables of the conditions that change one thing."""
    columns = {
        "distractors": (["hit, 0", "hit, 4", "mass, 0", "mass, 4", "distractors"], [("hit, 4", "hit, 0")]),
        "shortcut": (["textured", "shortcut", "random"], [("shortcut", "textured")]),
        "two causes": (
            ["crest, one cause", "tail, one cause", "crest, two causes", "tail, two causes", "smaller / larger"],
            [("tail, two causes", "tail, one cause")],
        ),
    }
    for name, (shown, pairs) in columns.items():
        table = {}
        for row, part in by_row(rows[name].table, "image").items():
            table[row] = {column: interval(part[column], 2) for column in shown}
            table[row] |= {f"{a} − {b}": interval(part[a] - part[b], 2) for a, b in pairs}
        print_table(name, table)


def main(words=None) -> None:
    """Read the arguments, train, measure and print."""
    summary, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=pathlib.Path, help="folder of networks and scores")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--images", type=int, default=40, help="test images with a map")
    parser.add_argument("--picture", type=pathlib.Path, help="draw images, truth and maps in this file")
    parser.add_argument("--small", action="store_true", help="a few images and methods, to try the script")
    arguments = parser.parse_args(words)
    runs, count = arguments.runs, 8 if arguments.small else arguments.images
    chosen = ["gradcam", "integrated_gradients"] if arguments.small else [*attribution.list_methods(), *VARIANTS]
    rows = {name: Rows(runs / f"{name.replace(' ', '_')}.csv", "key") for name in ("methods", *VARIATIONS)}
    first, methods = arguments.seeds[0], None
    for seed in arguments.seeds:
        model = trained(runs, "plain", seed, arguments.small)
        methods = methods or [method for method in chosen if runs_on(model, method)]
        score_methods(model, seed, methods, rows["methods"], count)
    models = {condition: trained(runs, condition, first, arguments.small) for condition in DATA}
    varied = [method for method in VARIED if method in methods]
    with progress_bar("variations", len(VARIATIONS) * len(varied)) as advance:
        for name, function in VARIATIONS.items():
            for method in varied:
                if method not in rows[name].done:
                    add_rows(rows[name], function(models, method, count), row=method, seed=first, key=method)
                advance(1)
    print_reactions(models, count)
    print_distances(models["plain"], count, ("gradcam",) if arguments.small else ("lrp", "guided_backprop", "gradcam"))
    print_methods(rows["methods"].table)
    print_variations(rows)
    if arguments.picture:
        with atomic_write(arguments.picture) as temporary:
            Image.fromarray(draw_picture(models)).save(temporary, quality=42, optimize=True)


VARIATIONS = {"distractors": score_distractors, "shortcut": score_shortcut, "two causes": score_causes}

if __name__ == "__main__":
    use_one_thread()
    main()
