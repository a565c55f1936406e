"""The commands as a person types them, right and wrong: exit codes, one readable line, pictures whole or not at all."""

import io

import numpy as np
import pytest
import typer

from kerasal import images
from kerasal.cli import options, run

import keras


@pytest.fixture
def photo(tmp_path):
    pixels = np.zeros((60, 90, 3), np.uint8)
    pixels[20:40, 30:60] = (220, 120, 40)
    return images.write(tmp_path / "photo.png", pixels)


@pytest.fixture
def model_file(make_model, tmp_path):
    make_model("nested").save(tmp_path / "net.keras")
    return tmp_path / "net.keras"


def test_help_and_version(cli):
    assert cli("--version")[0] == 0
    commands = ["demo", "models", "card", "attribute", "compare", "maximize", "feature-maps", "train", "score"]
    for command in [*commands, "patterns", "field", "exemplars", "evolution"]:
        code, out, _ = cli(command, "--help")
        assert code == 0
        assert "Usage" in out


def test_models_and_card(cli):
    code, out, _ = cli("models", "mnist*")
    assert code == 0
    assert "53,002" in out
    assert "vgg" not in out
    code, out, _ = cli("card", "mnist_cnn")
    assert code == 0
    assert "SHA-256" in out
    assert "kerasal train mnist_cnn" in out


@pytest.mark.slow
def test_a_stream_that_has_not_all_characters_gets_the_others_escaped(monkeypatch, cli):
    shown = cli("card", "mnist_cnn")[1]
    assert "×" in shown
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", stream)
    assert cli("card", "mnist_cnn")[0] == 0
    stream.flush()
    assert r"[3\xd73 convolution" in stream.buffer.getvalue().decode("ascii")
    assert stream.errors == "strict"


@pytest.mark.slow
def test_attribute_writes_a_picture_for_each_method(cli, photo, model_file, make_model):
    from kerasal import attribution

    attention_file = photo.parent / "attention.keras"
    make_model("functional", attention=True).save(attention_file)
    for method in attribution.list_methods():
        chosen = [attention_file, photo, "-c", 1] if attribution.method_spec(method).needs else [model_file, photo]
        code, out, err = cli("attribute", method, *chosen, "-p", "unit", "-o", f"{method}.png")
        assert code == 0, err
        assert f"{method}.png" in out
        picture = images.read(f"{method}.png")
        assert picture.std() > 10
    assert not list(photo.parent.glob(".*"))


def test_options_of_attention_are_numbers_or_words(cli, photo, make_model, tmp_path):
    make_model("functional", attention=True).save(tmp_path / "attention.keras")
    attribute = ("attribute", "raw_attention", "attention.keras", photo, "-p", "unit")
    maps = []
    for number, chosen in enumerate([("--head", 1, "--query", 3), ("--head", "max"), ("--grid", 4, "--no-resize")]):
        code, _, err = cli(*attribute, *chosen, "-o", f"{number}.npy")
        assert code == 0, err
        maps.append(np.load(tmp_path / f"{number}.npy"))
    assert maps[0].shape == maps[1].shape == (8, 8) and maps[2].shape == (4, 4)
    assert np.abs(maps[0] - maps[1]).max() > 0
    code, _, err = cli(*attribute, "--query", "first")
    assert code != 0 and "query (--query) must be" in err and "got 'first'" in err


def test_attribute_options(cli, photo, model_file, tmp_path):
    (tmp_path / "names.txt").write_text("ant\nbee\ncat\ndog\neel\nfox\n")
    code, out, err = cli(
        *("attribute", "class_saliency", model_file, photo, "-p", "tf", "--class", "bee", "--labels", "names.txt"),
        *("--channel-reduction", "norm", "--fit", "stretch", "-o", "map.npy"),
    )
    assert code == 0, err
    assert "bee" in out
    assert "probability" in out
    from kerasal import attribution, load_model, preprocessing

    pixels = preprocessing.get("tf").apply(images.resize(images.read(photo), (8, 8)))
    expected = attribution.class_saliency(load_model(model_file), pixels, 1, channel_reduction="norm")[0]
    np.testing.assert_allclose(np.load("map.npy"), expected, rtol=1e-5)
    assert cli("attribute", "deconvnet", model_file, photo, "-p", "tf", "--channel", "conv1:2", "-o", "c.png")[0] == 0


