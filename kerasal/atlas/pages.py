"""The pages: written from what has been made so far, with plain HTML that a browser without JavaScript can read."""

import functools
import pathlib
import time
from collections.abc import Iterator

import jinja2

from kerasal._version import __version__
from kerasal.atlas import wording
from kerasal.atlas.column import ROW, wires
from kerasal.atlas.contents import Contents
from kerasal.atlas.plan import Scope
from kerasal.atlas.recipes import is_small
from kerasal.atlas.store import Store
from kerasal.atlas.subject import Subject

_TEMPLATES = pathlib.Path(__file__).parent / "templates"
_ASSETS = ("atlas.css", "atlas.js")
_written: dict[pathlib.Path, float] = {}


def write(subject: Subject, store: Store, scope: Scope, *, left: int) -> int:
    """Write all pages, and return how many; ``left`` is how many pieces are still to be made."""
    contents = Contents(subject, store, scope)
    count = 0
    for name in _ASSETS:
        store.write_text(f"assets/{name}", (_TEMPLATES / name).read_text(encoding="utf-8"))
    for path, template, values in _all(contents):
        root = "../" * path.count("/")
        shared = {"contents": contents, "subject": subject, "scope": scope, "left": left, "root": root}
        shared["stretched"] = wording.STRETCHED if is_small(subject.intake.shape) else ""
        store.write_text(path, _environment().get_template(template).render(**shared, version=__version__, **values))
        count += 1
    _written[store.folder] = time.monotonic()
    return count


def write_now_and_then(subject: Subject, store: Store, scope: Scope, seconds: float, *, left: int) -> None:
    """Write the pages if that is ``seconds`` ago, so that what has been made can be looked at meanwhile."""
    if time.monotonic() - _written.get(store.folder, 0.0) > seconds:
        write(subject, store, scope, left=left)


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
    found.filters |= {"number": wording.number, "count": wording.count, "size": wording.size}
    found.globals |= {"wording": wording}
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
        template = "gaze_image.html" if contents.subject.task == "gaze" else "image.html"
        yield f"images/{shown.slug}.html", template, {**_around(before, after), "shown": shown}
    if contents.subject.task == "gaze":
        yield "gaze.html", "gaze.html", {"ready": ready}


def _around(before, after) -> dict:
    return {"before": before, "after": after}


def _neighbours(items) -> Iterator[tuple]:
    """Yield each item between the one before and the one after it, or None."""
    items = list(items)
    yield from zip([None, *items], items, [*items[1:], None])  # noqa: B905  (as many as there are items)
