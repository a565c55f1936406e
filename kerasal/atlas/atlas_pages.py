"""The pages: written from what has been made so far, in plain HTML that needs no JavaScript; old ones are removed."""

import functools
import itertools
import pathlib
import shutil
import time
from collections.abc import Iterator, Sequence

import jinja2

from kerasal._version import __version__
from kerasal.atlas import captions
from kerasal.atlas.anatomy import ROW, draw_wires
from kerasal.atlas.atlas_plan import Scope
from kerasal.atlas.atlas_store import Store
from kerasal.atlas.contents import Contents, Row, count_made
from kerasal.atlas.maximized import is_small, list_shipped
from kerasal.digests import digest_files
from kerasal.files import write_text
from kerasal.models.image_model import ImageModel
from kerasal.store import read_json

# Folders in which no others lie. A page to which none leads any more goes: somebody may publish the folder, and would
# not know that it is there.
_PAGES = ("classes", "layers", "units", "images")


def forget_other_images(store: Store, scope: Scope) -> None:
    """Remove what was made of images that are not given any more, or have changed; with none given, nothing."""
    if not scope.files:
        return
    given = {str(file) for file in scope.files}
    for kind in ("images", "gaze"):
        for record in store.folder.glob(f"data/{kind}/*.json"):
            known = read_json(record)
            file = known.get("entries", {}).get("image", {}).get("file", "")
            if file not in given or known["settings"].get("stamp") != digest_files([file]):
                _forget(store, record, "images")
    stamp = digest_files(scope.files)
    for record in store.folder.glob("data/exemplars/*.json"):
        if read_json(record).get("settings", {}).get("images") != stamp:
            _forget(store, record, "exemplars")
    started = {file.stem for file in (*scope.files, *list_shipped())}
    for record in (store.folder / "data" / "classes.json", *store.folder.glob("data/layers/*.json")):
        for entry in read_json(record).get("entries", {}).values():
            if entry.get("photograph") not in {None, *started}:  # there are traces of it in the picture
                (store.folder / entry["picture"]["path"]).unlink(missing_ok=True)


def _forget(store: Store, record: pathlib.Path, kind: str) -> None:
    shutil.rmtree(store.folder / "pictures" / kind / record.stem, ignore_errors=True)
    record.unlink()


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
        self.tally = count_made(contents)
        shared = {"contents": contents, "model": self.model, "scope": self.scope, "left": left, "tally": self.tally}
        shared |= {"failed": failed, "note": self.note, "version": __version__, "command": self.command}
        shared["stretched"] = captions.STRETCHED if is_small(self.model.input_shape()) else ""
        for name in _ASSETS:
            write_text(self.store.folder / "assets" / name, (_TEMPLATES / name).read_text(encoding="utf-8"))
        written = set()
        for path, template, values in _list_pages(contents):
            page = _environment().get_template(template)
            write_text(self.store.folder / path, page.render(**shared, root="../" * path.count("/"), **values))
            written.add(path)
        for page in itertools.chain.from_iterable((self.store.folder / part).rglob("*.html") for part in _PAGES):
            if page.relative_to(self.store.folder).as_posix() not in written:
                page.unlink()
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


def _list_pages(contents: Contents) -> Iterator[tuple[str, str, dict]]:
    """Yield path, template and values of every page."""
    layers = contents.scope.layers
    yield "index.html", "index.html", {"wires": draw_wires(layers), "row": ROW}
    if contents.classes:
        yield "classes/index.html", "classes.html", {}
        for before, unit, after in _neighbors(contents.classes):
            values = {"before": before, "after": after, "unit": unit, "layer": None}
            yield f"classes/{unit.number}.html", "unit.html", values
    for before, layer, after in _neighbors(layers):
        yield f"layers/{layer.slug}.html", "layer.html", {"layer": layer, "before": before, "after": after}
        for left, unit, right in _neighbors(contents.units[layer.slug]):
            values = {"before": left, "after": right, "unit": unit, "layer": layer}
            yield f"units/{layer.slug}/{unit.number}.html", "unit.html", values
    if contents.images:
        yield "images/index.html", "images.html", {}
    ready = [one for one in contents.images if one.ready]
    for before, shown, after in _neighbors(ready):
        template = "gaze_image.html" if contents.model.task == "gaze" else "image.html"
        yield f"images/{shown.slug}.html", template, {"before": before, "after": after, "shown": shown}
    if contents.model.task == "gaze":
        yield "gaze.html", "gaze.html", {"ready": ready}


def _neighbors(items) -> Iterator[tuple]:
    """Yield each item between the one before and the one after it, or None."""
    items = list(items)
    yield from zip([None, *items], items, [*items[1:], None])  # noqa: B905  (as many as there are items)
