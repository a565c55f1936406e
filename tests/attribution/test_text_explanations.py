"""explain for models of tokens: the map of an embedding, drawn behind the tokens, as picture and as HTML."""

import numpy as np
import pytest

import kerasal
from kerasal import attribution, images
from kerasal.attribution import evaluation

import keras

L = keras.layers
TOKENS = np.array([4, 1, 9, 2, 7, 0, 0])
WORDS = ["under", "[UNK]", "<b>", "the", "license", "", ""]


@pytest.fixture(scope="module")
def reader():
    keras.utils.set_random_seed(0)
    tokens = keras.Input((7,), dtype="int32", name="tokens")
    hidden = L.Embedding(12, 6, name="embedding")(tokens)
    hidden = L.Conv1D(8, 3, padding="same", activation="tanh", name="triples")(hidden)
    output = L.Dense(3, activation="softmax", name="classes")(L.GlobalMaxPooling1D()(hidden))
    model = keras.Model(tokens, output, name="reader")
    return kerasal.open_model(model, labels=["a", "b", "c"])


@pytest.fixture(scope="module")
def explanation(reader):
    return kerasal.explain(reader, TOKENS, "integrated_gradients", "b", layer="embedding")


@pytest.mark.parametrize("name", ["integrated_gradients", "gradient_x_input", "occlusion", "class_saliency"])
def test_the_map_is_that_of_the_embedding(reader, name):
    explanation = kerasal.explain(reader, TOKENS, name, "b", layer="embedding")
    wanted = getattr(attribution, name)(reader.keras_model, TOKENS[None], 1, layer="embedding")[0]
    np.testing.assert_array_equal(explanation.map, wanted)
    assert explanation.map.shape == (7,) and explanation.label == "b"
    np.testing.assert_allclose(explanation.score, reader.keras_model(TOKENS[None]).numpy()[0, 1], rtol=1e-5)
    np.testing.assert_array_equal(explanation.picture, TOKENS)


def test_it_is_drawn_behind_its_tokens(explanation):
    numbers = [str(token) for token in TOKENS]
    np.testing.assert_array_equal(explanation.overlay(), images.text(numbers, explanation.map, signed=True))
    np.testing.assert_array_equal(explanation.heatmap(), explanation.overlay())
    named = explanation.label_axes(names=WORDS, mask=TOKENS > 0)
    drawn = images.text(WORDS, explanation.map, signed=True, mask=TOKENS > 0)
    np.testing.assert_array_equal(named.overlay(), drawn)
    np.testing.assert_array_equal(
        named.label_axes(separator="").overlay(),
        images.text(WORDS, explanation.map, signed=True, mask=TOKENS > 0, separator=""),
    )
    page = named.page()
    assert page.shape[0] > drawn.shape[0] + 60
    assert any(np.array_equal(page[y : y + drawn.shape[0], : drawn.shape[1]], drawn) for y in range(60))
    assert named._repr_png_().startswith(b"\x89PNG")
    assert attribution.explanation_sheet([[named, named]]).shape[1] > 1280


def test_a_magnitude_has_no_blue(reader):
    explanation = kerasal.explain(reader, TOKENS, "class_saliency", layer="embedding")
    np.testing.assert_array_equal(
        explanation.overlay(), images.text([str(token) for token in TOKENS], explanation.map, signed=False)
    )
    assert "rgb(5 48 130)" not in explanation.html() and "weak <i" in explanation.html()


def test_the_page_counts_what_is_left_out(explanation, monkeypatch):
    notes = []
    real = images.sheet
    monkeypatch.setattr(images, "sheet", lambda *panels, **texts: notes.append(texts) or real(*panels, **texts))
    explanation.label_axes(mask=TOKENS > 0).page()
    share = np.abs(explanation.map[5:]).sum() / np.abs(explanation.map).sum()
    assert notes[-1]["note"] == (
        f"reader, layer embedding. 2 tokens with {100 * share:.0f} % of the map's magnitude left out."
    )
    assert notes[-1]["legend"] == [("signed", "lowers the score", "raises the score")]
    explanation.page()
    assert notes[-1]["note"] == "reader, layer embedding"


