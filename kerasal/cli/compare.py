"""``kerasal compare``: the maps of several methods for a photo, or their order by metrics on a folder of photos."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from kerasal.cli import compare_score, completion, options
from kerasal.cli.json_output import record, with_json
from kerasal.cli.model_argument import Load, print_top_classes, with_model
from kerasal.cli.session import remark, say
from kerasal.cli.target_options import Target
from kerasal.names import count_noun, group_skipped


@with_json
@with_model("preprocessing", "labels", "weights", "fit")
@options.with_options("drawing", options.drawing_options("strength", "dpi"))
@options.with_options("question", Target, Target)
def compare(
    load: Load,
    drawing: dict,
    question: Target,
    image: Annotated[
        Path | None,
        Argument(help="A photo: JPEG, PNG, WebP, TIFF, … It is left out with --score.", show_default=False),
    ] = None,
    output: Annotated[Path, options.Output(help="The page (.html) or picture (.png, .jpg, .webp) to write.")] = Path(
        "comparison.html"
    ),
    class_: options.Class = None,
    method: Annotated[
        list[str] | None,
        Option(
            help="A method to show; may be repeated. With --score, methods of hundreds of passes per photo "
            "are scored only if they are named, or with --all.",
            autocompletion=completion.methods,
        ),
    ] = None,
    all_: Annotated[bool, Option("--all", help="Show all methods, not only one or two of each kind.")] = False,
    score: Annotated[
        Path | None,
        Option(
            help="Order the methods by metrics on the photos of this folder, beside a random map; the page has the "
            "order with intervals, what does not beat a random map, and suggested options."
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        Option(
            help="With --score: a metric; may be repeated. Default: deletion, insertion, mu_fidelity and random_logit."
        ),
    ] = None,
    limit: Annotated[int, Option(help="With --score: number of photos; of more, as many are drawn at random.")] = 20,
    suggest: Annotated[
        bool, Option("--suggest/--no-suggest", help="With --score: try other layers, noise and steps.")
    ] = True,
    seed: Annotated[int, Option(help="With --score: seed of all random choices.")] = 0,
    model_output: options.ModelOutput = None,
    quiet: options.Quiet = False,
) -> None:
    """Show the maps of several attribution methods for one photo, or order the methods on a folder (--score)."""
    if method and all_:
        raise typer.BadParameter("--all and --method exclude each other. Choose one.")
    if image is not None and score is not None:
        raise typer.BadParameter("IMAGE and --score exclude each other. Choose one.")
    options.check_output(output, (".html", *options.PICTURES))
    question.check([class_] if class_ else [], None, None)
    methods = method or ("all" if all_ else "chosen")
    if score is not None:
        if question.kind:
            raise typer.BadParameter(f"--score explains classes, and {question.kind} can be used with a photo only.")
        settings = {"metrics": metric, "limit": limit, "suggest": suggest, "seed": seed, "progress": not quiet}
        settings["output"] = model_output
        compare_score.score_methods(load, score, output, class_, methods, settings, dpi=drawing["dpi"])
        return
    if image is None:
        raise typer.BadParameter("Pass a photo, to see the maps, or --score FOLDER, to order the methods.")
    for flag, value in (("--metric", metric), ("--model-output", model_output)):
        if value:
            raise typer.BadParameter(f"{flag} can only be used with --score.")
    from kerasal import images
    from kerasal.files import atomic_write

    photo = images.read(image)
    model = load()
    shown, larger = model.show(photo), model.show(photo, scale=options.FRAME)
    target = None if class_ is None else options.find_class(class_, model)
    from kerasal import attribution
    from kerasal.models.examples import read_examples

    if question.kind:
        (example,) = read_examples(model, photo)
        classes = [] if target is None else [target]
        (target,) = question.objectives(model, classes, output=None, logits=True)(example)
    top = print_top_classes(model, shown[1])
    name = (top[0]["class"] if top else "the output") if target is None else str(target)
    if isinstance(target, int):
        name = model.label(target)
    comparison = attribution.compare_methods(
        model.keras_model,
        shown,
        target,
        methods=methods,
        larger=larger,
        bgr=model.preprocessing.bgr,
        strength=drawing["strength"],
        progress=not quiet,
    )
    for methods, reason in group_skipped(comparison.left_out):
        remark(f"{methods}: skipped. {reason}")
    if not comparison.views:
        raise RuntimeError("No method could explain this model. The remarks above give the reasons.")
    title = f"What {model.name} sees as {name!r}" if target is None else f"Evidence of {model.name} for {name!r}"
    if output.suffix.lower() == ".html":
        with atomic_write(output) as temporary:
            temporary.write_text(comparison.html(title, facts=[image.name]), encoding="utf-8")
    else:
        images.write(output, comparison.sheet(title, facts=[image.name]), dpi=drawing["dpi"])
    methods = [{"method": view.spec.name, "layer": view.layer} for view in comparison.views]
    left_out = [{"method": method, "reason": reason} for method, reason in comparison.left_out]
    record(image=image, explained=name, classes=top, methods=methods, skipped=left_out, output=output)
    say(f"{output}  {count_noun(len(comparison.views), 'method')}")
