"""The blocks of a page: its fenced Python and shell code, and what an HTML comment before one says that it needs."""

import dataclasses
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "pages"
EXAMPLES = ROOT / "docs" / "examples"
README = ROOT / "README.md"
WRITTEN = [README, *sorted(PAGES.glob("*.md"))]


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, below which heading, in which language, its code, and what it ``needs``.

    ``example`` is the file that the page shows there, if it shows one.
    """

    path: pathlib.Path
    line: int
    section: str
    language: str
    code: str
    needs: tuple[str, ...]
    example: pathlib.Path | None = None

    def __str__(self):
        return f"{self.path.name}:{self.line}"


def read(path: pathlib.Path) -> list[Block]:
    """Return the blocks of a page in order; included files are as in the built page."""
    found, needs, section, start = [], (), "", None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fence = re.match(r"```[\s{.]*(\w*)", line)
        if fence and start is None:
            start, language, code = number, fence[1], []
        elif fence:
            found.append(Block(path, start, section, language, "\n".join(code), needs, _shown(code)))
            start, needs = None, ()
        elif start is not None:
            code.append(line)
        elif comment := re.match(r"<!-- needs: (.+?) -->", line):
            needs = tuple(part.strip() for part in comment[1].split(";"))
        elif heading := re.match(r"## (.+)", line):
            section = heading[1]
    return found


def _shown(code: list[str]) -> pathlib.Path | None:
    include = re.fullmatch(r'--8<-- "(.+)"', code[0]) if len(code) == 1 else None
    return ROOT / "docs" / include[1] if include else None
