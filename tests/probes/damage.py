"""Damage model files at random and load them: whatever becomes of it is a model or a ValueError that names the file.

``damage.py KIND FOLDER SEEDS``: a process of its own, because HDF5 and TensorFlow are C and may take the process along.
"""

import json
import os
import pathlib
import random
import shutil
import sys
import warnings
import zipfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

FILES = {"keras": "net.keras", "config": "net.keras", "h5": "net.h5", "weights": "net.weights.h5", "saved": "saved"}
CHANGES = [None, -1, "x", [], {}, 1e99, True, [[1]], {"class_name": "Conv2D"}, {"class_name": "Lambda", "config": {}}]


def build():
    """A small net with a convolution, a normalization and a softmax."""
    import keras

    inputs = keras.Input((8, 8, 3))
    tensor = keras.layers.BatchNormalization(name="b")(keras.layers.Conv2D(4, 3, name="c")(inputs))
    outputs = keras.layers.Dense(3, activation="softmax", name="d")(keras.layers.Flatten(name="f")(tensor))
    return keras.Model(inputs, outputs, name="net")


def damage(data: bytes, draw: random.Random) -> bytes:
    """Cut, flip bits, overwrite with zeros, exchange or insert."""
    data, place = bytearray(data), draw.randrange(len(data))
    how = draw.choice(["cut", "flip", "flip", "flip", "zeros", "exchange", "insert"])
    size = draw.choice([1, 8, 64, 512])
    if how == "cut":
        del data[place:]
    elif how == "flip":
        for _ in range(draw.choice([1, 1, 3, 20])):
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    elif how == "zeros":
        data[place : place + size] = bytes(len(data[place : place + size]))
    elif how == "exchange":
        other = draw.randrange(len(data))
        data[place : place + size], data[other : other + size] = data[other : other + size], data[place : place + size]
    else:
        data[place:place] = draw.randbytes(size)
    return bytes(data)


def damage_members(source: pathlib.Path, target: pathlib.Path, draw: random.Random) -> None:
    """Change a member of an archive, or a value of its configuration, and leave the archive itself whole."""
    with zipfile.ZipFile(source) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name, how = draw.choice(list(members)), draw.random()
    if how < 0.3:
        members[name] = damage(members[name], draw)
    elif how < 0.4:
        del members[name]
    elif how < 0.5:
        other = draw.choice(list(members))
        members[name], members[other] = members[other], members[name]
    else:
        config = json.loads(members["config.json"])
        inner = draw.choice([one for one in _containers(config) if one])
        key = draw.choice(list(inner) if isinstance(inner, dict) else range(len(inner)))
        if draw.random() < 0.2:
            del inner[key]
        else:
            inner[key] = draw.choice(CHANGES)
        members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _containers(value):
    if isinstance(value, (dict, list)):
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _containers(inner)


def make(kind: str, source: pathlib.Path, target: pathlib.Path, draw: random.Random) -> None:
    """Write a damaged copy of ``source``."""
    if kind == "saved":
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
        files = sorted(file for file in target.rglob("*") if file.is_file() and file.stat().st_size)
        file = draw.choice([*files, *[target / "saved_model.pb"] * 3])
        file.write_bytes(damage(file.read_bytes(), draw))
    elif kind == "config":
        damage_members(source, target, draw)
    else:
        target.write_bytes(damage(source.read_bytes(), draw))


def main(kind: str, folder: pathlib.Path, seeds: range) -> None:
    """Damage, load, and print what is neither loaded nor a ValueError with the file's name."""
    import faulthandler

    import kerasal
    from kerasal.models.weight_files import load_weights

    warnings.simplefilter("ignore")
    model, target = build(), folder / f"damaged-{FILES[kind]}"
    for seed in seeds:
        print("seed", seed, flush=True)  # noqa: T201  (the last one, if the process dies)
        make(kind, folder / FILES[kind], target, random.Random(seed))
        faulthandler.dump_traceback_later(60, exit=True)
        try:
            load_weights(model, target) if kind == "weights" else kerasal.load_model(target)
        except Exception as error:
            if not isinstance(error, ValueError) or (kind != "weights" and target.name not in str(error)):
                print("WRONG", seed, repr(error), flush=True)  # noqa: T201
        faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]), range(*map(int, sys.argv[3].split(":"))))
