"""Generate the table on the page of metrics from ``kerasal.metrics``, so that both agree."""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

MARK = "<!-- generated: metrics -->"
_PRESETS = {"mit": "MIT", "tuebingen": "Tübingen", "salicon": "SALICON"}
_NEEDS = {
    "fixations": "fixations",
    "density": "a density",
    "others": "fixations of other images",
    "baseline": "a baseline",
}


def on_page_markdown(markdown, page, config, files):
    """Replace the mark with the table."""
    return markdown.replace(MARK, table()) if MARK in markdown else markdown


def table():
    """Return a table with one row per metric: definition, inputs, range, chance level, direction and presets."""
    from kerasal.metrics.definitions import METRICS, PRESETS

    facts = ranges()
    lines = [
        "| metric | exact definition (the default) | needs | range | chance | better | presets |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, metric in METRICS.items():
        limits, chance = facts[name.removesuffix("_exact")]
        better = "lower" if name in ("kld", "emd") else "higher"
        users = [_PRESETS[preset] for preset, columns in PRESETS.items() if any(m == name for m, _ in columns.values())]
        needs = " and ".join(_NEEDS[need] for need in metric.needs)
        cells = (f"`{name}`", metric.definition.replace("2**-52", "2<sup>-52</sup>"), needs, limits, chance, better)
        lines.append(f"| {' | '.join(cells)} | {', '.join(users) or '–'} |")
    return "\n".join(lines) + "\n\n" + _presets(METRICS, PRESETS)


def ranges():
    """Return name -> (range, chance level) from the table in the docstring of ``kerasal.metrics``."""
    import kerasal.metrics

    rows = re.findall(r"^(\w+) +(?:fixations|density) +(\S+) +(\S+) ", kerasal.metrics.__doc__, re.MULTILINE)
    return {name: (_open(limits), chance.replace("--", "–")) for name, limits, chance in rows}


def _open(limits):
    """Return a range as text; one without an upper limit in words."""
    low = re.fullmatch(r"(\S+)\.\.(inf)?", limits)
    return f"at least {low[1]}" if low else limits


def _presets(metrics, presets):
    lines = [
        "## The presets",
        "",
        "| preset | columns, with options that differ from the default |",
        "|---|---|",
    ]
    for name, columns in presets.items():
        parts = []
        for column, (metric, options) in columns.items():
            changed = ", ".join(f"{key}={value!r}" for key, value in options.items())
            parts.append(f"`{column}`" + (f" ({changed})" if changed else ""))
            if metric not in metrics:
                raise ValueError(f"The presets must consist of metrics, got {metric} in {name}.")
        lines.append(f"| `{name}` | {', '.join(parts)} |")
    return "\n".join(lines)
