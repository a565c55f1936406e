"""``kerasal gaze adapt``: fit eight numbers of a gaze model to one's own data, and write it as a model file."""

from pathlib import Path
from typing import Annotated

from typer import Option

from kerasal.cli import gaze_options, options
from kerasal.cli.json_output import record, with_json
from kerasal.cli.session import remark, say


@with_json
@options.with_options("settings", gaze_options.model_options())
def adapt(
    model: gaze_options.Model,
    settings: dict,
    data: gaze_options.Data,
    output: Annotated[Path, options.Output(help="The Keras file to write.")] = Path("adapted.keras"),
    split: Annotated[
        str | None, Option(help="Part of the data, such as train, or 'all'. Default: train, else all.")
    ] = None,
    seed: Annotated[int, Option(help="Seed of the parts for the cross-validation.")] = 0,
) -> None:
    """Adapt a gaze model to other photos and observers: temperature, blur, center and floor, eight numbers.

    About 50 images are enough. Without a gain on images that were left out, nothing is written, and that is an error.
    """
    options.check_output(output, (".keras",))
    from kerasal.datasets import open_gaze_sets

    gaze_set, notes = open_gaze_sets(data, split, ("train",))
    for note in notes:
        remark(note)
    _, predictor = gaze_options.open_gaze_model(model, **settings)
    from kerasal import gaze
    from kerasal.files import atomic_write
    from kerasal.models.recognition import recognize

    adaptation = gaze.adapt(predictor, gaze_set, seed=seed, progress=True)
    with atomic_write(output) as temporary:
        adaptation.model.save(temporary)
    gain = adaptation.gain
    record(gain=gain, parameters=adaptation.parameters, target=adaptation.target, images=len(gaze_set), output=output)
    if adaptation.target != "fixations":
        remark(f"Fitted to {adaptation.target}: the gain in bits is that of the cross-entropy with them.")
    say("  ".join(f"{name} {value:.3g}" for name, value in adaptation.parameters.items()))
    say(
        f"{output}  gain on left-out images: {gain['gain']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}] bits per "
        f"fixation, {len(gaze_set)} images"
    )
    recognized = recognize(adaptation.model).preprocessing is not None
    say(f"Next: kerasal gaze predict {output} IMAGE{'' if recognized else ' -p none'}")
