"""``kerasal gaze describe``, ``evaluate``, ``diagnose``, ``dump`` and ``import-vxm``: statistics, scores, files."""

from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, Option

from kerasal.cli import gaze_options, options
from kerasal.cli.json_output import record, with_json
from kerasal.cli.score import show_scores
from kerasal.cli.session import load_tensorflow, say


@with_json
def describe(data: gaze_options.Data, split: gaze_options.Split = None) -> None:
    """Summarize a data set: sizes, ranges, counts, center bias, and empty or damaged images."""
    description = gaze_options.open_data(data, split or "all").describe()
    record(data=data, description=description.splitlines())
    say(description)


@with_json
@options.with_options("settings", gaze_options.model_options())
def evaluate(
    model: gaze_options.Model,
    settings: dict,
    data: gaze_options.Data,
    output: options.ScoreTable = Path("gaze-scores.csv"),
    split: gaze_options.Split = None,
    postprocess: gaze_options.Postprocess = None,
    definition: Annotated[
        Literal["mit", "tuebingen", "salicon"],
        Option(help="Benchmark whose definitions are used, in addition to those of the coursework."),
    ] = "mit",
    sigma: gaze_options.Sigma = None,
    legacy: Annotated[
        bool,
        Option(
            "--legacy", help="Coursework scores: values outside 0..1 wrap around in 8 bits, as in the original run."
        ),
    ] = False,
    seed: Annotated[int, Option(help="Seed of the choice of other images for the shuffled AUC.")] = 0,
) -> None:
    """Score a model on images with fixations, beside the center, the mean map, and the other observers as the ceiling.

    Unreadable images are listed and counted, the others are scored, and the exit code is 1.
    """
    options.check_output(output, (".csv",), beside=(".json", ".png"))
    gaze_set = gaze_options.open_data(data, split, missing="skip")
    _, predictor = gaze_options.open_gaze_model(model, **settings)
    from kerasal import gaze
    from kerasal.gaze.observer_ceiling import describe_explained
    from kerasal.metrics import ScoreReport

    table = gaze.evaluate(
        predictor,
        gaze_set,
        postprocess=postprocess,
        metrics=definition,
        sigma=sigma,
        legacy=legacy,
        seed=seed,
        progress=True,
    )
    facts = {"net": model, "data": [str(path) for path in data]}
    facts |= {key: table.attrs[key] for key in ("seed", "postprocess")}
    explained, reason = table.attrs["explained"], table.attrs["ceiling"]
    findings = [describe_explained(explained)] if explained else []
    report = ScoreReport(table, settings=facts, notes=[reason] if reason else [], findings=findings)
    report.write(output)
    record(explained=explained)
    show_scores(report, output)


@with_json
@options.with_options("settings", gaze_options.model_options())
def diagnose(
    model: gaze_options.Model,
    settings: dict,
    data: gaze_options.Data,
    output: Annotated[
        Path | None, options.Output(help="The picture to write, of the image whose map overflows most.")
    ] = None,
    split: gaze_options.Split = None,
) -> None:
    """Test whether a model predicts more than the mean map or the center, and whether its maps overflow 8 bits."""
    options.check_output(output, options.PICTURES)
    gaze_set = gaze_options.open_data(data, split)
    opened, predictor = gaze_options.open_gaze_model(model, **settings)
    from kerasal import gaze, images
    from kerasal.layers import center_bias_switched_off

    diagnosis = gaze.diagnose(predictor, gaze_set, progress=True)
    say(diagnosis.summary[["mean", "low", "high"]].round(4).to_string())
    record(summary=diagnosis.summary, findings=list(diagnosis.findings), output=output)
    for finding in diagnosis.findings:
        say(finding)
    with center_bias_switched_off(opened.keras_model) as layers:
        if layers:
            mean = gaze.diagnose(gaze.Predictor.from_image_model(opened), gaze_set).table.mean()
            means = f"own {mean['own']:.3f}, others {mean['others']:.3f}, center {mean['center']:.3f}"
            record(without_center_bias=mean.to_dict())
            say(f"Without its CenterBias layer: {means}")
    if output is not None:
        worst: Any = (diagnosis.table["below"] + diagnosis.table["above"]).idxmax()
        raw = next(predictor.raw([gaze_set.stimulus(worst).model_pixels(predictor.size)]))
        images.write(output, gaze.wrap_panel(gaze_set.image(worst), raw))
        say(f"{output}  image {worst}, clipped, and wrapped around in 8 bits")


@with_json
@options.with_options("settings", gaze_options.model_options())
def dump(
    model: gaze_options.Model,
    settings: dict,
    data: gaze_options.Data,
    output: Annotated[Path, options.Output(help="The pickle to write.")] = Path("preds.pkl"),
    split: gaze_options.Split = None,
) -> None:
    """Write the raw maps of all images as a pickle, for the evaluation script of the Bristol coursework."""
    options.check_output(output, (".pkl",))
    gaze_set = gaze_options.open_data(data, split)
    _, predictor = gaze_options.open_gaze_model(model, **settings)
    from kerasal import gaze

    gaze.write_predictions(predictor, gaze_set, output, progress=True)
    record(images=len(gaze_set), map_size=predictor.map_size, output=output)
    say(f"{output}  {len(gaze_set)} maps, flattened, float32, in the order of the data")


def import_vxm(
    file: Annotated[Path, Argument(help="A model in the format VXM, such as fastgaze.vxm.", show_default=False)],
    output: Annotated[Path, options.Output(help="The Keras file to write.")] = Path("fastgaze.keras"),
) -> None:
    """Convert FastGaze's published model to a Keras file."""
    options.check_output(output, (".keras",))
    load_tensorflow()
    from kerasal.files import atomic_write
    from kerasal.gaze import load_vxm

    model = load_vxm(file)
    with atomic_write(output) as temporary:
        model.save(temporary)
    say(f"{output}  {model.count_params():,} parameters, for photos of any size")
    say(f"Next: kerasal gaze predict {output} IMAGE -p caffe")
