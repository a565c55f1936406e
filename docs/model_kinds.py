"""Make the table of docs/pages/kinds.md: which methods work on which kinds of model, as ``kerasal.describe`` finds.

    python docs/model_kinds.py            writes the table into the page
    python docs/model_kinds.py --check    only says whether the page is current

The models are small and have random weights; their parts are those of the networks that the page names.
"""

import os
import pathlib
import re
import sys
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import kerasal
from kerasal import attribution

import keras
from keras import layers as L

PAGE = pathlib.Path(__file__).resolve().parent / "pages" / "kinds.md"
START, END = "<!-- made by docs/model_kinds.py -->\n", "<!-- end -->"


class Token(L.Layer):
    """Puts ``count`` learned tokens in front of others."""

    def __init__(self, count, **options):
        super().__init__(**options)
        self.count = count

    def build(self, shape):
        self.token = self.add_weight(shape=(1, self.count, shape[-1]), name="token")

    def call(self, x):
        tokens = keras.ops.broadcast_to(self.token, (keras.ops.shape(x)[0], self.count, x.shape[-1]))
        return keras.ops.concatenate([tokens, x], axis=1)


def block(x, heads=2, along=None):
    """Return tokens after a transformer block; ``along(x)`` gives other keys and values than the tokens themselves."""
    y = L.LayerNormalization()(x)
    other = y if along is None else along(y)
    x = L.Add()([x, L.MultiHeadAttention(heads, 4)(y, other)])
    y = L.Dense(16, activation="gelu")(L.LayerNormalization()(x))
    return L.Add()([x, L.Dense(x.shape[-1])(y)])


def transformer(prefix: int) -> keras.Model:
    """Return a vision transformer with prefix tokens, whose first token reaches the classes; without, their mean."""
    inputs = keras.Input((32, 48, 3))
    x = L.Reshape((24, 8))(L.Conv2D(8, 8, strides=8, name="patches")(inputs))
    x = Token(prefix)(x) if prefix else x
    x = L.LayerNormalization()(block(block(x)))
    return keras.Model(inputs, L.Dense(3)(x[:, 0] if prefix else L.GlobalAveragePooling1D()(x)))


def patch_transformer() -> keras.Model:
    """Return a vision transformer whose patches are cut out instead of convolved."""
    inputs = keras.Input((32, 48, 3))
    x = L.Dense(8)(L.Reshape((24, 192))(keras.ops.image.extract_patches(inputs, 8)))
    return keras.Model(inputs, L.Dense(3)(L.Flatten()(L.LayerNormalization()(block(block(x))))))


def windows(x, back=False):
    """Return the 2 × 3 windows of 4 × 4 positions of a map (N, 8, 12, 8), or put them back together."""
    if back:
        x = keras.ops.transpose(keras.ops.reshape(x, (-1, 2, 3, 4, 4, 8)), (0, 1, 3, 2, 4, 5))
        return keras.ops.reshape(x, (-1, 8, 12, 8))
    x = keras.ops.transpose(keras.ops.reshape(x, (-1, 2, 4, 3, 4, 8)), (0, 1, 3, 2, 4, 5))
    return keras.ops.reshape(x, (-1, 16, 8))


def window_transformer() -> keras.Model:
    """Return a transformer that attends within windows, which are shifted in the second block."""
    inputs = keras.Input((32, 48, 3))
    x = L.Conv2D(8, 4, strides=4, name="patches")(inputs)
    for shift in (0, -2):
        y = keras.ops.roll(L.LayerNormalization()(x), (shift, shift), axis=(1, 2))
        y = windows(y)
        y = windows(L.MultiHeadAttention(2, 4)(y, y), back=True)
        x = L.Add()([x, keras.ops.roll(y, (-shift, -shift), axis=(1, 2))])
        x = L.Add()([x, L.Dense(8)(L.Dense(16, activation="gelu")(L.LayerNormalization()(x)))])
    return keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling2D()(x)))


def reduced_transformer() -> keras.Model:
    """Return a transformer whose keys and values are a smaller map."""
    inputs = keras.Input((32, 48, 3))
    x = L.Reshape((96, 8))(L.Conv2D(8, 4, strides=4, name="patches")(inputs))
    for _ in range(2):
        x = block(x, along=lambda y: L.Reshape((24, 8))(L.Conv2D(8, 2, strides=2)(L.Reshape((8, 12, 8))(y))))
    return keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling1D()(x)))


def mixer() -> keras.Model:
    """Return a network of dense layers along tokens and along channels."""
    inputs = keras.Input((32, 48, 3))
    x = L.Reshape((24, 8))(L.Conv2D(8, 8, strides=8, name="patches")(inputs))
    y = L.Permute((2, 1))(L.Dense(24)(L.Dense(12, activation="gelu")(L.Permute((2, 1))(L.LayerNormalization()(x)))))
    return keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling1D()(L.Add()([x, y]))))


def stack(shape, *parts) -> keras.Model:
    """Return layers one after the other, and a dense layer with three classes."""
    return keras.Sequential([keras.Input(shape), *parts, L.Dense(3)])


