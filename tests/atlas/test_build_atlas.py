"""An atlas that is stopped, short of time, in the wrong folder, or of an unusual model."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest
from atlas_pages import Page, check_links

import kerasal
from kerasal import atlas, images
from kerasal.atlas import atlas_plan, build_atlas, exemplar_records, maximized
from kerasal.atlas.anatomy import atlas_digest, atlas_model, choose_layers, draw_connections, list_layers, sample
from kerasal.atlas.atlas_store import Store, check_folder

import keras

pytestmark = pytest.mark.slow  # whole atlases


def dense_net(units=3, classes=2):
    """A net whose pictures cost next to nothing."""
    keras.utils.set_random_seed(0)
    layers = [keras.Input((4, 4, 1)), keras.layers.Flatten(name="flatten")]
    layers += [keras.layers.Dense(units, "tanh", name="middle"), keras.layers.Dense(classes, "softmax", name="out")]
    return keras.Sequential(layers, name="dense_net")


@pytest.fixture(scope="module")
def net():
    return dense_net()


def build(model, folder, **options):
    return atlas.build(model, folder, preprocessing="unit", **options)


def _text(path):
    """A page's words, as a reader has them."""
    return " ".join(Page(path).text.split())


@pytest.fixture
def only_plans(monkeypatch):
    """Pieces note their titles instead of working; return the titles."""
    titles = []
    original = build_atlas.plan_pieces

    def noted(*arguments):
        listed = original(*arguments)
        return [dataclasses.replace(one, run=lambda title=one.title: titles.append(title)) for one in listed]

    monkeypatch.setattr(build_atlas, "plan_pieces", noted)
    return titles


def test_without_images(net, tmp_path):
    built = build(net, tmp_path / "site")
    assert built.remaining == 0 and check_links(tmp_path / "site") > 20
    assert "No images were provided" in Page(tmp_path / "site" / "index.html").text
    assert "No images were provided" in Page(tmp_path / "site" / "units" / "middle" / "0.html").text
    assert not (tmp_path / "site" / "images").exists()


def test_a_second_run_makes_nothing_and_a_lost_picture_again(net, tmp_path):
    folder = tmp_path / "site"
    assert build(net, folder).completed == 2
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert build(net, folder).completed == 0
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    lost = next((folder / "pictures" / "classes").iterdir())
    lost.unlink()
    assert build(net, folder).completed == 1 and lost.is_file()
    assert build(net, folder, seed=1).completed == 2  # other settings, other pictures


def test_more_of_it_adds_to_what_is_there(net, tmp_path):
    build(net, tmp_path / "site", channels=1, classes=[0])
    assert "1 of 3 units" in Page(tmp_path / "site" / "layers" / "middle.html").text
    made = build(net, tmp_path / "site", classes=[1], layers=["middle"])
    assert made.completed == 2
    assert {path.stem for path in (tmp_path / "site" / "units" / "middle").iterdir()} == {"0", "1", "2"}
    assert {path.stem for path in (tmp_path / "site" / "classes").iterdir()} == {"0", "1", "index"}


def test_no_time_still_gives_pages_that_say_so(net, tmp_path):
    built = build(net, tmp_path / "site", budget=0, command="kerasal atlas net")
    assert (built.completed, built.remaining) == (0, 2)
    assert [(row.what, row.made, row.planned) for row in built.counts] == [("classes", 0, 2), ("channels", 0, 3)]
    text = _text(built.index)
    assert "Not complete. Finished: 0 of 2 classes, 0 of 3 channels. To continue, run kerasal atlas net." in text
    assert "Select a layer" not in text and "Not computed yet." in text
    assert "This atlas is not complete" in _text(tmp_path / "site" / "layers" / "middle.html")
    check_links(tmp_path / "site")
    assert build(net, tmp_path / "site").completed == 2
    text = _text(built.index)
    assert "ot complete" not in text and "Select a layer" in text


def test_what_is_missing_is_told_from_what_cannot_be_read(shared_model, photographs, tmp_path, monkeypatch):
    original = build_atlas.plan_pieces
    monkeypatch.setattr(
        build_atlas, "plan_pieces", lambda *given: [one for one in original(*given) if "torn" in one.title]
    )
    built = build(shared_model("functional"), tmp_path / "site", images=photographs)
    assert "Of 6 images, 5 are not computed yet and 1 could not be read." in _text(built.index)
    assert "torn: " in _text(tmp_path / "site" / "images" / "index.html")


