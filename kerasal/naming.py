"""Help with names that do not exist: list the closest ones."""

import difflib
from collections.abc import Iterable


def closest(name: str, known: Iterable[str], what: str, where: str = "") -> str:
    """Return the error sentence for an unknown ``name``: what was received, the closest names, or all when few."""
    known = sorted(known)
    lowered = {candidate.lower(): candidate for candidate in known}
    near = [lowered[match] for match in difflib.get_close_matches(str(name).lower(), lowered, n=5, cutoff=0.5)]
    near += [k for k in known if str(name) and str(name).lower() in k.lower() and k not in near][: 5 - len(near)]
    if near:
        hint = f"Did you mean {', '.join(near)}?"
    elif len(known) > 30:
        hint = f"There are {len(known)}, from {known[0]} to {known[-1]}."
    else:
        hint = f"There is {', '.join(known)}." if known else "There is none."
    return f"Unknown {what} {name!r}{where}. {hint}"
