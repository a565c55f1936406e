"""``kerasal info``: what is known about a model, and which methods work on it."""

from kerasal.cli.json_output import record, with_json
from kerasal.cli.model_argument import Load, with_model
from kerasal.cli.session import results, say


@with_json
@with_model("preprocessing", "labels", "weights")
def info(load: Load) -> None:
    """Describe a model: its input, preprocessing and layers, and which methods work on it. Run this first."""
    model = load(quiet=True)
    from kerasal.description import describe

    description = describe(model)
    record(**description.to_dict())
    for line in str(description).splitlines():
        say(line)
    if len(description.outputs) > 1:
        results().print("Pass --model-output NAME to commands that explain an output.", style="dim")
    if not description.preprocessing and any("preprocessing" in reason for reason in description.methods.values()):
        results().print("Pass --preprocessing to use images with this model.", style="dim")
