"""Texts about names: errors for unknown names, warnings for renamed ones, abbreviated lists, and KEY=VALUE options."""

import ast
import functools
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

_Arguments = ParamSpec("_Arguments")
_Returned = TypeVar("_Returned")


def unknown_name_message(
    name: str, known: Iterable[str], what: str, where: str = "", *, count: int | None = None
) -> str:
    """Return the error message for an unknown ``name``, with the known names that are like it, or all if they are few.

    ``count`` is how many there are if some have several names; by default the number of names.

    Names that contain ``name`` as a word come first: for ``"cat"`` the message proposes ``"tabby cat"``. Others must
    differ by few letters for their length. The last part of a path counts too: ``"convl"`` finds ``"encoder/conv1"``.
    """
    known = sorted(known)
    near = similar_names(str(name), known)
    if near:
        hint = f"Did you mean {abbreviate(near, 6)}?"
    elif len(known) > 30:
        hint = f"There are {len(known) if count is None else count}, from {known[0]} to {known[-1]}."
    else:
        hint = f"There is {', '.join(known)}." if known else "There is none."
    return f"Unknown {what} {name!r}{where}. {hint}"


def similar_names(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names that contain ``name`` as a word, or start or end with it, or have a similar spelling."""
    wanted = _plain(name)
    if not wanted:
        return []
    words, few = wanted.split(), max(1, len(wanted) // 4)  # letters that may differ
    containing, parts, near = [], [], []
    for candidate in known:
        text = _plain(candidate)
        last = _plain(candidate.rpartition("/")[2])
        if f" {wanted} " in f" {text} ":
            containing.append((text.split()[-len(words) :] != words, len(text), candidate))  # a tiger cat is a cat
        elif len(wanted) >= 3 and any(
            word.startswith(wanted) or word.endswith(wanted) for word in (text, *text.split())
        ):
            parts.append((not text.endswith(wanted), len(text), candidate))
        elif len(wanted) >= 4 and wanted[0] in text[:2] + last[:2]:  # a kitten is not a misspelled mitten
            distance = min(_edit_distance(wanted, known_text, few) for known_text in (text, last))
            near += [(distance, len(text), candidate)] if distance <= few else []
    found = [candidate for *_, candidate in sorted(containing)]
    if len(found) < 3:
        found += [candidate for *_, candidate in sorted(parts)]
    return found or [candidate for *_, candidate in sorted(near)][:5]


def _plain(name: str) -> str:
    """Return a name in lower case, with spaces for underscores and hyphens."""
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


def _edit_distance(first: str, second: str, most: int) -> int:
    """Return how many letters to insert, delete, replace or swap with their neighbor; ``most + 1`` if too many."""
    if abs(len(first) - len(second)) > most:
        return most + 1
    before, previous = [], list(range(len(second) + 1))
    for i, letter in enumerate(first, 1):
        row = [i]
        for j, other in enumerate(second, 1):
            row.append(min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (letter != other)))
            if i > 1 and j > 1 and letter == second[j - 2] and first[i - 2] == other:
                row[j] = min(row[j], before[j - 2] + 1)
        if min(row) > most:
            return most + 1
        before, previous = previous, row
    return previous[-1]


def read_key_values(texts: Iterable[str] | None, what: str, example: str) -> dict[str, Any]:
    """Return KEY=VALUE texts as a dictionary; a value is a number, True, None, a tuple, or else a text.

    Args:
        texts: the texts.
        what: subject of the error message.
        example: a valid text, for the error message.

    Raises:
        ValueError: a text is not KEY=VALUE.
    """
    values = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals or not key.isidentifier():
            raise ValueError(f"{what} must be KEY=VALUE, such as {example}, got {text!r}.")
        try:
            values[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            values[key] = value
    return values


def as_text(name: str) -> str:
    """Return a file name that can be written as UTF-8: undecodable bytes become backslash escapes."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def renamed_attribute(module: str, name: str, renamed: Mapping[str, str]) -> Any:
    """Return a module's attribute from its old name, with a DeprecationWarning; for the module's ``__getattr__``.

    Args:
        module: the module's name.
        name: the attribute's old name.
        renamed: the old names, each with the new one.

    Raises:
        AttributeError: ``name`` is not an old name.
    """
    if name not in renamed:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    short = module.removeprefix("kerasal.")
    warnings.warn(f"{short}.{name} is called {short}.{renamed[name]} now.", DeprecationWarning, stacklevel=3)
    return getattr(sys.modules[module], renamed[name])


def renamed_arguments(
    **old_to_new: str,
) -> Callable[[Callable[_Arguments, _Returned]], Callable[_Arguments, _Returned]]:
    """Return a decorator for functions that also accept keyword arguments by old names, with a DeprecationWarning.

    Args:
        **old_to_new: the old names, each with the new one.

    The decorated function raises a ``TypeError`` for an argument that is passed by both names.
    """

    def decorate(function: Callable[_Arguments, _Returned]) -> Callable[_Arguments, _Returned]:
        package = function.__module__.removeprefix("kerasal.").partition(".")[0]
        full_name = f"{package}.{function.__qualname__}"

        @functools.wraps(function)
        def wrapper(*args: Any, **arguments: Any) -> _Returned:
            for old in old_to_new.keys() & arguments.keys():
                new = old_to_new[old]
                if new in arguments:
                    raise TypeError(f"{full_name} takes {new} or its old name {old}, got both. Use {new}.")
                message = f"The argument {old} of {full_name} is called {new} now."
                warnings.warn(message, DeprecationWarning, stacklevel=2)
                arguments[new] = arguments.pop(old)
            return function(*args, **arguments)

        return wrapper

    return decorate


class RenamedAttribute:
    """The old name of an attribute or method of a class; access returns the new one, with a DeprecationWarning."""

    def __init__(self, new: str):
        self.new = new

    def __set_name__(self, owner: type, name: str) -> None:
        self.message = f"{owner.__name__}.{name} is called {owner.__name__}.{self.new} now."

    def __get__(self, instance: Any, owner: type) -> Any:
        warnings.warn(self.message, DeprecationWarning, stacklevel=2)
        return getattr(owner if instance is None else instance, self.new)


def abbreviate(names: Iterable[object], most: int = 8) -> str:
    """Return the first names, separated by commas, and the number of the others."""
    listed = list(map(str, names))
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")


def count_noun(count: int, noun: str) -> str:
    """Return a number with a regular noun: "1 image" or "1,200 images"."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def group_skipped(skipped: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return (names, reason) for each reason of (name, reason) pairs, with the names in one text."""
    reasons: dict[str, list[str]] = {}
    for name, reason in skipped:
        reasons.setdefault(reason, []).append(name)
    return [(", ".join(names), reason) for reason, names in reasons.items()]


def describe_skipped(skipped: Sequence[tuple[str, str]]) -> str:
    """Return a sentence with the number of unreadable files, and the first ones with their reasons."""
    if not skipped:
        return ""
    listed = "; ".join(f"{name} ({reason})" if reason else name for name, reason in skipped[:5])
    more = f"; and {len(skipped) - 5} more" if len(skipped) > 5 else ""
    return f"{len(skipped)} file{'s' * (len(skipped) != 1)} could not be read: {listed}{more}."
