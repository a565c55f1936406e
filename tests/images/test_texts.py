"""Colored texts: each token has the color of its value, lines break where words do, and nothing is hidden silently."""

from typing import Any

import numpy as np
import pytest

from kerasal import images
from kerasal.images import texts
from kerasal.images.colormaps import color_scale

WORDS = ["a", "short", "text", "of", "seven", "tokens", "only"]


def colored(tokens, values, **options):
    usual: dict[str, Any] = {
        "signed": None,
        "mask": None,
        "separator": " ",
        "limit": None,
        "strength": 0.6,
        "colormap": None,
    }
    return texts.color_tokens(tokens, values, **(usual | options))


def count(picture, color):
    return int((picture == np.asarray(color)).all(axis=-1).sum())


def lines(tokens, separator=" ", width=400, values=None):
    """Return the letters of the tokens in each line of a text."""
    face, room = texts.font(texts.type_size(width)), width - 2 * (texts._MARGIN + texts._PAD)
    values = np.zeros(len(tokens)) if values is None else values
    pieces, number = texts._lay_out(colored(tokens, values, separator=separator), separator, face, room)
    for _, letters, x, _ in pieces:
        assert x + face.getlength(letters) <= room + 1e-6
    return [[letters for _, letters, _, line in pieces if line == one] for one in range(number)]


def test_colors_follow_the_sign_and_size_of_the_values():
    scale, values = color_scale("signed"), np.array([1.0, -1, 0, 0.5, -0.5, 0, 0])
    tokens = colored(WORDS, values)
    assert [token.ground for token in tokens[:2]] == [tuple(scale[255]), tuple(scale[0])]
    assert tokens[2].ground == tokens[5].ground == tuple(scale[128])
    assert tokens[3].ground[0] > tokens[3].ground[2] and tokens[4].ground[2] > tokens[4].ground[0]
    picture = images.text(WORDS, values)
    assert picture.dtype == np.uint8 and picture.shape[1:] == (900, 3)
    assert count(picture, scale[255]) > 100 and count(picture, scale[0]) > 100


def test_unsigned_values_have_their_own_colors_and_drop_what_is_negative():
    scale = color_scale("text")
    tokens = colored(WORDS, np.array([0, 1, 2, 3, 4, 5, 6.0]))
    assert tokens[0].ground == (255, 255, 255) and tokens[6].ground == tuple(scale[255])
    brightness = [sum(token.ground) for token in tokens]
    assert brightness == sorted(brightness, reverse=True)
    assert colored(WORDS, np.array([-5, 1, 0, 0, 0, 0, 0.0]), signed=False)[0].ground == (255, 255, 255)


def test_letters_can_be_read_on_every_ground():
    for name in ("signed", "text"):
        values = np.linspace(-1 if name == "signed" else 0, 1, 200)
        for token in colored(["x"] * 200, values):
            first, second = sorted(texts._luminance(color) for color in (token.ground, token.ink))
            assert (second + 0.05) / (first + 0.05) >= 4.1
    assert texts._luminance((255, 255, 255)) == pytest.approx(1)


def test_a_limit_makes_texts_comparable():
    once, twice = (colored(["x"], np.array([value]), limit=4.0)[0].ground for value in (2.0, 4.0))
    assert once == tuple(color_scale("text")[round(127.5)]) and twice == tuple(color_scale("text")[255])
    assert colored(["x"], np.array([9.0]), limit=4.0)[0].ground == twice
    assert colored(["x"], np.array([2.0]))[0].ground == twice  # the largest value, by default


def test_strength_and_colormap():
    full = colored(["x"], np.array([1.0]))[0].ground
    half = colored(["x"], np.array([1.0]), strength=0.25)[0].ground
    assert half == tuple(np.round((255 + np.array(full)) / 2).astype(int))
    assert colored(["x"], np.array([1.0]), strength=0)[0].ground == (255, 255, 255)
    assert colored(["x"], np.array([1.0]), colormap="viridis")[0].ground == tuple(color_scale("viridis")[255])
    with pytest.raises(ValueError, match="must be diverging"):
        images.text(["x"], np.array([-1.0]), colormap="viridis")


