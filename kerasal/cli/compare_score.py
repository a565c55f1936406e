"""``kerasal compare --score FOLDER``: attribution methods in the order of their metrics, as a page or an image."""

from pathlib import Path
from typing import Any

from typer import BadParameter

from kerasal.cli import options
from kerasal.cli.json_output import record
from kerasal.cli.model_argument import Load
from kerasal.cli.session import load_tensorflow, remark, results, say
from kerasal.names import count_noun, group_skipped


def score_methods(
    load: Load,
    folder: Path,
    output: Path,
    class_: str | None,
    methods: str | list[str],
    settings: dict[str, Any],
    *,
    dpi: int | None,
) -> None:
    """Rank the methods on the photos of a folder, write the page and print the order.

    ``settings`` are the values of --metric, --limit, --suggest, --seed, and whether to show progress.
    """
    if settings["limit"] < 1:
        raise BadParameter(f"--limit must be a positive integer, got {settings['limit']}.")
    if not 0 <= settings["seed"] < 2**32:
        raise BadParameter(f"--seed must be an integer in 0..{2**32 - 1}, got {settings['seed']}.")
    from kerasal import images

    files = images.find_files([folder])
    options.refuse_inputs([output], read=files, folders=False)
    chosen = _draw(files, settings["limit"], settings["seed"])
    if len(chosen) < len(files):
        remark(f"{len(chosen)} of {len(files)} photos, drawn with seed {settings['seed']}. --limit takes more.")
    model = load()
    load_tensorflow()
    from kerasal.attribution.ranking import RANK_METRICS, rank
    from kerasal.files import atomic_write

    inputs = model.inputs(chosen)
    target = None if class_ is None else options.find_class(class_, model)
    ranking = rank(
        model.keras_model,
        inputs,
        target,
        methods=methods,
        metrics=settings["metrics"] or RANK_METRICS,
        suggest_options=settings["suggest"],
        seed=settings["seed"],
        resume_beside=output,
        progress=settings["progress"],
    )
    for note in ranking.notes:
        remark(note)
    for names, reason in group_skipped(ranking.left_out):
        remark(f"{names}: skipped. {reason}")
    explained = "each photo's top class" if target is None else f"the class {model.label(target)!r}"
    title = f"Which maps of {model.name} can be trusted?"
    facts = [f"{count_noun(len(inputs), 'photo')} of the folder {folder.name}; {explained} is explained"]
    if output.suffix.lower() == ".html":
        with atomic_write(output) as temporary:
            temporary.write_text(ranking.html(title, facts=facts), encoding="utf-8")
    else:
        images.write(output, ranking.sheet(title, facts=facts), dpi=dpi)
    _print_order(ranking)
    record(
        photos=chosen,
        order=ranking.order.reset_index().to_dict("records"),
        conclusions=ranking.conclusions,
        suggestions=ranking.suggestions.to_dict("records"),
        skipped=[{"method": method, "reason": reason} for method, reason in ranking.left_out],
        output=output,
    )
    say(f"{output}  {count_noun(len(ranking.methods), 'method')}")


def _draw(files: list[Path], limit: int, seed: int) -> list[Path]:
    """Return at most ``limit`` files in their order, drawn at random if there are more."""
    if len(files) <= limit:
        return files
    import numpy as np

    return [files[number] for number in sorted(np.random.default_rng(seed).permutation(len(files))[:limit])]


def _print_order(ranking) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table("method", "mean rank [95 % interval]", "against a random map", "seconds per image", box=None)
    for name, row in ranking.order.iterrows():
        interval = f"{row['mean_rank']:.1f} [{row['low']:.1f}, {row['high']:.1f}]"
        seconds = f"{row['seconds']:.2g}" if name in ranking.evaluations else ""
        table.add_row(str(name), escape(interval), row["against_random"], seconds)
    results().print(table)
    for sentence in ranking.conclusions:
        say(sentence)
    for row in ranking.suggestions[ranking.suggestions["holds"]].itertuples():
        share = f"{100 * row.share:.0f} % of the other half"
        say(f"Suggested: {row.method} with {row.option}={row.value}, better on {share}.")
