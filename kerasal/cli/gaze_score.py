"""``kerasal gaze describe``, ``evaluate`` and ``diagnose``: numbers."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from kerasal.cli import gaze_opening as opening
from kerasal.cli import options
from kerasal.cli.gaze_show import Postprocess
from kerasal.cli.score import show_scores
from kerasal.cli.session import results


def describe(data: opening.Data, split: opening.Split = None) -> None:
    """Say what is in a data set: sizes, ranges, counts, centre bias, and what is empty or damaged."""
    results().print(opening.open_together(data, split or "all", ()).describe(), markup=False)


def evaluate(
    net: opening.Net,
    data: opening.Data,
    output: options.ScoreTable = Path("gaze-scores.csv"),
    split: opening.Split = None,
    postprocess: Postprocess = "examiners",
    definition: Annotated[
        Literal["mit", "tuebingen", "salicon"], typer.Option(help="Whose definitions, beside the coursework's.")
    ] = "mit",
    sigma: Annotated[
        float | None, typer.Option(help="Blur of fixations, pixels of the image. Default: 3 % of it.")
    ] = None,
    legacy: Annotated[
        bool, typer.Option("--legacy", help="In the coursework's definition, wrap values as the original run did.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the other images of the shuffled AUC.")] = 0,
    weights: opening.Weights = None,
    net_option: opening.NetOption = None,
    preprocessing: opening.Preprocessing = None,
    size: opening.Size = None,
    unsafe: opening.Unsafe = False,
) -> None:
    """Score a net on images with fixations, beside the centre and the mean map, and in the coursework's definition.

    What cannot be read is named and counted, the rest is scored, and the exit code is 1.
    """
    options.check_output(output, (".csv",), beside=(".json", ".png"))
    opened_data = opening.open_together(data, split, ("test", "val", "validation"), missing="skip")
    opened = opening.open_net(
        net, weights=weights, net_options=net_option, preprocessing=preprocessing, size=size, unsafe=unsafe
    )
    from kerasal import gaze
    from kerasal.metrics import ScoreReport

    table = gaze.evaluate(
        opened.predictor(),
        opened_data,
        postprocess=postprocess,
        metrics=definition,
        sigma=sigma,
        legacy=legacy,
        seed=seed,
        progress=True,
    )
    settings = {"net": net, "data": [str(one) for one in data]}
    settings |= {key: table.attrs[key] for key in ("seed", "postprocess")}
    report = ScoreReport(table, settings=settings)
    report.write(output)
    show_scores(report, output)


def diagnose(
    net: opening.Net,
    data: opening.Data,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A picture of the uint8 wrap, on the image most hit by it.")
    ] = None,
    split: opening.Split = None,
    weights: opening.Weights = None,
    net_option: opening.NetOption = None,
    preprocessing: opening.Preprocessing = None,
    size: opening.Size = None,
    unsafe: opening.Unsafe = False,
) -> None:
    """Ask whether a net predicts more than the mean map or the centre, and whether its output wraps around."""
    if output is not None:
        options.check_output(output, (".png", ".jpg", ".jpeg", ".webp"))
    opened_data = opening.open_together(data, split, ("test", "val", "validation"))
    opened = opening.open_net(
        net, weights=weights, net_options=net_option, preprocessing=preprocessing, size=size, unsafe=unsafe
    )
    from kerasal import gaze, images

    predictor = opened.predictor()
    found = gaze.diagnose(predictor, opened_data, progress=True)
    console = results()
    console.print(found.summary[["mean", "low", "high"]].round(4).to_string(), markup=False)
    for finding in found.findings:
        console.print(finding, markup=False)
    for name, switched in _without_center_bias(opened, opened_data):
        console.print(f"{name}: {switched}", markup=False)
    if output is not None:
        worst = (found.table["below"] + found.table["above"]).idxmax()
        photograph = opened_data.image(worst)
        images.write(output, gaze.wrap_panel(photograph, next(predictor.raw([photograph]))))
        console.print(f"{output}  image {worst}, clipped and wrapped", markup=False)


def _without_center_bias(opened, data):
    """Yield what the net's maps are like with its centre bias switched off, where it has one."""
    from kerasal import gaze
    from kerasal.layers import center_bias_switched_off

    with center_bias_switched_off(opened.net) as layers:
        if layers:
            mean = gaze.diagnose(opened.predictor(), data).table.mean()
            yield (
                "Without its CenterBias layer",
                f"own {mean['own']:.3f}, others {mean['others']:.3f}, centre {mean['center']:.3f}",
            )
