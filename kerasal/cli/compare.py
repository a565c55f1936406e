"""``kerasal compare``: every method on one photograph, with a line on what each shows."""

import pathlib
from typing import Annotated

import typer

from kerasal.cli import options
from kerasal.cli.session import remark, results


def compare(
    model: options.Model,
    image: options.Image,
    output: Annotated[
        pathlib.Path, typer.Option("--output", "-o", help="The page: .html, or a picture (.png, .jpg, .webp).")
    ] = pathlib.Path("comparison.html"),
    class_: options.Class = None,
    preprocessing: options.Preprocessing = None,
    labels: options.Labels = None,
    weights: options.Weights = None,
    fit: options.Fit = "crop",
    unsafe: options.Unsafe = False,
) -> None:
    """Show all attribution methods side by side on one photograph: which one should I use?"""
    options.check_output(output, (".html", *options.PICTURES))
    from kerasal import images
    from kerasal.cli.opening import open_model, print_top_classes
    from kerasal.files import replacing

    photograph = images.read(image)
    opened = open_model(model, preprocessing=preprocessing, labels=labels, weights=weights, fit=fit, unsafe=unsafe)
    shown, larger = opened.show(photograph), opened.show(photograph, scale=options.FRAME)
    target = None if class_ is None else options.find_class(class_, opened)
    from kerasal import attribution

    top = print_top_classes(opened, shown[1])
    name = top or "the output" if target is None else opened.label(target)
    found = attribution.compare_methods(
        opened.keras_model, shown, target, larger=larger, bgr=opened.preprocessing.bgr, progress=True
    )
    for method, reason in found.left_out:
        remark(f"{method}: left out. {reason}")
    if not found.views:
        raise ValueError("No method could explain this model; the remarks above say why.")
    title = f"What makes {opened.name} see {name!r}"
    if output.suffix.lower() == ".html":
        with replacing(output) as temporary:
            temporary.write_text(found.html(title), encoding="utf-8")
    else:
        images.write(output, found.sheet(title))
    results().print(f"{output}  {len(found.views)} methods", markup=False)
