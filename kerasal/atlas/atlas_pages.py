"""The HTML pages of an atlas, written from the results in its store. They can be read without JavaScript."""

import functools
import itertools
import pathlib
import shutil
import time
from collections.abc import Iterator, Sequence

import jinja2

from kerasal._version import __version__
from kerasal.atlas import captions
from kerasal.atlas.anatomy import ROW, draw_connections
from kerasal.atlas.atlas_plan import Scope
from kerasal.atlas.atlas_store import Store
from kerasal.atlas.contents import Contents, Count, count_results
from kerasal.atlas.maximized import is_rescaled, list_package_photos
from kerasal.digests import digest_files
from kerasal.files import write_text
from kerasal.models.image_model import ImageModel
from kerasal.page_templates import make_environment
from kerasal.store import read_json

# Folders that contain only pages. Pages without links to them are removed, so that nobody publishes them unknowingly.
_PAGE_FOLDERS = ("classes", "layers", "units", "images")


def remove_stale_images(store: Store, scope: Scope) -> None:
    """Remove the results of images that have changed or are no longer in the scope; without images, remove nothing."""
    if not scope.files:
        return
    files = {str(file) for file in scope.files}
    for kind in ("images", "gaze"):
        for record in store.folder.glob(f"data/{kind}/*.json"):
            contents = read_json(record)
            file = contents.get("entries", {}).get("image", {}).get("file", "")
            if file not in files or contents["settings"].get("stamp") != digest_files([file]):
                _remove_record(store, record, "images")
    stamp = digest_files(scope.files)
    for record in store.folder.glob("data/exemplars/*.json"):
        if read_json(record).get("settings", {}).get("images") != stamp:
            _remove_record(store, record, "exemplars")
    record = store.folder / "data" / "class-exemplars.json"
    if record.is_file() and read_json(record).get("settings", {}).get("images") != stamp:
        _remove_record(store, record, ".")
    names = {file.stem for file in (*scope.files, *list_package_photos())}
    for record in (store.folder / "data" / "classes.json", *store.folder.glob("data/layers/*.json")):
        for entry in read_json(record).get("entries", {}).values():
            if entry.get("photograph") not in {None, *names}:  # traces of the photo are visible in the picture
                (store.folder / entry["picture"]["path"]).unlink(missing_ok=True)


def _remove_record(store: Store, record: pathlib.Path, kind: str) -> None:
    shutil.rmtree(store.folder / "pictures" / kind / record.stem, ignore_errors=True)
    record.unlink()


_TEMPLATES = pathlib.Path(__file__).parent / "templates"
_ASSETS = ("atlas.css", "atlas.js")
# While pieces are computed, writing pages takes at most this share of the time, and happens after this many seconds.
_TIME_SHARE, _INTERVAL = 0.05, 30.0


class Pages:
    """The pages of an atlas.

    Attributes:
        tally: the counts of results when the pages were last written.
    """

    def __init__(self, model: ImageModel, store: Store, scope: Scope, note: str = "", command: str = ""):
        self.model, self.store, self.scope, self.note, self.command = model, store, scope, note, command
        self.tally: list[Count] = []
        self._next_time = 0.0

    def write(self, left: int, failed: Sequence[tuple[str, str]] = ()) -> int:
        """Write all pages, remove outdated ones, and return the number of pages.

        Args:
            left: the number of pieces without a result, those that failed included.
            failed: (title, reason) of the pieces that failed.
        """
        started = time.monotonic()
        contents = Contents(self.model, self.store, self.scope)
        self.tally = count_results(contents)
        shared = {"contents": contents, "model": self.model, "scope": self.scope, "left": left, "counts": self.tally}
        shared |= {"failed": failed, "note": self.note, "version": __version__, "command": self.command}
        shared["rescaled"] = captions.RESCALED if is_rescaled(self.model) else ""
        for name in _ASSETS:
            write_text(self.store.folder / "assets" / name, (_TEMPLATES / name).read_text(encoding="utf-8"))
        written = set()
        for path, template, values in _list_pages(contents):
            page = _make_environment().get_template(template)
            write_text(self.store.folder / path, page.render(**shared, root="../" * path.count("/"), **values))
            written.add(path)
        for page in itertools.chain.from_iterable((self.store.folder / part).rglob("*.html") for part in _PAGE_FOLDERS):
            if page.relative_to(self.store.folder).as_posix() not in written:
                page.unlink()
        ended = time.monotonic()
        self._next_time = ended + max(_INTERVAL, (ended - started) / _TIME_SHARE)
        return len(written)

    def write_if_due(self, left: int, failed: Sequence[tuple[str, str]]) -> None:
        """Write the pages if enough time has passed, so that they can be read during the build."""
        if time.monotonic() > self._next_time:
            self.write(left, failed)


@functools.cache
def _make_environment() -> jinja2.Environment:
    filters = {"number": captions.format_number, "count": captions.format_count, "size": captions.format_size}
    environment = make_environment(jinja2.FileSystemLoader(_TEMPLATES), filters)
    environment.globals |= {"captions": captions}
    return environment


def _list_pages(contents: Contents) -> Iterator[tuple[str, str, dict]]:
    """Yield the path, the template and the values of each page."""
    layers = contents.scope.layers
    yield "index.html", "index.html", {"connections": draw_connections(layers), "row": ROW}
    if contents.classes:
        yield "classes/index.html", "classes.html", {}
        for before, unit, after in _neighbors(contents.classes):
            values = {"before": before, "after": after, "unit": unit, "layer": None}
            yield f"classes/{unit.index}.html", "unit.html", values
    for before, layer, after in _neighbors(layers):
        yield f"layers/{layer.slug}.html", "layer.html", {"layer": layer, "before": before, "after": after}
        for left, unit, right in _neighbors(contents.units[layer.slug]):
            values = {"before": left, "after": right, "unit": unit, "layer": layer}
            yield f"units/{layer.slug}/{unit.index}.html", "unit.html", values
    if contents.images:
        yield "images/index.html", "images.html", {}
    ready = [image for image in contents.images if image.ready]
    for before, image, after in _neighbors(ready):
        template = "gaze_image.html" if contents.model.task == "gaze" else "image.html"
        yield f"images/{image.slug}.html", template, {"before": before, "after": after, "image": image}
    if contents.model.task == "gaze":
        yield "gaze.html", "gaze.html", {"ready": ready}


def _neighbors(items) -> Iterator[tuple]:
    """Yield (previous item or None, item, next item or None) for each item."""
    items = list(items)
    yield from zip([None, *items], items, [*items[1:], None])  # noqa: B905  (the first list is longer by one item)