@pytest.fixture
def ensemble_file(tmp_path):
    inputs = keras.Input((8, 8, 3))
    halves = [keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(inputs)) for _ in range(2)]
    keras.Model(inputs, keras.layers.Average()(halves)).save(tmp_path / "ensemble.keras")
    return tmp_path / "ensemble.keras"


@pytest.mark.filterwarnings("default::kerasal.hooks.NoLogits")
def test_a_model_without_logits_is_reported_unless_its_probabilities_are_wanted(cli, photo, ensemble_file):
    command = ("attribute", "class_saliency", ensemble_file, photo, "-p", "unit")
    code, _, err = cli(*command)
    assert code == 0
    assert "Warning: The model's output has no logits: operation AddV2" in " ".join(err.split())
    assert ".py:" not in err
    assert "no logits" not in cli(*command, "--no-logits")[2]


@pytest.mark.filterwarnings("default::kerasal.hooks.NoLogits")
def test_an_export_of_a_model_without_logits_reports_it(cli, ensemble_file):
    code, _, err = cli("export", ensemble_file, "served", "-p", "unit", "--signature", "class_saliency")
    assert code == 0, err
    assert "Warning: The model's output has no logits: operation AddV2" in " ".join(err.split())


def test_a_zoo_model_needs_no_preprocessing_and_takes_a_photograph(cli, photo):
    code, out, err = cli("attribute", "class_saliency", "mnist_cnn", photo)
    assert code == 0, err
    assert images.read("photo-class_saliency.png").std() > 10
    assert "number" in out


def test_random_weights_are_said(cli, photo, monkeypatch):
    from kerasal.models import registry

    keras.utils.set_random_seed(0)  # other weights may give a score of 0 without a gradient
    small = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3, activation="relu"), keras.layers.Flatten()]
    )
    monkeypatch.setattr(registry, "load_model", lambda *_, **__: small)
    code, _, err = cli("attribute", "class_saliency", "vgg16", photo, "-o", "a.png")
    assert code == 0
    assert "random weights" in err


def test_maximize(cli, model_file, tmp_path):
    code, out, err = cli(
        "maximize", model_file, "--channel", "conv1", "-p", "none", "-o", "m.png", "--history", "h.csv"
    )
    assert code == 0, err
    assert images.read("m.png").std() > 10
    assert (tmp_path / "h.csv").read_text().startswith("objective,step,score\n")
    assert "4 images" in out
    code, out, err = cli("maximize", "mnist_cnn", "--class", "3", "--class", "8", "--steps", "3", "-o", "d.png")
    assert code == 0, err


def test_maximize_keeps_the_colors_of_a_start_of_photos(cli, model_file, tmp_path):
    for shift in (-20, 20):
        pixels = np.full((8, 8, 3), (116 + shift, 98 + shift, 78 + shift), np.uint8)
        images.write(tmp_path / "photos" / f"{shift}.png", pixels)

    def share(*options):
        """Return the share of the page that has the color of the mean photo."""
        line = ("maximize", model_file, "--class", "1", "-p", "caffe", "--preset", "tang", "--init", "photos")
        code, _, err = cli(*line, "--steps", "1", "-o", "m.png", *options)
        assert code == 0, err
        return (np.abs(images.read("m.png").astype(int) - (116, 98, 78)).max(axis=2) < 6).mean()

    assert share() > 0.5
    assert share("--display", "contrast") < 0.05


@pytest.mark.slow
def test_maximize_draws_the_grid_of_a_layer(cli, model_file):
    arguments = ("maximize", model_file, "--layer", "conv2", "-p", "none", "--canvas", "auto", "-o", "all.png")
    code, out, err = cli(*arguments, "--preset", "channel")  # its noise has no limits and reaches every random ReLU
    assert code == 0, err
    assert "Preset" not in err
    assert "5 images" in out
    code, out, err = cli(
        *("maximize", model_file, "--layer", "conv1", "--channels", "0,3", "-p", "none", "-o", "two.png"),
        *("--parameterization", "fourier", "--steps", "3", "--copies", "2", "--diversity", "0.5"),
    )
    assert code == 0, err
    assert "3, copy 2 of 2" in out
    assert "4 images" in out
    assert images.read("two.png").std() > 10