def test_stopped_half_way(net, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(maximized, "maximize_channels", stop)
        patched.setattr(build_atlas.Pages, "write_if_due", lambda *_: None)
        with pytest.raises(KeyboardInterrupt):
            build(net, tmp_path / "site")
    check_links(tmp_path / "site")
    assert "Finished: 2 of 2 classes, 0 of 3 channels. To continue, build the atlas again." in _text(
        tmp_path / "site" / "index.html"
    )
    assert (tmp_path / "site" / "classes" / "1.html").is_file()
    assert build(net, tmp_path / "site").completed == 1


def test_what_fails_is_said_and_the_rest_is_made(tmp_path):
    net = dense_net()
    middle, bias = net.get_layer("middle"), net.get_layer("middle").get_weights()[1]
    middle.set_weights([middle.get_weights()[0], np.full_like(bias, np.nan)])  # everything above overflows
    built = build(net, tmp_path / "site")
    assert [title for title, _ in built.failed] == ["classes", "middle: channels"] and built.remaining == 2
    text = _text(built.index)
    assert "Failed parts" in text and "became NaN" in text
    assert "2 parts failed" in text and "To continue" not in text
    check_links(tmp_path / "site")


def test_one_of_each_kind_comes_first(shared_model, photographs, tmp_path, only_plans):
    build(shared_model("functional"), tmp_path / "site", images=photographs, image_pages=3)
    assert only_plans == [
        *("image <script>x.png", "exemplars of classes", "conv1: exemplars", "conv1: channels", "classes"),
        *("image b.png", "image torn.jpg", "methods on <script>x.png", "conv2: exemplars", "conv2: channels"),
        *("methods on b.png", "methods on torn.jpg"),
    ]


def test_pieces_alternate_when_there_are_many(shared_model, photographs, tmp_path, monkeypatch, only_plans):
    monkeypatch.setattr(atlas_plan, "chunk_size", lambda _: 1)
    build(shared_model("functional"), tmp_path / "site", images=photographs, image_pages=2)
    assert only_plans[:6] == [
        *("image <script>x.png", "exemplars of classes", "conv1: exemplars", "conv1: channels", "classes"),
        "image torn.jpg",
    ]
    assert only_plans[6:11] == [
        "methods on <script>x.png",
        "classes",
        *["conv1: exemplars", "conv1: channels"],
        "conv2: exemplars",
    ]
    assert [only_plans.count(title) for title in ("classes", "methods on torn.jpg", "conv2: channels")] == [3, 1, 2]


def test_few_classes_and_channels_are_computed_before_the_others():
    batches = list(atlas_plan._split_batches(range(100), (224, 224, 3), [4, 4]))
    assert [list(batches[0]), list(batches[1])] == [[0, 1, 2, 3], [4, 5, 6, 7]] and len(batches[2]) == 8
    assert [index for batch in batches for index in batch] == list(range(100))
    assert list(atlas_plan._split_batches(range(10), (28, 28, 1), [4, 4])) == [range(10)]  # quick at once


def test_many_files_are_searched_once(shared_model, tmp_path, monkeypatch, only_plans, photographs):
    monkeypatch.setattr(atlas_plan, "chunk_size", lambda _: 1)
    monkeypatch.setattr(atlas_plan, "_FEW_FILES", 3)
    build(shared_model("functional"), tmp_path / "site", images=photographs)
    assert only_plans.count("conv2: exemplars") == 1 < only_plans.count("conv2: channels")


def test_the_classes_that_are_seen_come_first(shared_model, photographs, tmp_path, monkeypatch):
    scopes = []
    monkeypatch.setattr(build_atlas, "plan_pieces", lambda model, store, scope: scopes.append(scope) or [])
    build(shared_model("functional"), tmp_path / "site", images=photographs, channels=3)
    scope = scopes[-1]
    model, read = shared_model("functional"), [images.read(file) for file in scope.files if file.stem != "torn"]
    seen = [int(model(images.fit_image(one, (8, 8))[None] / 255.0).numpy().argmax()) for one in read]
    assert list(scope.classes) == list(dict.fromkeys([*seen, 0, 2, 5]))[:3] and scope.classes[0] == seen[0] != 0
    build(shared_model("functional"), tmp_path / "all", images=photographs)
    assert list(scopes[-1].classes) == list(range(6))


def test_images_are_remembered_and_what_was_made_of_others_is_removed(shared_model, photographs, tmp_path):
    kinds = {"task": "other", "layers": ["conv2"], "channels": 2}
    model, site = shared_model("functional"), tmp_path / "site"
    build(model, site, images=[photographs / "a.png", photographs / "b.png"], **kinds)
    assert build(model, site, **kinds).completed == 0 and (site / "images" / "b.html").is_file()
    known = {path.name for path in site.rglob("*") if "exemplars" in path.parts}
    assert known and (site / "pictures" / "images" / "b").is_dir()
    (site / "notes.html").write_text("one's own")
    build(model, site, images=photographs / "a.png", budget=0, **kinds)
    assert (site / "notes.html").is_file()
    left = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert not [one for one in left if pathlib.PurePath(one).stem == "b" or "exemplars" in one]
    assert "images/a.html" in left and any(one.startswith("pictures/images/a/") for one in left)
    check_links(site)


def test_what_is_forgotten_and_what_is_kept(shared_model, photographs, tmp_path):
    kinds = {"task": "other", "layers": ["conv2"], "channels": 4}
    model, site, own = shared_model("functional"), tmp_path / "site", tmp_path / "own"
    own.mkdir()
    for name in ("a", "b"):
        (own / f"{name}.png").write_bytes((photographs / f"{name}.png").read_bytes())
    build(model, site, images=own, **kinds)
    assert build(model, site, images=own, image_pages=1, budget=0, **kinds).remaining == 0
    assert (site / "data" / "images" / "b.json").is_file()  # given, though without a page
    record = site / "data" / "layers" / "conv2.json"
    known = json.loads(record.read_text())
    entry, other = [one for one in known["entries"].values() if one["picture"]][:2]
    entry["photograph"] = "b"
    record.write_text(json.dumps(known))
    (site / "data" / "exemplars" / "conv2.json").write_text("{")  # damaged
    build(model, site, images=photographs / "a.png", budget=0, **kinds)
    assert not list((site / "data" / "images").iterdir()) and not list((site / "pictures" / "images").iterdir())
    assert not (site / entry["picture"]["path"]).exists()  # it had begun with a photograph that is gone
    assert (site / other["picture"]["path"]).exists()


def test_what_noise_does_not_move_starts_at_a_photograph(tmp_path):
    keras.utils.set_random_seed(0)
    layers = [keras.Input((80, 80, 3)), keras.layers.Conv2D(2, 3, activation="relu", name="conv")]
    net = keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)])
    kernel = np.zeros((3, 3, 3, 2), np.float32)
    kernel[..., 0, :] = 1 / 9  # red on the average, and then
    net.get_layer("conv").set_weights([kernel, np.float32([-0.75, -2])])  # much red, and more than there is
    built = build(net, tmp_path / "site", layers=["conv"], task="other")
    assert built.completed
    entries = json.loads((tmp_path / "site" / "data" / "layers" / "conv.json").read_text())["entries"]
    assert entries["0"]["photograph"] and entries["0"]["picture"] and not entries["0"]["dead"]
    assert entries["0"]["end"] > entries["0"]["start"] > 0
    assert entries["1"]["dead"] and entries["1"]["picture"] is None and entries["1"]["photograph"] is None
    said = _text(tmp_path / "site" / "units" / "conv" / "0.html")
    assert f"the ascent started from the photo {entries['0']['photograph']}" in said
    assert "0from a photo" in _text(tmp_path / "site" / "layers" / "conv.html")
    assert "zero both for random noise and for photos" in _text(tmp_path / "site" / "units/conv/1.html")


