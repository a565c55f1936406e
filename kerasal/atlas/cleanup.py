"""What no page leads to any more goes: somebody may publish the folder, and would not know that it is there."""

import itertools
import pathlib
import shutil
from collections.abc import Collection

from kerasal.atlas.atlas_plan import Scope
from kerasal.atlas.atlas_store import Store
from kerasal.atlas.maximized import shipped
from kerasal.digests import digest_files
from kerasal.store import read_json

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
    started = {file.stem for file in (*scope.files, *shipped())}
    for record in (store.folder / "data" / "classes.json", *store.folder.glob("data/layers/*.json")):
        for entry in read_json(record).get("entries", {}).values():
            if entry.get("photograph") not in {None, *started}:  # there are traces of it in the picture
                (store.folder / entry["picture"]["path"]).unlink(missing_ok=True)


def _forget(store: Store, record: pathlib.Path, kind: str) -> None:
    shutil.rmtree(store.folder / "pictures" / kind / record.stem, ignore_errors=True)
    record.unlink()


def remove_other_pages(store: Store, written: Collection[str]) -> None:
    """Remove pages that are not among those that were written, by their paths; only where no others would lie."""
    for path in itertools.chain.from_iterable((store.folder / part).rglob("*.html") for part in _PAGES):
        if path.relative_to(store.folder).as_posix() not in written:
            path.unlink()