def test_maximize_draws_images_only(cli, tmp_path):
    layers = [keras.layers.Conv1D(3, 3, name="conv"), keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(2)]
    keras.Sequential([keras.Input((20, 4)), *layers]).save(tmp_path / "series.keras")
    code, _, err = cli("maximize", "series.keras", "--channel", "conv:1", "-p", "none", "-o", "m.png")
    assert code == 2
    assert "takes another input. Call kerasal.maximize in Python" in " ".join(err.split())
    assert not (tmp_path / "m.png").exists()


@pytest.mark.slow
def test_maximize_reports_dead_channels(cli, make_model, tmp_path):
    model = make_model("functional")
    model.get_layer("conv1").bias.assign([0, -1e6, 0, 0])
    model.save(tmp_path / "dead.keras")
    code, out, err = cli(
        "maximize", "dead.keras", "--channel", "conv1:0-1", "-p", "unit", "-o", "m.png", "--steps", "3"
    )
    assert code == 0
    assert "Preset: olah." in err
    assert "Not drawn" in err
    assert "1 image" in out
    code, _, err = cli("maximize", "dead.keras", "--channel", "conv1:1", "-p", "unit", "-o", "all-dead.png")
    assert code == 1
    assert not (tmp_path / "all-dead.png").exists()


@pytest.mark.slow
def test_compare_shows_every_method_and_says_what_is_left_out(cli, photo, model_file, tmp_path):
    from kerasal import attribution

    code, _, err = cli("compare", model_file, photo, "-p", "unit", "--class", "2", "--all", "-o", "page.html")
    assert code == 0, err
    page = (tmp_path / "page.html").read_text()
    names = [name for name in attribution.list_methods() if not attribution.method_spec(name).needs]
    for name in names:
        assert f"<h3>{name}</h3>" in page
    assert page.count("<img") == 1 + 2 * len(names)
    code, _, err = cli("compare", model_file, photo, "-p", "unit", "-o", "page.png")
    assert code == 0, err
    assert images.read("page.png").std() > 20
    code, _, err = cli(
        "compare", model_file, photo, "-p", "unit", "--method", "gradcam", "--method", "lime2", "-o", "no.html"
    )
    assert code == 2 and "attribution method" in err and not (tmp_path / "no.html").exists()
    smooth = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(3)])
    smooth.save(tmp_path / "smooth.keras")
    code, _, err = cli("compare", "smooth.keras", photo, "-p", "unit", "-o", "smooth.html")
    assert code == 0
    assert "guided_backprop: skipped." in err
    assert "nothing to act on" in (tmp_path / "smooth.html").read_text()


