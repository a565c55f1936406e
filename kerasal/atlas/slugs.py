"""File names for things whose names are not ours: ``"block/a:0" -> "block-a-0-5c1b8f02"``."""

import pathlib
import re
import zlib
from collections.abc import Iterable, Sequence

# Page names of our own, and names that Windows keeps for devices.
_TAKEN = {"index", "con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
_LONGEST = 60


def slug(name: str) -> str:
    """Return a file name, without suffix, that is safe everywhere and differs wherever ``name`` does.

    A plain name stays as it is; any other gets a checksum, so that ``a/b`` and ``a:b``, or ``A`` and ``a`` on a disk
    that takes them for one, stay apart.
    """
    plain = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-.")[:_LONGEST]
    if plain and plain == name and plain not in _TAKEN:
        return plain
    return f"{plain}-{zlib.crc32(name.encode('utf-8', 'surrogateescape')):08x}".lstrip("-")


def told_apart(files: Sequence[pathlib.Path]) -> list[str]:
    """Return what to call each file: its name without suffix, or as much of its path as tells it from the others."""
    names = [file.stem for file in files]
    for longer in (lambda file: file.name, lambda file: f"{file.parent.name}/{file.name}", str):
        names = [one if names.count(one) == 1 else longer(file) for one, file in zip(names, files, strict=True)]
    return names


def slugs(names: Iterable[str], short: Iterable[str]) -> list[str]:
    """Return a slug for each name: that of its ``short`` form where no other has it, or that of the whole."""
    names, wanted = list(names), [slug(one) for one in short]
    return [one if wanted.count(one) == 1 else slug(name) for name, one in zip(names, wanted, strict=True)]