def test_padding_is_left_out_by_a_mask_and_does_not_set_the_scale():
    tokens, values, mask = ["", "a", "", "b"], np.array([50.0, 1, 50, 2]), np.array([False, True, False, True])
    np.testing.assert_array_equal(images.text(tokens, values, mask=mask), images.text(["a", "b"], values[mask]))
    assert colored(tokens, values, mask=mask)[1].ground == tuple(color_scale("text")[255])


def test_lines_break_between_words_only():
    tokens = [f"word{number}" for number in range(60)]
    drawn = lines(tokens)
    assert [letters for line in drawn for letters in line] == tokens and len(drawn) > 5
    picture, longer = images.text(tokens, np.zeros(60), width=400), images.text(tokens * 2, np.zeros(120), width=400)
    assert longer.shape[0] > 1.7 * picture.shape[0]


def test_a_token_longer_than_a_line_is_divided_and_complete():
    drawn = lines(["a", "x" * 300, "b"])
    assert "".join(drawn[1] + drawn[2]).startswith("x" * 30) and len(drawn) >= 4
    assert "".join("".join(line) for line in drawn) == "a" + "x" * 300 + "b"


def test_a_line_break_ends_the_line_and_is_visible():
    assert lines(["a", "\n", "b", "c\n", "d\r\n", "e"]) == [["a", "↵"], ["b", "c↵"], ["d↵"], ["e"]]
    assert lines(["a", "\n"]) == [["a", "↵"]]  # no empty line at the end


def test_white_space_empty_and_unknown_tokens_are_drawn():
    tokens = [" ", "\t", "", "[UNK]", "  ", "a\x00b", "\ud800"]
    assert lines(tokens) == [["␣", "⇥", "∅", "[UNK]", "␣␣", "a\N{REPLACEMENT CHARACTER}b", "\N{REPLACEMENT CHARACTER}"]]
    images.text([*tokens, "мир", "世界"], np.ones(9))


def test_without_a_separator_lines_break_at_white_space():
    characters = list("the quick brown fox jumps over the lazy dog " * 4)
    drawn = ["".join(line) for line in lines(characters, separator="")]
    assert "".join(drawn) == "".join(characters) and len(drawn) > 2
    assert all(line.endswith(" ") for line in drawn)
    parts = [" the", " qu", "ick", " bro", "wn"] * 30
    drawn = ["".join(line) for line in lines(parts, separator="")]
    assert "".join(drawn) == "".join(parts) and all(line.startswith(" ") for line in drawn)


def test_of_many_tokens_the_strongest_stretch_is_drawn():
    values = np.zeros(5000)
    values[3000:3003] = -1
    assert texts._strongest_stretch(values) == 1003
    assert texts._strongest_stretch(values[:2000]) == 0
    picture = images.text(["x"] * 5000, values)
    assert count(picture, color_scale("signed")[0]) > 100
    shorter = images.text(["x"] * 2000, values[1003:3003])
    step = texts.line_height(texts.font(texts.type_size(900))) + texts._LEADING
    assert picture.shape[0] == shorter.shape[0] + 2 * step  # what is left out is counted before and after


def test_wrong_arguments_are_refused():
    cases: Any = (
        ((["a", "b"], np.ones(3)), {}, "tokens must hold 3 texts, one per value, got 2"),
        ((["a", "b"], np.array([1, np.nan])), {}, "must be finite"),
        ((["a", "b"], np.ones((2, 1))), {}, r"must be \(T,\)"),
        ((["a", "b"], np.ones(2)), {"mask": np.ones(3, bool)}, r"mask must be bool \(2,\)"),
        ((["a", "b"], np.ones(2)), {"mask": [1, 0]}, "mask must be bool"),
        ((["a", "b"], np.ones(2)), {"mask": np.zeros(2, bool)}, "must keep at least one token"),
        ((["a", "b"], np.ones(2)), {"limit": 0}, "limit must be"),
        ((["a", "b"], np.ones(2)), {"strength": 2}, "strength must be"),
        ((["a", "b"], np.ones(2)), {"width": 10}, "width must be an integer of at least 200"),
    )
    for arguments, options, message in cases:
        with pytest.raises(ValueError, match=message):
            images.text(*arguments, **options)
    with pytest.raises(TypeError, match=r"tokens must be texts, got 3 .* Look indices up"):
        images.text(["a", 3], np.ones(2))  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="got a single one, 'ab'"):
        images.text("ab", np.ones(2))