def test_feature_maps(cli, photo, model_file, tmp_path):
    code, out, err = cli("feature-maps", model_file, photo, "--layer", "conv1", "-p", "unit")
    assert code == 0, err
    assert "4 channels of 8 × 8" in out
    assert images.read("photo-conv1.png").std() > 10


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("attribute", "class_saliency", "net.keras", "missing.jpg", "-p", "unit"),
            "no image file or folder missing.jpg",
        ),
        (("attribute", "class_saliency", "missing.keras", "photo.png"), "no model file missing.keras"),
        (("attribute", "class_saliency", "mnist", "photo.png"), "Did you mean mnist_cnn"),
        (("attribute", "class_salience", "net.keras", "photo.png"), "Did you mean class_saliency"),
        (("attribute", "class_saliency", "net.keras", "photo.png"), "--preprocessing"),
        (("attribute", "class_saliency", "net.keras", "photo.png", "-p", "cafe"), "Did you mean caffe"),
        (
            ("attribute", "class_saliency", "net.keras", "photo.png", "-p", "unit", "--class", "6"),
            "There are 6 classes",
        ),
        (("attribute", "class_saliency", "net.keras", "photo.png", "-p", "unit", "--class", "cat"), "--labels"),
        (
            ("attribute", "class_saliency", "net.keras", "photo.png", "-p", "unit", "--channel", "conv9:0"),
            "Did you mean",
        ),
        (
            ("attribute", "class_saliency", "net.keras", "photo.png", "-p", "unit", "--channel", "conv1"),
            "LAYER:NUMBER",
        ),
        (("attribute", "class_saliency", "net.keras", "photo.png", "-o", "a.xyz"), ".png"),
        (("attribute", "class_saliency", "net.keras", "net.keras", "-p", "unit"), "must be an image"),
        (("attribute", "class_saliency", "photo.png", "photo.png", "-p", "unit"), "photo.png"),
        (("attribute", "class_saliency"), "Missing argument"),
        (("attribute", "class_saliency", "net.keras", "photo.png", "--channel-reduction", "x"), "max_abs"),
        (("maximize", "net.keras", "-p", "unit"), "--class"),
        (("maximize", "net.keras", "--channel", "conv1:9", "-p", "unit"), "There are 4 channels"),
        (("maximize", "net.keras", "--channel", "conv1:3-1", "-p", "unit"), "from the smaller to the larger number"),
        (("maximize", "net.keras", "--class", "1", "--steps", "0"), "steps"),
        (("maximize", "net.keras", "--class", "1", "--layer", "conv1"), "Exactly one of --class, --layer"),
        (("maximize", "net.keras", "--class", "1", "--channels", "3"), "can only be used with --layer"),
        (("maximize", "net.keras", "--layer", "conv1", "--channels", "x", "-p", "unit"), "must look like 5, 0-63"),
        (("maximize", "net.keras", "--layer", "conv2", "--size", "2", "-p", "unit"), "the receptive field of layer"),
        (("feature-maps", "net.keras", "photo.png", "--layer", "predictions", "-p", "unit"), "maps must have"),
        (
            ("feature-maps", "net.keras", "photo.png", "--layer", "conv1", "--channels", "7", "-p", "unit"),
            "channels (--channels) must be in 0..3",
        ),
        (("card", "vgg61"), "Did you mean"),
        (("models", "zzz*"), "pattern must match"),
        (("no-such-command",), "Unknown command 'no-such-command'. kerasal --help lists the commands."),
    ],
)
def test_mistakes_are_one_readable_line(arguments, says, cli, photo, model_file, tmp_path):
    before = sorted(tmp_path.iterdir())
    code, _, err = cli(*arguments)
    assert code == 2, err
    assert says in err
    assert "Traceback" not in err
    assert "Usage: " in err or err.strip().splitlines()[-1].startswith("Error: ")
    assert sorted(tmp_path.iterdir()) == before