def test_a_folder_of_something_else_is_refused(net, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"hold an atlas, got other files \(thesis.txt\)"):
        build(net, tmp_path / "site")
    assert [path.name for path in (tmp_path / "site").iterdir()] == ["thesis.txt"]
    with pytest.raises(ValueError, match="must be a folder, got the file"):
        build(net, tmp_path / "site" / "thesis.txt")


def test_the_atlas_of_another_model_is_refused(net, tmp_path, only_plans):
    build(net, tmp_path / "site")
    before = (tmp_path / "site" / "index.html").read_text()
    other = dense_net()
    other.layers[-1].set_weights([one + 1 for one in other.layers[-1].get_weights()])
    with pytest.raises(ValueError, match="the atlas of a model with other layers or weights"):
        build(other, tmp_path / "site")
    assert (tmp_path / "site" / "index.html").read_text() == before


@pytest.mark.parametrize("change", ["activation", "pooling", "strides"])
def test_the_atlas_of_another_architecture_with_the_same_weights_is_refused(tmp_path, only_plans, change):
    def convolutional(activation="relu", pooling=keras.layers.MaxPooling2D, strides=2):
        keras.utils.set_random_seed(0)
        layers = [keras.layers.Conv2D(2, 3, activation=activation, name="conv"), pooling(2, strides, name="pool")]
        layers += [keras.layers.GlobalAveragePooling2D(name="mean"), keras.layers.Dense(3, "softmax", name="last")]
        return keras.Sequential([keras.Input((8, 8, 3)), *layers], name="net")

    build(convolutional(), tmp_path / "site")
    build(convolutional(), tmp_path / "site")  # the same one again goes on
    changes = {"activation": "elu", "pooling": keras.layers.AveragePooling2D, "strides": 1}
    with pytest.raises(ValueError, match="the atlas of a model with other layers or weights"):
        build(convolutional(**{change: changes[change]}), tmp_path / "site")


