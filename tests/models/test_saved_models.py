"""A SavedModel is a program: what can do more than compute is refused by name, before any of it runs."""

import re

import numpy as np
import pytest

import kerasal
from kerasal.archive_check import DamagedFile
from kerasal.models import saved_models
from kerasal.models.saved_models import UntrustedCode, check_saved_model, computing_operations, list_refused_operations

import keras
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

SPEC = tf.TensorSpec((None, 4), tf.float32, name="inputs")


def _in_a_loop(path, x):
    def body(i):
        tf.io.write_file(path, "x")
        return i + 1

    return x + tf.cast(tf.while_loop(lambda i: i < 1, body, [0])[0], tf.float32)


def _in_a_gradient(path, x):
    @tf.custom_gradient
    def twice(x):
        def gradient(upstream):
            tf.io.write_file(path, "x")
            return 2 * upstream

        return 2 * x, gradient

    return twice(x)


def _write(path, x):
    tf.io.write_file(path, "x")
    return x


def _print(path, x):
    tf.print(x, output_stream=f"file://{path}")
    return x


def _save(path, x):
    tf.raw_ops.SaveV2(prefix=path, tensor_names=["x"], shape_and_slices=[""], tensors=[x])
    return x


def _debug(path, x):
    return tf.raw_ops.DebugIdentity(input=x, tensor_name="x:0", debug_urls=[f"file://{path}"])


HOSTILE = {
    "write": (_write, "WriteFile"),
    "print to a file": (_print, "PrintV2"),
    "write in a loop": (_in_a_loop, "WriteFile"),
    "write in a gradient": (_in_a_gradient, "WriteFile"),
    "write in a branch": (
        lambda path, x: tf.cond(tf.reduce_sum(x) > 0, lambda: _write(path, x), lambda: x),
        "WriteFile",
    ),
    "save": (_save, "SaveV2"),
    "read": (lambda path, x: x + tf.cast(tf.strings.length(tf.io.read_file(path)), tf.float32), "ReadFile"),
    "list a folder": (lambda path, x: x + tf.cast(tf.size(tf.io.matching_files(path)), tf.float32), "MatchingFiles"),
    "Python": (lambda path, x: tf.ensure_shape(tf.numpy_function(lambda y: y, [x], tf.float32), x.shape), "PyFunc"),
    "eager Python": (lambda path, x: tf.ensure_shape(tf.py_function(lambda y: y, [x], tf.float32), x.shape), "EagerPy"),
    "debug": (_debug, "DebugIdentity"),
}