def test_an_unwritable_place(cli, photo, model_file, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = cli("attribute", "class_saliency", model_file, photo, "-p", "unit", "-o", "file/a.png")
    assert code == 1
    assert "cannot write file/a.png" in err
    code, _, err = cli("demo", "-o", "file/demo")
    assert code == 1
    assert "cannot write" in err


EXITS = [
    (ValueError("steps must be a positive integer, got 0."), 2),
    (TypeError("steps must be an integer, got 'a'."), 2),
    (FileNotFoundError("There is no file a.keras."), 2),
    (NotADirectoryError("a is a file."), 2),
    (NotADirectoryError(20, "cannot write a/b: Not a directory"), 1),
    (PermissionError(13, "cannot write a: Permission denied"), 1),
    (OSError(28, "cannot write a: No space left on device"), 1),
    (RuntimeError("None of the images could be read."), 1),
    (MemoryError(), 1),
    (KeyError("conv"), 1),
    (KeyboardInterrupt(), 130),
]


@pytest.mark.parametrize(("error", "code"), EXITS, ids=lambda value: type(value).__name__)
def test_exit_codes(cli, monkeypatch, error, code):
    def fail():
        raise error

    monkeypatch.setattr("kerasal.cli.layers.load_tensorflow", fail)
    found, out, err = cli("field", "mnist_cnn")
    assert (found, out) == (code, "")
    if code != 130:
        (line,) = err.splitlines()
        assert (line.startswith("Error: ") and str(error).strip("'") in line) or isinstance(error, OSError)


def test_another_run_in_the_folder_is_no_wrong_usage(cli, monkeypatch):
    from kerasal.locks import FolderInUse

    def fail():
        raise FolderInUse("Another run is writing there.")

    monkeypatch.setattr("kerasal.cli.layers.load_tensorflow", fail)
    assert cli("field", "mnist_cnn")[0] == 1


def test_exit_codes_are_documented(cli):
    assert "130 stopped with Ctrl-C" in " ".join(cli("--help")[1].split())


@pytest.mark.slow
def test_a_layer_is_an_option_or_an_argument(cli, model_file, photo):
    for command in (("field",), ("filters",), ("patterns", "--channels", "0", "-o", "a.png")):
        name, *more = command
        code, out, err = cli(name, model_file, "conv1", *more)
        assert code == 0, err
        assert cli(name, model_file, "-l", "conv1", *more)[1] == out
        assert cli(name, model_file, "conv1", "--layer", "conv2", *more)[0] == 2
    images_and_more = (photo, "-p", "unit", "--channels", "0", "-o", "b.png")
    code, out, err = cli("exemplars", model_file, "--layer", "conv1", *images_and_more)
    assert code == 0, err
    assert cli("exemplars", model_file, "conv1", *images_and_more)[1] == out
    assert cli("exemplars", model_file, photo)[0] == 2
    assert cli("patterns", model_file)[0] == 2 and cli("feature-maps", model_file, photo)[0] == 2


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("gaze", "photos", "out"), ("gaze", "gaze", "photos", "out")),
        (("gaze", "salnet", "photos", "out"), ("gaze", "salnet", "photos", "out")),
        (("gaze", "gaze", "photos", "out"), ("gaze", "gaze", "photos", "out")),
        (("gaze", "photos", "out", "--model", "salnet"), ("gaze", "salnet", "photos", "out")),
        (("gaze", "photos", "-o", "out"), ("gaze", "gaze", "photos", "out")),
        (("gradcam", "net.keras", "photos", "out"), ("gradcam", "net.keras", "photos", "out")),
        (("gradcam", "photos", "out", "--model", "net.keras"), ("gradcam", "net.keras", "photos", "out")),
        (("gradcam", "net.keras", "photos", "-o", "out"), ("gradcam", "net.keras", "photos", "out")),
        (("gradcam", "photos", "out"), None),
        (("gaze", "photos"), None),
        (("gaze", "a", "b", "photos", "out"), None),
        (("gaze", "a", "photos", "out", "--model", "b"), None),
    ],
)
def test_the_places_of_a_batch(cli, monkeypatch, arguments, expected):
    seen = []

    def run_batch(method, model, images, out, **settings):
        seen.append((method, model, str(images), str(out)))
        exit(77)

    monkeypatch.setattr("kerasal.batch.run", run_batch)
    assert cli("batch", *arguments)[0] == (2 if expected is None else 77)
    assert seen == ([] if expected is None else [expected])


@pytest.mark.parametrize(
    ("text", "size"), [("240x320", (240, 320)), ("224", (224, 224)), ("8X9", (8, 9)), (None, None)]
)
def test_sizes(text, size):
    assert options.read_size(text) == size


@pytest.mark.parametrize("text", ["x", "0", "4x", "-3", "2x0", "1.5", "a x b", "1x2x3"])
def test_bad_sizes(text):
    with pytest.raises(typer.BadParameter, match="must be HEIGHTxWIDTH"):
        options.read_size(text)


def test_traceback_on_request(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="Did you mean"):
        run(["card", "vgg61", "--traceback"])


PICTURES = ["attribution", "channels", "class-models", "feature-maps", "five-classes", "gaze", "maps", "photo"]


@pytest.mark.slow  # a minute; .ci/run also runs the demo of the installed wheel
def test_the_demo(cli, tmp_path):
    code, out, err = cli("demo")
    assert code == 0, err
    for word in ("espresso", "prediction", "confidence", "Next"):
        assert word in out
    files = sorted((tmp_path / "kerasal-demo").iterdir())
    assert [file.name for file in files] == [f"{name}.png" for name in PICTURES]
    assert all(images.read(file).std() > 20 for file in files)


