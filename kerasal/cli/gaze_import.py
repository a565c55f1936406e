"""``kerasal gaze import-vxm``: a net that others published, as a Keras file."""

from pathlib import Path
from typing import Annotated

import typer

from kerasal.cli import options
from kerasal.cli.session import load_tensorflow, results

CONVENTION = "caffe"
"""How such a net wants its pixels."""


def import_vxm(
    file: Annotated[Path, typer.Argument(help="A net in the format VXM, such as fastgaze.vxm.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The Keras file.")] = Path("fastgaze.keras"),
) -> None:
    """Make a Keras file of FastGaze's published net, to predict and to be compared with."""
    options.check_output(output, (".keras",))
    load_tensorflow()
    from kerasal.files import replacing
    from kerasal.gaze import load_vxm

    net = load_vxm(file)
    with replacing(output) as temporary:
        net.save(temporary)
    results().print(f"{output}  {net.count_params():,} parameters, any size of photograph", markup=False)
    results().print(f"Next: kerasal gaze predict {output} IMAGE -p {CONVENTION}", markup=False, soft_wrap=True)
