"""The pages: written from what has been made so far, with plain HTML that a browser without JavaScript can read."""

import functools
import pathlib
import time
from collections.abc import Iterator, Sequence

import jinja2

from kerasal._version import __version__
from kerasal.atlas import captions
from kerasal.atlas.atlas_plan import Scope
from kerasal.atlas.atlas_recipes import is_small
from kerasal.atlas.atlas_store import Store
from kerasal.atlas.cleanup import remove_other_pages
from kerasal.atlas.contents import Contents
from kerasal.atlas.layer_graph import ROW, wires
from kerasal.atlas.tally import Row, tally
from kerasal.models.image_model import ImageModel

_TEMPLATES = pathlib.Path(__file__).parent / "templates"
_ASSETS = ("atlas.css", "atlas.js")
# While pieces are made, at most this share of the time goes into pages, and none within so many seconds of the last.
_SHARE, _SECONDS = 0.05, 30.0


class Pages:
    """The pages of one atlas.

    Attributes:
        tally: what had been made when they were last written.
    """

    def __init__(self, model: ImageModel, store: Store, scope: Scope, note: str = "", command: str = ""):
        self.model, self.store, self.scope, self.note, self.command = model, store, scope, note, command
        self.tally: list[Row] = []
        self._next = 0.0

    def write(self, left: int, failed: Sequence[tuple[str, str]] = ()) -> int:
        """Write all pages, and return how many.

        ``left`` is how many pieces are still to be made, ``failed`` the title of, and the reason for, each that cannot.
        """
        started = time.monotonic()
        contents = Contents(self.model, self.store, self.scope)
        self.tally = tally(contents)
        shared = {"contents": contents, "model": self.model, "scope": self.scope, "left": left}
        shared |= {"failed": failed, "note": self.note, "version": __version__, "stretched": ""}
        shared |= {"tally": self.tally, "command": self.command}
        if is_small(self.model.input_shape()):
            shared["stretched"] = captions.STRETCHED
        for name in _ASSETS:
            self.store.write_text(f"assets/{name}", (_TEMPLATES / name).read_text(encoding="utf-8"))
        written = set()
        for path, template, values in _all(contents):
            page = _environment().get_template(template)
            self.store.write_text(path, page.render(**shared, root="../" * path.count("/"), **values))
            written.add(path)
        remove_other_pages(self.store, written)
        ended = time.monotonic()
        self._next = ended + max(_SECONDS, (ended - started) / _SHARE)
        return len(written)

    def write_now_and_then(self, left: int, failed: Sequence[tuple[str, str]]) -> None:
        """Write them if it is time, so that what has been made can be looked at meanwhile."""
        if time.monotonic() > self._next:
            self.write(left, failed)


@functools.cache
def _environment() -> jinja2.Environment:
    """Return the engine; names of files, layers and classes are somebody else's, so everything is escaped."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"number": captions.number, "count": captions.count, "size": captions.size}
    found.globals |= {"wording": captions}
    return found


def _all(contents: Contents) -> Iterator[tuple[str, str, dict]]:
    """Yield path, template and values of every page."""
    layers = contents.scope.layers
    yield "index.html", "index.html", {"wires": wires(layers), "row": ROW}
    if contents.classes:
        yield "classes/index.html", "classes.html", {}
        for before, unit, after in _neighbours(contents.classes):
            yield f"classes/{unit.number}.html", "unit.html", {**_around(before, after), "unit": unit, "layer": None}
    for before, layer, after in _neighbours(layers):
        yield f"layers/{layer.slug}.html", "layer.html", {"layer": layer, "before": before, "after": after}
        for left, unit, right in _neighbours(contents.units[layer.slug]):
            yield (
                f"units/{layer.slug}/{unit.number}.html",
                "unit.html",
                {**_around(left, right), "unit": unit, "layer": layer},
            )
    if contents.images:
        yield "images/index.html", "images.html", {}
    ready = [one for one in contents.images if one.ready]
    for before, shown, after in _neighbours(ready):
        template = "gaze_image.html" if contents.model.task == "gaze" else "image.html"
        yield f"images/{shown.slug}.html", template, {**_around(before, after), "shown": shown}
    if contents.model.task == "gaze":
        yield "gaze.html", "gaze.html", {"ready": ready}


def _around(before, after) -> dict:
    return {"before": before, "after": after}


def _neighbours(items) -> Iterator[tuple]:
    """Yield each item between the one before and the one after it, or None."""
    items = list(items)
    yield from zip([None, *items], items, [*items[1:], None])  # noqa: B905  (as many as there are items)