def residual_network(activation) -> keras.Model:
    """Return a network whose blocks have a depthwise convolution, a normalization and an activation."""
    inputs = keras.Input((32, 48, 3))
    x = L.Conv2D(8, 4, strides=4)(inputs)
    for _ in range(2):
        y = L.LayerNormalization()(L.DepthwiseConv2D(3, padding="same")(x))
        x = L.Add()([x, L.Conv2D(8, 1)(L.Activation(activation)(L.Conv2D(16, 1)(y)))])
    return keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling2D()(x)))


FIRST = {"data_format": "channels_first"}
KINDS: dict[str, Callable[[], keras.Model]] = {
    "2-D convolutions (VGG, ResNet)": lambda: stack(
        (32, 48, 3), L.Conv2D(8, 3, activation="relu"), L.Conv2D(8, 3, activation="relu"), L.GlobalAveragePooling2D()
    ),
    "2-D, channels first": lambda: stack(
        (3, 32, 48), L.SeparableConv2D(8, 3, activation="relu", **FIRST), L.GlobalAveragePooling2D(**FIRST)
    ),
    "GELU or swish (ConvNeXt, EfficientNetV2, MobileNetV3)": lambda: residual_network("gelu"),
    "1-D convolutions": lambda: stack((60, 2), L.Conv1D(8, 5, activation="relu"), L.GlobalAveragePooling1D()),
    "3-D convolutions": lambda: stack((8, 10, 12, 1), L.Conv3D(8, 3, activation="relu"), L.GlobalAveragePooling3D()),
    "video, TimeDistributed": lambda: stack(
        (5, 16, 24, 3),
        L.TimeDistributed(L.Conv2D(8, 3, activation="relu")),
        L.TimeDistributed(L.GlobalAveragePooling2D()),
        L.LSTM(4),
    ),
    "recurrent (LSTM, GRU)": lambda: stack((60, 2), L.LSTM(8, return_sequences=True), L.LSTM(4)),
    "transformer, class token (ViT, DINOv2)": lambda: transformer(1),
    "transformer, two prefix tokens (DeiT)": lambda: transformer(2),
    "transformer, no prefix token": lambda: transformer(0),
    "transformer, cut patches (Keras example)": patch_transformer,
    "windows (Swin)": window_transformer,
    "reduced keys (MiT, PVT)": reduced_transformer,
    "mixer (MLP-Mixer)": mixer,
    "gray images without a channel axis": lambda: stack(
        (28, 28), L.Reshape((28, 28, 1)), L.Conv2D(8, 3, activation="relu"), L.Flatten()
    ),
    "features (tables)": lambda: stack((9,), L.Dense(8, activation="relu")),
}


def build(kind: str) -> keras.Model:
    """Return the model of a kind with random weights."""
    keras.utils.clear_session()  # for the same names of layers, whatever was built before
    keras.utils.set_random_seed(0)
    return KINDS[kind]()


def note_of(reason: str, facts) -> str:
    """Return the reason without what is particular to the small model."""
    reason = re.sub(r"for '\S+/\S+' \((\w+)\)", r"for an operation \1", reason)  # not the same in two models
    reason = re.sub(r" \([\w./]+/[\w./]+\)", "", reason)  # the name of an operation
    return re.sub(r", (got|but it takes) \(.*", ".", reason.replace(repr(facts.name), "it"))


def make_table() -> str:
    """Return the table and its notes as Markdown: a row per kind, a column per group of methods with equal results."""
    methods = [*attribution.list_methods(), "maximize", "exemplars", "localize", "atlas"]
    described = {kind: kerasal.describe(build(kind), preprocessing="unit") for kind in KINDS}
    results = {method: tuple(facts.methods[method] for facts in described.values()) for method in methods}
    groups: dict[tuple, list[str]] = {}
    for method in methods:
        other = "" if method in attribution.list_methods() else method  # its reasons are others
        groups.setdefault((tuple(map(bool, results[method])), other), []).append(method)
    notes: list[str] = []
    heads = [", ".join(f"`{name}`" for name in names) for names in groups.values()]
    lines = [
        f"| | layer that class activation maps weight | {' | '.join(heads)} |",
        "|---" * (len(groups) + 2) + "|",
    ]
    for row, (kind, facts) in enumerate(described.items()):
        layer = f"{facts.last_layer}, {' × '.join(map(str, facts.last_grid))}" if facts.last_layer else "–"
        cells = [kind, layer]
        for names in groups.values():
            reasons = [results[name][row] for name in names]
            found = list(dict.fromkeys(note_of(reason, facts) for reason in reasons if reason))
            notes += [note for note in found if note not in notes]
            numbers = ", ".join(str(notes.index(note) + 1) for note in found)
            cells.append(f"no [{numbers}]" if found else "yes")
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *(f"{number}. {note}" for number, note in enumerate(notes, start=1))]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the table, or check it."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    current = f"{before}{START}\n{make_table()}\n{END}{rest.partition(END)[2]}"
    if "--check" in sys.argv[1:]:
        raise SystemExit(0 if current == text else f"{PAGE} is out of date. Run: python docs/model_kinds.py")
    PAGE.write_text(current, encoding="utf-8")
    print(PAGE)  # noqa: T201


if __name__ == "__main__":
    main()
