"""``kerasal gaze describe``, ``evaluate``, ``diagnose`` and ``import-vxm``: numbers, and a net that others made."""

from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, Option

from kerasal.cli import gaze_opening as opening
from kerasal.cli import options
from kerasal.cli.score import show_scores
from kerasal.cli.session import load_tensorflow, say


def describe(data: opening.Data, split: opening.Split = None) -> None:
    """Say what is in a data set: sizes, ranges, counts, center bias, and what is empty or damaged."""
    say(opening.open_data(data, split or "all").describe())


@options.taking("how", opening.HOW | {"size": (opening.Size, None)})
def evaluate(
    net: opening.Net,
    how: dict,
    data: opening.Data,
    output: options.ScoreTable = Path("gaze-scores.csv"),
    split: opening.Split = None,
    postprocess: opening.Postprocess = "examiners",
    definition: Annotated[
        Literal["mit", "tuebingen", "salicon"], Option(help="Whose definitions, beside the coursework's.")
    ] = "mit",
    sigma: opening.Sigma = None,
    legacy: Annotated[
        bool, Option("--legacy", help="In the coursework's definition, wrap values as the original run did.")
    ] = False,
    seed: Annotated[int, Option(help="Of the other images of the shuffled AUC.")] = 0,
) -> None:
    """Score a net on images with fixations, beside the center and the mean map, and in the coursework's definition.

    What cannot be read is named and counted, the rest is scored, and the exit code is 1.
    """
    options.check_output(output, (".csv",), beside=(".json", ".png"))
    opened_data = opening.open_data(data, split, missing="skip")
    _, predictor = opening.open_net(net, **how)
    from kerasal import gaze
    from kerasal.metrics import ScoreReport

    table = gaze.evaluate(
        predictor,
        opened_data,
        postprocess=postprocess,
        metrics=definition,
        sigma=sigma,
        legacy=legacy,
        seed=seed,
        progress=True,
    )
    settings = {"net": net, "data": [str(path) for path in data]}
    settings |= {key: table.attrs[key] for key in ("seed", "postprocess")}
    report = ScoreReport(table, settings=settings)
    report.write(output)
    show_scores(report, output)


@options.taking("how", opening.HOW | {"size": (opening.Size, None)})
def diagnose(
    net: opening.Net,
    how: dict,
    data: opening.Data,
    output: Annotated[
        Path | None, options.Output(help="A picture of the uint8 wrap, on the image most hit by it.")
    ] = None,
    split: opening.Split = None,
) -> None:
    """Ask whether a net predicts more than the mean map or the center, and whether its output wraps around."""
    options.check_output(output, options.PICTURES)
    opened_data = opening.open_data(data, split)
    model, predictor = opening.open_net(net, **how)
    from kerasal import gaze, images
    from kerasal.layers import center_bias_switched_off

    found = gaze.diagnose(predictor, opened_data, progress=True)
    say(found.summary[["mean", "low", "high"]].round(4).to_string())
    for finding in found.findings:
        say(finding)
    with center_bias_switched_off(model.keras_model) as layers:
        if layers:
            mean = gaze.diagnose(gaze.Predictor.from_image_model(model), opened_data).table.mean()
            means = f"own {mean['own']:.3f}, others {mean['others']:.3f}, center {mean['center']:.3f}"
            say(f"Without its CenterBias layer: {means}")
    if output is not None:
        worst: Any = (found.table["below"] + found.table["above"]).idxmax()
        photograph = opened_data.image(worst)
        images.write(output, gaze.wrap_panel(photograph, next(predictor.raw([photograph]))))
        say(f"{output}  image {worst}, clipped and wrapped")


def import_vxm(
    file: Annotated[Path, Argument(help="A net in the format VXM, such as fastgaze.vxm.", show_default=False)],
    output: Annotated[Path, options.Output(help="The Keras file.")] = Path("fastgaze.keras"),
) -> None:
    """Make a Keras file of FastGaze's published net, to predict and to be compared with."""
    options.check_output(output, (".keras",))
    load_tensorflow()
    from kerasal.files import replacing
    from kerasal.gaze import load_vxm

    net = load_vxm(file)
    with replacing(output) as temporary:
        net.save(temporary)
    say(f"{output}  {net.count_params():,} parameters, any size of photograph")
    say(f"Next: kerasal gaze predict {output} IMAGE -p caffe")
