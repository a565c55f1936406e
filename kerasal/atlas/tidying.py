"""What no page leads to any more goes: somebody may publish the folder, and would not know that it is there."""

import itertools
import json
import shutil
from collections.abc import Collection

from kerasal.atlas.explaining import stamp_of
from kerasal.atlas.plan import Scope
from kerasal.atlas.store import Store

_PAGES = ("classes", "layers", "units", "images")


def forget_other_images(store: Store, scope: Scope) -> None:
    """Remove what was made of images that are not given any more; with none given, nothing."""
    if not scope.files:
        return
    slugs = {slug for _, slug in scope.pages}
    for record in [*store.folder.glob("data/images/*.json"), *store.folder.glob("data/gaze/*.json")]:
        if record.stem not in slugs:
            shutil.rmtree(store.folder / "pictures" / "images" / record.stem, ignore_errors=True)
            record.unlink()
    stamp = stamp_of(list(scope.files))
    for record in store.folder.glob("data/exemplars/*.json"):
        if json.loads(record.read_text(encoding="utf-8"))["settings"].get("images") != stamp:
            shutil.rmtree(store.folder / "pictures" / "exemplars" / record.stem, ignore_errors=True)
            record.unlink()


def remove_other_pages(store: Store, written: Collection[str]) -> None:
    """Remove pages that are not among those that were written, by their paths; only where no others would lie."""
    for path in itertools.chain.from_iterable((store.folder / part).rglob("*.html") for part in _PAGES):
        if path.relative_to(store.folder).as_posix() not in written:
            path.unlink()
