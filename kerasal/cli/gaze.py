"""``kerasal gaze``: the commands about where people look, from a folder of images and fixations to scores."""

from kerasal.cli.gaze_score import describe, diagnose, evaluate, import_vxm
from kerasal.cli.gaze_show import filters, panel, predict
from kerasal.cli.gaze_train import train
from kerasal.cli.outputs import App

HELP = "Train, apply and score nets that predict where people look."

app = App(no_args_is_help=True)
for command in (describe, train, predict, evaluate, panel, filters, diagnose, import_vxm):
    app.command()(command)
