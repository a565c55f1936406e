"""``kerasal compare``: every method on one photograph, with a line on what each shows."""

import base64
import dataclasses
import html
import io
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
    class_: Annotated[
        str | None, typer.Option("--class", "-c", help="Explain this class, a name or number; default: the top one.")
    ] = None,
    preprocessing: options.Preprocessing = None,
    labels: options.Labels = None,
    weights: options.Weights = None,
    fit: options.Fit = "crop",
    unsafe: options.Unsafe = False,
) -> None:
    """Show all attribution methods side by side on one photograph: which one should I use?"""
    options.check_output(output, (".html", ".png", ".jpg", ".jpeg", ".webp"))
    from kerasal import images
    from kerasal.cli import pages
    from kerasal.cli.opening import open_model
    from kerasal.files import replacing
    from kerasal.labels import find, short

    photograph = images.read(image)
    opened = open_model(model, preprocessing=preprocessing, labels=labels, weights=weights, unsafe=unsafe)
    picture, inputs = opened.show(photograph, fit)
    target = None if class_ is None else find(class_, opened.labels)
    top = pages.print_top_classes(opened, inputs)
    name = top or "the output" if target is None else short(opened.labels, target)
    shown, left_out = _explain(opened, photograph, inputs, target, fit)
    for method, reason in left_out:
        remark(f"{method}: left out. {reason}")
    if not shown:
        raise ValueError("No method could explain this model; the remarks above say why.")
    title = f"What makes {opened.how} see {name!r}"
    if output.suffix.lower() == ".html":
        text = _page(title, picture, shown, left_out)
        with replacing(output) as temporary:
            temporary.write_text(text, encoding="utf-8")
    else:
        images.write(output, pages.comparison(title, picture, shown, _ADVICE))
    results().print(f"{output}  {len(shown)} methods", markup=False)


def _explain(opened, photograph, inputs, target, fit):
    """Run every method; return (spec, its picture, its overlay, layer) of each, and why others were left out."""
    from rich.progress import Progress

    from kerasal import attribution
    from kerasal.cli import pages
    from kerasal.cli.session import console_for_progress
    from kerasal.hooks.engine import fixed_target
    from kerasal.hooks.model_inputs import conform

    shown, left_out = [], []
    target = fixed_target(opened.model, conform(opened.model, inputs), target)
    with Progress(console=console_for_progress(), transient=True) as bar:
        for name in bar.track(attribution.list_methods(), description="Explaining"):
            spec = attribution.method_spec(name)
            picture, own = opened.show(photograph, fit, scale=256 / 224 if spec.any_size else 1.0)
            try:
                found = getattr(attribution, name)(opened.model, own, target, **_OPTIONS.get(name, {}))
            except ValueError as error:
                left_out.append((name, str(error)))
                continue
            if isinstance(found, tuple):
                spec, found = _with_gap(spec, *found)
            values = found[0]
            if spec.on_pixels:
                own_options = {key: parameter.default for key, parameter in spec.options.items()}
                values = spec.on_pixels(values, picture.shape[:2], own_options)
            drawn, over = pages.draw(spec, opened, picture, values)
            shown.append((spec, drawn, over, getattr(values, "layer", None)))
    return shown, left_out


def _with_gap(spec, maps, gap):
    """Say beside the shares by how much they miss what they promise to add up to."""
    total = abs(float(maps[0].sum() - gap[0]))
    missed = f"{abs(float(gap[0])) / total:.1%} of it" if total else "all of it"
    summary = f"{spec.summary} Their sum misses {missed} (more steps, less)."
    return dataclasses.replace(spec, summary=summary), maps


def _page(title: str, picture, shown, left_out) -> str:
    """Return one self-contained HTML page."""
    rows = "".join(
        f"<tr><td>{_img(drawn)}</td><td>{_img(over)}</td><td><h2>{html.escape(spec.name)}</h2>"
        f"<p>{html.escape(spec.summary)}</p>"
        f"<p class=source>{html.escape(spec.reference + (f'; layer {layer}' if layer else ''))}</p></td></tr>\n"
        for spec, drawn, over, layer in shown
    )
    missing = "".join(f"<li>{html.escape(name)}: {html.escape(reason)}</li>" for name, reason in left_out)
    return f"""<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>
<style>
body {{ font: 16px/1.45 system-ui, sans-serif; color: #191919; margin: 2rem auto; max-width: 62rem; padding: 0 1rem }}
img {{ width: 224px; image-rendering: auto; display: block }} td {{ padding: .4rem .8rem .4rem 0; vertical-align: top }}
h2 {{ font-size: 1.05rem; margin: 0 }} p {{ margin: .3rem 0 }} .source {{ color: #6e6e6e; font-size: .85rem }}
</style>
<h1>{html.escape(title)}</h1>
<table><tr><td>{_img(picture)}</td><td colspan=2><p>This is what the model gets. Below, for each method: its map, where
it is strong, and what it shows. Maps of gradients are grains; their overlay is smoothed a little, to be seen.</p>
<p>{_ADVICE}</p></td></tr>
{rows}</table>
{f"<h2>Left out</h2><ul>{missing}</ul>" if missing else ""}
</html>
"""


def _img(pixels) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">'


# On a page for a quick look, a forward pass for each of a thousand channels takes longer than all else together.
_OPTIONS = {"scorecam": {"channels": 64}, "integrated_gradients": {"return_gap": True}}

_ADVICE = (
    "Where is the evidence, roughly? A class activation map (gradcam, layercam). Which pixels does the score react to? "
    "smoothgrad or class_saliency. Shares that add up to the score? integrated_gradients. Sharp edges that need not be "
    "evidence? guided_backprop and deconvnet look alike for a network with random weights, so do not prove anything "
    "with them."
)