class _Writer(tf.saved_model.experimental.TrackableResource):
    """Writes a file as soon as it is loaded."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def _create_resource(self):
        return tf.raw_ops.MutableHashTableV2(key_dtype=tf.int64, value_dtype=tf.float32)

    def _initialize(self):
        tf.io.write_file(self.path, "x")


def _export(folder, function, **attributes):
    module = tf.Module()
    module.weight = tf.Variable(tf.ones(4))
    for name, value in attributes.items():
        setattr(module, name, value)
    call = tf.function(lambda inputs: {"outputs": function(inputs * module.weight)}, input_signature=[SPEC])
    tf.saved_model.save(module, str(folder), signatures=call)
    return folder


def _edit(folder, change):
    file = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    change(model.meta_graphs[0])
    file.write_bytes(model.SerializeToString())


@pytest.fixture(scope="module")
def keras_model():
    inputs = keras.Input((8, 8, 3))
    layers = keras.layers
    tensor = layers.BatchNormalization()(layers.Conv2D(4, 3, activation="relu")(inputs))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.Flatten()(tensor)))


@pytest.mark.parametrize("name", HOSTILE)
def test_what_does_more_than_compute_is_refused_by_name_before_it_runs(name, tmp_path):
    act, operation = HOSTILE[name]
    written = tmp_path / "written"
    folder = _export(tmp_path / "net", lambda x: act(str(written), x))
    with pytest.raises(UntrustedCode, match=rf"net contains .*{operation}.* in the function \w+.*unsafe=True"):
        kerasal.load_model(folder)
    assert not written.exists()


def test_what_runs_while_a_model_is_loaded_is_refused(tmp_path):
    written = tmp_path / "written"
    folder = _export(tmp_path / "net", lambda x: 2 * x, table=_Writer(str(written)))
    with pytest.raises(UntrustedCode, match="WriteFile"):
        kerasal.load_model(folder)
    assert not written.exists()
    tf.saved_model.load(str(folder))
    assert written.exists()  # so would the model have


def test_whoever_trusts_it_may_run_it(tmp_path):
    written = tmp_path / "written"
    folder = _export(tmp_path / "net", lambda x: _write(str(written), 2 * x))
    model = kerasal.load_model(folder, unsafe=True)
    np.testing.assert_array_equal(model(np.ones((1, 4), np.float32)), np.full((1, 4), 2))
    assert written.read_text() == "x"


def test_the_command_names_its_flag(tmp_path, capsys):
    from kerasal.cli import run

    folder = _export(tmp_path / "net", lambda x: _write(str(tmp_path / "written"), x))
    with pytest.raises(SystemExit, match="2"):
        run(["field", str(folder)])
    said = " ".join(capsys.readouterr().err.split())
    assert "WriteFile in the function" in said
    assert "unsafe=True (--unsafe)" in said


@pytest.mark.parametrize("way", ["signature", "exchanged", "named in a text", "called in a function's attribute"])
def test_the_saver_is_let_through_only_where_nothing_else_leads_to_it(way, tmp_path):
    folder = _export(tmp_path / "net", lambda x: 2 * x)
    check_saved_model(folder)

    def lead(meta_graph):
        functions = meta_graph.graph_def.library.function
        saver = next(one for one in functions if any(node.op == "SaveV2" for node in one.node_def))
        other = next(one for one in functions if one is not saver and any(node.op == "Mul" for node in one.node_def))
        if way == "signature":
            node = meta_graph.saver_def.save_tensor_name
            next(iter(meta_graph.signature_def.values())).outputs["saved"].name = node
        elif way == "exchanged":
            saver.attr["api_implements"].s = b"lstm"
        elif way == "named in a text":
            other.attr["forward_function_name"].s = saver.signature.name.encode()
        else:
            other.node_def[0].attr["inner"].func.attr["f"].func.name = saver.signature.name

    _edit(folder, lead)
    with pytest.raises(UntrustedCode, match=r"SaveV2 in the function __inference__traced_save"):
        kerasal.load_model(folder)


def test_restoring_may_not_save(tmp_path):
    """The first format runs its restoring nodes as it is loaded."""
    graph = tf.Graph()
    with graph.as_default(), tf.compat.v1.Session() as session:
        variable = tf.compat.v1.get_variable("v", initializer=tf.ones(4), use_resource=False)
        inputs = tf.compat.v1.placeholder(tf.float32, (None, 4))
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.saved_model.simple_save(session, str(tmp_path / "net"), {"x": inputs}, {"y": inputs * variable})
    check_saved_model(tmp_path / "net")

    def lead(meta_graph):
        saver = meta_graph.saver_def
        restore = next(node for node in meta_graph.graph_def.node if node.name == saver.restore_op_name)
        restore.input.append("^" + saver.save_tensor_name.split(":")[0])

    _edit(tmp_path / "net", lead)
    with pytest.raises(UntrustedCode, match="SaveV2 in the main graph"):
        kerasal.load_model(tmp_path / "net")


@pytest.mark.parametrize("how", ["keras export", "tf.saved_model.save", "compiled and trained", "kerasal.export"])
@pytest.mark.quick("keras export", "tf.saved_model.save")
def test_what_keras_and_this_package_write_needs_no_trust(how, keras_model, tmp_path):
    folder = tmp_path / "net"
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    if how == "keras export":
        keras_model.export(folder, verbose=False)
    elif how == "kerasal.export":
        kinds = ["serving_default", "predict_bytes", "class_saliency:on=image", "occlusion:window=4", "smoothgrad"]
        folder = kerasal.export(keras_model, folder, signatures=kinds, preprocessing="tf", labels=["a", "b", "c"])
    else:
        model = keras.models.clone_model(keras_model)
        model.set_weights(keras_model.get_weights())
        if how == "compiled and trained":
            model.compile("adam", "sparse_categorical_crossentropy", jit_compile=True)
            model.fit(x, np.zeros(2), verbose=0)
        tf.saved_model.save(model, str(folder))
        check_saved_model(folder)
        return
    np.testing.assert_allclose(np.asarray(kerasal.load_model(folder)(x)), keras_model(x), rtol=1e-5)


LAYERS = {
    "recurrent": ((6, 3), lambda L: [L.Bidirectional(L.LSTM(4, return_sequences=True)), L.GRU(3)]),
    "augmentation": ((8, 8, 3), lambda L: [L.RandomFlip(), L.RandomRotation(0.1), L.Rescaling(2.0), L.Resizing(4, 4)]),
    "volume": ((6, 6, 6, 2), lambda L: [L.Conv3D(2, 3), L.MaxPooling3D(), L.GlobalAveragePooling3D()]),
    "normalizing": (
        (8, 8, 4),
        lambda L: [L.LayerNormalization(), L.GroupNormalization(2), L.SpectralNormalization(L.Conv2D(2, 3))],
    ),
    "upward": ((4, 4, 2), lambda L: [L.Conv2DTranspose(3, 3, strides=2), L.UpSampling2D(interpolation="bilinear")]),
    "separable": ((8, 8, 4), lambda L: [L.SeparableConv2D(3, 3), L.DepthwiseConv2D(3), L.PReLU(), L.Softmax()]),
    "embedding": ((5,), lambda L: [L.Embedding(9, 4), L.GlobalMaxPooling1D(), L.Dropout(0.5), L.GaussianNoise(1.0)]),
    "boxes": ((8, 8, 3), lambda L: [L.CenterCrop(4, 4), L.ZeroPadding2D(), L.Cropping2D(), L.Flatten(), L.Dense(2)]),
}


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.quick("normalizing", "separable", "embedding")
def test_layers_of_keras_compute(kind, tmp_path):
    shape, make = LAYERS[kind]
    keras.Sequential([keras.Input(shape), *make(keras.layers)]).export(tmp_path / "net", verbose=False)
    check_saved_model(tmp_path / "net")


def test_the_list_holds_operations_of_tensorflow_that_reach_no_file():
    names = computing_operations()
    assert not [name for name in names if not hasattr(tf.raw_ops, name)]
    beyond = re.compile(
        r"File|Save|Restore|Ckpt|Checkpoint|Dataset|Iterator|Reader|Writer|Summary|Py|Print|Debug|^Copy|Remote|Send|Recv"
        r"|Collective|TPU|feed|Queue|Stage|Abort|Immutable|Proto|Table.*(TextFile|Dataset)|Session|Server|ImportEvent"
    )
    assert not sorted(name for name in names if beyond.search(name))
    for name in names:  # whatever takes a path calls it so
        taken = getattr(tf.raw_ops, name).__signature__.parameters
        assert not [one for one in taken if re.search("file|path$|url|address|descriptor|vocab", one)], name


@pytest.mark.parametrize("where", ["constant", "variable"])
def test_claims_are_compared_before_anything_is_read(where, tmp_path, monkeypatch):
    folder = _export(tmp_path / "net", lambda x: x + tf.constant([1.0, 2.0, 3.0, 4.0]))
    if where == "constant":

        def claim(meta_graph):
            for function in meta_graph.graph_def.library.function:
                for node in function.node_def:
                    if node.op == "Const" and node.attr["value"].tensor.tensor_shape.dim:
                        node.attr["value"].tensor.tensor_shape.dim[0].size = 2**36

        _edit(folder, claim)
    else:

        class Reader:
            def get_variable_to_shape_map(self):
                return {"weight": [2**36]}

            def get_variable_to_dtype_map(self):
                return {"weight": tf.float32}

        monkeypatch.setattr(tf.train, "load_checkpoint", lambda _: Reader())
    with pytest.raises(DamagedFile, match=rf"net claims to hold [0-9,]+ MiB, as the {where} "):
        kerasal.load_model(folder)


def test_operations_nobody_knows_are_refused():
    meta_graph = saved_model_pb2.SavedModel().meta_graphs.add()
    meta_graph.graph_def.node.add(name="x", op="MatMulOfTomorrow")
    assert list_refused_operations(meta_graph) == [("MatMulOfTomorrow", saved_models._GRAPH)]


@pytest.mark.parametrize("name", ["Relu", "WriteFile", "NextIteration"])
def test_a_function_may_not_take_the_name_of_an_operation(name, tmp_path):
    """TensorFlow calls such a function wherever a node names the operation; here it saves, as the saver may."""
    written = tmp_path / "written"
    folder = _export(tmp_path / "net", lambda inputs: tf.nn.relu(inputs))
    meant = {"features": tf.TensorSpec((None, 4), tf.float32, name="features")}
    hidden = tf.function(lambda features: tf.identity(_save(str(written), features)), input_signature=[*meant.values()])
    definition = hidden.get_concrete_function().function_def

    def hide(meta_graph):
        library = meta_graph.graph_def.library.function
        for saver in [one for one in library if any(node.op == "SaveV2" for node in one.node_def)]:
            library.remove(saver)
        library.add().CopyFrom(definition)
        library[-1].signature.name = name
        output = library[-1].signature.output_arg[0]
        source = library[-1].ret.pop(output.name)
        output.name = "activations"
        library[-1].ret["activations"] = source
        node = meta_graph.saver_def.save_tensor_name.split(":")[0]
        next(one for one in meta_graph.graph_def.node if one.name == node).attr["f"].func.name = name

    _edit(folder, hide)
    with pytest.raises(UntrustedCode, match=f"{name} in a function of the same name"):
        kerasal.load_model(folder)
    assert not list(tmp_path.glob("written*"))


def test_a_node_that_calls_a_function_by_its_name_leads_there():
    meta_graph = saved_model_pb2.SavedModel().meta_graphs.add()
    meta_graph.saver_def.save_tensor_name = "save:0"
    meta_graph.graph_def.node.add(name="save", op="PartitionedCall").attr["f"].func.name = "mine"
    meta_graph.graph_def.node.add(name="signature", op="mine")
    function = meta_graph.graph_def.library.function.add()
    function.signature.name = "mine"
    function.node_def.add(name="x", op="SaveV2")
    assert ("SaveV2", "the function mine") in list_refused_operations(meta_graph)