def test_it_is_saved_as_html(explanation, tmp_path):
    named = explanation.label_axes(names=WORDS, mask=TOKENS > 0)
    page = named.save(tmp_path / "text.html").read_text(encoding="utf-8")
    assert page == named.html()
    assert "&lt;b&gt;" in page and page.count("<bdi") == 5
    assert "integrated_gradients: b, probability" in page and "2 tokens with" in page
    assert "lowers the score <i" in page
    assert [path.name for path in tmp_path.iterdir()] == ["text.html"]
    named.save(tmp_path / "text.png")
    np.testing.assert_array_equal(images.read(tmp_path / "text.png"), named.page())
    named.save(tmp_path / "gray.html", colormap="coolwarm")
    assert (tmp_path / "gray.html").read_text(encoding="utf-8") != page


def test_tokens_are_read_from_lists_small_integers_and_files(reader, explanation, tmp_path):
    np.save(tmp_path / "tokens.npy", TOKENS)
    for source in (TOKENS.tolist(), TOKENS.astype(np.uint8), TOKENS.astype(np.float32), tmp_path / "tokens.npy"):
        other = kerasal.explain(reader, source, "integrated_gradients", "b", layer="embedding")
        np.testing.assert_array_equal(other.map, explanation.map)


def test_what_cannot_be_explained_or_drawn_is_refused(reader, explanation):
    for source, error, message in (
        (TOKENS[:5], ValueError, r"must have shape \(N, 7\), got \(5,\)"),
        (np.stack([TOKENS, TOKENS]), ValueError, "must be a single photo or input, got 2"),
        (TOKENS / 2, TypeError, "values that are not in int32"),
        ([[1, 2], [3]], TypeError, "Pad sequences to one length"),
    ):
        with pytest.raises(error, match=message):
            kerasal.explain(reader, source, "class_saliency", layer="embedding")
    with pytest.raises(ValueError, match="names must hold 7 texts, one per token, got 3"):
        explanation.label_axes(names=["a", "b", "c"]).page()
    with pytest.raises(ValueError, match=r"mask must be bool \(7,\)"):
        explanation.label_axes(mask=np.ones(3, bool)).page()
    gradient = kerasal.explain(reader, TOKENS, "input_gradient", layer="embedding")
    for draw in (gradient.page, gradient.html):
        with pytest.raises(ValueError, match=r"must be \(T,\) to be drawn, got \(7, 6\)"):
            draw()
    signal = keras.Sequential([keras.Input((9, 2)), L.Conv1D(4, 3), L.GlobalMaxPooling1D(), L.Dense(2)])
    with pytest.raises(ValueError, match="html draws the tokens of a text"):
        kerasal.explain(kerasal.open_model(signal), np.ones((9, 2), np.float32), "class_saliency").html()


def test_deletion_replaces_tokens_by_an_index(reader):
    model = reader.keras_model
    tokens = np.random.default_rng(0).integers(1, 12, (3, 7))
    maps = attribution.gradient_x_input(model, tokens, 1, layer="embedding")
    curve = evaluation.deletion(model, tokens, maps, 1, fill=1, steps=7).details["curve"]
    half = np.where(np.argsort(np.argsort(-maps, axis=1), axis=1) < 3, 1, tokens)
    for column, inputs in ((0, tokens), (3, half), (7, np.ones_like(tokens))):
        np.testing.assert_allclose(curve.scores[:, column], model(inputs).numpy()[:, 1], rtol=1e-5)
    with pytest.raises(ValueError, match=r"fill must hold integers for a model of tokens, got 0\.5"):
        evaluation.deletion(model, tokens, maps, 1, fill=0.5)


def test_maps_of_tokens_depend_on_the_weights(reader):
    model = reader.keras_model
    before = model.get_weights()
    table = evaluation.cascading_randomization(model, TOKENS[None], attribution.gradient_x_input, 1, layer="embedding")
    assert list(table["layer"]) == ["classes", "triples", "embedding"]
    assert np.abs(table["correlation"]).min() < 0.95
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)
