"""The template engine of all HTML pages: those of an atlas, of a comparison of methods and of a report.

It is one function, so that no page can forget to escape what it shows: names of files, layers and classes are not
trusted.
"""

from collections.abc import Callable, Mapping

import jinja2


def make_environment(loader: jinja2.BaseLoader, filters: Mapping[str, Callable]) -> jinja2.Environment:
    """Return an engine that escapes all values, and raises an error for a value that is missing."""
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= filters
    return environment
