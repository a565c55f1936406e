"""Texts as HTML: all tokens, their values and colors, and nothing that a browser would run or fetch."""

import html.parser

import numpy as np
import pytest

from kerasal import images
from kerasal.images.colormaps import color_scale


class Reader(html.parser.HTMLParser):
    """Collects the elements of a page, the text of its tokens, and their attributes."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.tokens, self.styles, self.titles, self.between, self.inside = [], [], [], [], [], None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.inside = tag
        if tag == "bdi":
            self.tokens.append("")
            self.styles.append(dict(attrs)["style"])
            self.titles.append(dict(attrs)["title"])

    def handle_endtag(self, tag):
        self.inside = "between" if tag == "bdi" else None

    def handle_data(self, data):
        if self.inside == "bdi":
            self.tokens[-1] += data
        elif self.inside == "between":
            self.between.append(data)


def css(color):
    return f"background:rgb({' '.join(map(str, color))})"


def test_every_token_has_its_color_and_value():
    page = Reader(images.text_html(["one", "two", "three"], np.array([0.25, -1, 1])))
    assert page.tokens == ["one", "two", "three"] and page.titles == ["0.25", "-1", "1"]
    assert page.styles[1].startswith(css(color_scale("signed")[0]) + ";color:rgb(255 255 255)")
    assert page.styles[2].startswith(css(color_scale("signed")[255]))
    assert "".join(page.between).strip() == "" and page.between[:2] == [" ", " "]


def test_texts_are_escaped_and_nothing_is_fetched():
    evil = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "&amp;", "{{ 7 * 7 }}"]
    text = images.text_html(evil, np.arange(4.0), title="<b>title</b>", note="a & b", legend=("<low>", "high"))
    page = Reader(text)
    assert page.tokens == evil
    assert "script" not in page.tags and "img" not in page.tags and "b" not in page.tags
    assert "&lt;b&gt;title" in text and "a &amp; b" in text and "&lt;low&gt;" in text
    assert "http" not in text and "url(" not in text and 'href="data:,"' in text
    assert text.startswith("<!doctype html>") and text.count("<main") == text.count("</main>") == 1


def test_the_color_bar_has_the_colors_and_ends_of_the_values():
    signed, plain = images.text_html(["a", "b"], np.array([-2, 1.0])), images.text_html(["a", "b"], np.array([2, 1.0]))
    assert "-2 <i" in signed and "</i> 2" in signed and "rgb(5 48 130), " in signed
    assert "0 <i" in plain and "linear-gradient(to right, rgb(255 255 255)" in plain
    assert "</i> 8" in images.text_html(["a"], np.array([2.0]), limit=8)


def test_white_space_line_breaks_and_many_tokens_are_kept():
    page = Reader(images.text_html(["def", " f", "\n", "    ", "return"], np.zeros(5), separator=""))
    assert page.tokens == ["def", " f", "↵", "    ", "return"] and page.between[:1] == ["\n"]
    page = Reader(images.text_html(["a", " ", "", "b\n", "[UNK]"], np.zeros(5)))
    assert page.tokens == ["a", "␣", "∅", "b↵", "[UNK]"]
    many = Reader(images.text_html([str(number) for number in range(5000)], np.ones(5000)))
    assert len(many.tokens) == 5000 and many.tokens[-1] == "4999"
    assert Reader(images.text_html(["a", "b"], np.ones(2), mask=np.array([True, False]))).tokens == ["a"]


def test_wrong_tokens_are_refused():
    with pytest.raises(ValueError, match="tokens must hold 3 texts, one per value, got 1"):
        images.text_html(["a"], np.zeros(3))
