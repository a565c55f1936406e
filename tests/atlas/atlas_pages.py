"""Pages read back: what they link to, which anchors they have, and their text."""

import html.parser
import pathlib
import urllib.parse

VOID = {"img", "link", "meta", "input", "br"}


class Page(html.parser.HTMLParser):
    """One page, parsed."""

    def __init__(self, path: pathlib.Path):
        super().__init__()
        self.path = path
        self.links: list[str] = []
        self.ids: list[str] = []
        self.images: list[dict] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.add(tag)
        self.attributes |= set(found)
        self.links += [found[name] for name in ("href", "src") if name in found]
        self.ids += [found["id"]] if "id" in found else []
        if tag == "img":
            self.images.append(found)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        self.text += data

    def targets(self):
        """Yield (link, the file that it leads to, its fragment) of every link."""
        for link in self.links:
            place, _, fragment = link.partition("#")
            file = (self.path.parent / urllib.parse.unquote(place)).resolve() if place else self.path
            yield link, file, fragment


def pages(folder: pathlib.Path) -> list[Page]:
    """Read every page of a site."""
    return [Page(path) for path in sorted(folder.rglob("*.html"))]


def check_links(folder: pathlib.Path) -> int:
    """Follow every link of every page, anchors included; return how many there are."""
    found = {page.path.resolve(): page for page in pages(folder)}
    count = 0
    for page in found.values():
        for link, file, fragment in page.targets():
            if link == "data:,":
                continue
            assert not link.startswith(("http:", "https:", "//", "/", "file:", "javascript:")), (page.path, link)
            assert file.is_file(), f"{page.path}: {link}"
            assert file.is_relative_to(folder.resolve()), f"{page.path}: {link}"
            assert not fragment or fragment in found[file.resolve()].ids, f"{page.path}: {link}"
            count += 1
    return count