def test_an_atlas_of_an_earlier_version_is_refused_by_name(net, tmp_path, only_plans):
    build(net, tmp_path / "site")
    mark = tmp_path / "site" / "atlas.json"
    mark.write_text(mark.read_text().replace('"format": 2', '"format": 1'))
    with pytest.raises(ValueError, match=r"atlas of an earlier version.*Choose another folder, or remove"):
        build(net, tmp_path / "site")


def test_thousands_of_channels_are_sampled(tmp_path, only_plans):
    build(dense_net(units=2000, classes=3000), tmp_path / "site", channels=7)
    assert only_plans == ["classes", "middle: channels"]
    assert sample(2000, 5) == [0, 500, 1000, 1499, 1999] and sample(3, 5) == [0, 1, 2]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"layers": ["midle"]}, "Did you mean middle"),
        ({"layers": ["flatten"]}, None),
        ({"classes": [2]}, "which has 2 classes, got 2"),
        ({"channels": 0}, "channels must be a positive integer, got 0"),
        ({"images": "nowhere"}, "no image file or folder"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(net, tmp_path, options, said, only_plans):
    if said is None:
        build(net, tmp_path / "site", **options)  # a vector has units, whatever made it
        assert any(title.startswith("flatten") for title in only_plans)
        return
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        build(net, tmp_path / "site", **options)
    assert not (tmp_path / "site").exists()


def test_a_model_must_say_how_it_wants_its_pixels(net, tmp_path):
    with pytest.raises(ValueError, match="preprocessing must be known for"):
        atlas.build(net, tmp_path / "site")
    two = [keras.Input((4, 4, 1)), keras.Input((4, 4, 1))]
    with pytest.raises(ValueError, match="image input"):
        build(keras.Model(two, keras.layers.Add()(two)), tmp_path / "site")
    with pytest.raises(ValueError, match=r"output of a classifier must have shape \(N, classes\)"):
        build(keras.Sequential([keras.Input((4, 4, 1)), keras.layers.ReLU()]), tmp_path / "s", task="classification")
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize("kind", ["sequential", "nested", "subclassed"])
def test_models_of_every_kind(shared_model, tmp_path, kind, only_plans):
    built = build(shared_model(kind), tmp_path / "site")
    check_links(tmp_path / "site")
    assert {"conv1: channels", "conv2: channels"} <= {title.rpartition("/")[2] for title in only_plans}
    text = " ".join(Page(built.index).text.split())
    assert ("does not declare" in text) == (kind == "subclassed")
    assert "Conv2D · 8 × 8 × 4" in text and "6 classes" in text


def test_a_subclassed_model_has_pictures(shared_model, tmp_path):
    assert build(shared_model("subclassed"), tmp_path / "site", layers=["conv2"], channels=2).remaining == 0
    page = Page(tmp_path / "site" / "units" / "conv2" / "4.html")
    assert "activation is" in page.text or "No maximized image" in page.text


def test_a_saved_model_that_cannot_be_looked_into(net, photographs, tmp_path):
    net.export(tmp_path / "saved", verbose=False)
    built = build(kerasal.load_model(tmp_path / "saved"), tmp_path / "site", images=photographs / "a.png")
    assert [title for title, _ in built.failed] == ["classes"] and built.completed == 1
    text = " ".join(Page(tmp_path / "site" / "images" / "a.html").text.split())
    assert "No attribution method works for this model" in text and "inside a compiled function" in text
    assert "Probabilities of the top 2 of 2 classes" in text
    check_links(tmp_path / "site")


def test_layers_are_chosen_by_name_pattern_and_slice(shared_model):
    layers = list_layers(shared_model("nested"), (8, 8, 3))

    def chosen(*wanted):
        return [layer.path.rpartition("/")[2] for layer in choose_layers(layers, wanted or None)]

    assert chosen() == ["conv1", "conv2"]
    assert chosen("conv2") == chosen("-1:") == ["conv2"] and chosen(":1") == ["conv1"]
    assert chosen("*conv?", "pool") == ["conv1", "pool", "conv2"]
    with pytest.raises(ValueError, match="Unknown layer"):
        chosen("conv3")


def test_the_graph_has_a_line_for_each_connection():
    inputs = keras.Input((8, 8, 3))
    again = keras.layers.Conv2D(2, 1, name="two")
    one = keras.layers.Conv2D(2, 1, name="one")(inputs)
    total = keras.layers.Add(name="sum")([one, again(one)])
    model = keras.Model(inputs, total)
    again(total)  # by somebody else, not in this model
    layers = list_layers(model, (8, 8, 3))
    assert [layer.sources for layer in layers] == [(), (0,), (0, 1)]
    drawn = draw_connections(layers)
    assert len(drawn.paths) == 3 and sum("Q" in path for path in drawn.paths) == 1


def test_exemplars_of_a_dense_layer_are_whole_images_in_order(net, photographs, tmp_path):
    opened = atlas_model(net, preprocessing="unit")
    store = Store(tmp_path / "site", atlas_digest(opened), "net")
    (layer,) = (one for one in list_layers(net, (4, 4, 1)) if one.path == "middle")
    files = sorted(photographs.iterdir())
    exemplar_records.find_exemplars(opened, store, layer, [0, 2], files, "stamp")
    readable = [file for file in files if file.suffix == ".png"]
    inputs = np.stack([opened.inputs(images.read(file))[0] for file in readable])
    values = kerasal.feature_maps(net, inputs, "middle")
    entries = store.entries(*exemplar_records.exemplar_record(opened, layer, "stamp"))
    assert list(entries) == ["0", "2"] and sum(len(one["shown"]) for one in entries.values()) > 3
    for unit, entry in entries.items():
        column = values[:, int(unit)]
        wanted = [str(readable[i]) for i in np.argsort(-column) if column[i] > 0]
        assert [one["file"] for one in entry["shown"]] == wanted and entry["seen"] == 5


def test_names_that_are_no_file_names(tmp_path, only_plans):
    name = "A>b"
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(1, 1, name=name), keras.layers.Flatten()])
    build(model, tmp_path / "site")
    (page,) = (path for path in (tmp_path / "site" / "layers").iterdir() if path.name.startswith("a-b-"))
    assert "<h1>A&gt;b</h1>" in page.read_text() and ">" not in page.name
    check_links(tmp_path / "site")


def test_a_gaze_net_has_a_page_of_where_people_look(photographs, tmp_path):
    keras.utils.set_random_seed(0)
    net = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Conv2D(1, 3, padding="same", name="read")])
    built = build(net, tmp_path / "site", images=[photographs / "a.png", photographs / "torn.jpg"], layers=["read"])
    assert built.remaining == 0
    check_links(tmp_path / "site")
    page = Page(tmp_path / "site" / "gaze.html")
    assert "over" in {word for one in page.images for word in one.get("class", "").split()}
    assert np.ptp(images.read(tmp_path / "site" / "pictures" / "images" / "a" / "gaze.png")) > 50
    assert "1 photo with a map" in " ".join(page.text.split())


def test_a_kill_in_the_first_moment_leaves_a_folder_that_can_be_used(tmp_path):
    (tmp_path / ".atlas-ab_defg1.json").touch()
    assert check_folder(tmp_path) == {}
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ValueError, match=r"must be empty or hold an atlas, got other files \(notes.txt\)"):
        check_folder(tmp_path)