def test_the_demo_draws_each_picture_and_names_it(cli, tmp_path, monkeypatch):
    drawn = []
    for place in ("photos.draw_maps", "photos.draw_channels", "photos.draw_class_models", "photos.draw_gaze"):
        monkeypatch.setattr(f"kerasal.cli.demo_{place}", lambda *arguments: drawn.append(arguments[-1].stem))
    for place in ("draw_feature_maps", "draw_attribution", "draw_class_models"):
        monkeypatch.setattr(f"kerasal.cli.demo_digits.{place}", lambda *arguments: drawn.append(arguments[-1].stem))
    code, out, err = cli("demo")
    assert code == 0, err
    assert sorted([*drawn, "photo"]) == PICTURES
    assert all(f"{name}.png" in out for name in PICTURES)
    assert "Egyptian cat" in out and (tmp_path / "kerasal-demo" / "photo.png").is_file()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "expected"),
    [("efficientnet_lite0_imagenet.keras", "tf"), ("squeezenet_v1_1_imagenet_q8.keras", "caffe")],
)
def test_real_classifiers_find_the_ostrich(name, expected, cli, data_folder, tmp_path):
    """The whole line on a real classifier and a real photograph: class, convention, and the map on the bird."""
    model = data_folder / "models" / name
    photo = data_folder / "imagenet1000" / "images" / "0009_n01518878.jpg"
    code, out, err = cli("attribute", "class_saliency", model, photo, "-o", "map.npy")
    assert code == 0, err
    assert f"Preprocessing: {expected}," in err
    assert "class_saliency of ostrich" in out
    saliency = np.load("map.npy")
    height, width = saliency.shape
    # The bird stands in the middle of the picture: 16 % of its area, from the head to the feet.
    bird = saliency[int(0.25 * height) : int(0.72 * height), int(0.35 * width) : int(0.62 * width)]
    assert bird.sum() / saliency.sum() > 2 * bird.size / saliency.size


def test_patterns_writes_the_grid_and_what_else_is_asked_for(cli, model_file, tmp_path):
    code, out, err = cli(
        "patterns", model_file, "--layer", "conv2", "--channels", "0-2", "--validate", "--propagate", "1", "-o", "p.png"
    )
    assert code == 0, err
    assert "p.png  3 patterns of 8 × 8 px" in out
    assert "pixels reached" in out
    for name in ("p.png", "p-validation.png", "p-propagation.png"):
        assert images.read(tmp_path / name).std() > 10
    assert (tmp_path / "p-validation.csv").read_text().startswith("channel,rank,above,silent")
    code, out, err = cli("patterns", model_file, "pool", "--against", model_file, "-o", "q.png")
    assert code == 0, err
    assert "mean cosine similarity 1.000" in out


def test_patterns_of_a_zoo_net_with_its_options(cli, tmp_path):
    narrow = ["--model-option", "width=.03", "--model-option", "backbone=vgg16"]
    code, out, err = cli("patterns", "deep_saliency", "block1_pool", *narrow, "-o", "p.png")
    assert code == 0, err
    assert "p.png  2 patterns of 6 × 6 px" in out
    assert "random weights, so its results mean nothing" in err


def test_patterns_refuses_what_it_cannot_paint(cli, model_file, tmp_path):
    for arguments, said in (
        (("conv2", "--channels", "7"), "channels (--channels) must be in 0..4, got 7"),
        (("flatten",), "has no spatial map"),
        (("conv9",), "Did you mean"),
        (("conv2", "-o", "p.txt"), "must end in .png"),
        (("conv2", "--rescale", "128"), "can only be used with --validate"),
        (("conv2", "--model-option", "width=2"), "options={'width': 2} (--model-option)"),
    ):
        code, _, err = cli("patterns", model_file, *arguments)
        assert code == 2
        assert said in " ".join(err.replace("│", " ").split())
        assert sorted(path.name for path in tmp_path.iterdir()) == ["net.keras"]


def test_field_lists_every_layer_with_a_map(cli, model_file):
    code, out, _ = cli("field", model_file)
    assert code == 0
    assert "encoder/innermost/conv1" in out
    assert "flatten" not in out
    (line,) = [line for line in out.splitlines() if "encoder/conv2" in line]
    assert [cell.strip() for cell in line.strip("│").split("│")] == ["encoder/conv2", "2", "5", "8", "2", "-1 to 6"]
    code, out, _ = cli("field", model_file, "conv1", "--size", "20")
    assert code == 0
    assert "20 × 20" in out
    assert cli("field", model_file, "--layer", "conv1", "--size", "20x20")[1] == out
    code, _, err = cli("field", model_file, "flatten")
    assert code == 2
    assert "no spatial map" in err
