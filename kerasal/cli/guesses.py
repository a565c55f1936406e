"""What to type instead of a command that does not exist: attribution methods, and words that other packages use."""

from collections.abc import Iterable

from kerasal.cli.method_table import method_names
from kerasal.names import similar_names, unknown_name_message

_EXPLAIN = "kerasal attribute gradcam MODEL IMAGE"
_CLASSES = f"{_EXPLAIN}, which also prints the top classes"
_GAZE = "kerasal gaze predict IMAGE for where people look"
_SALIENCY = f"kerasal attribute class_saliency MODEL IMAGE for what a model's score depends on, or {_GAZE}"
_GRADIENTS = "kerasal attribute integrated_gradients MODEL IMAGE"
_MAXIMIZE = "kerasal maximize MODEL --class CLASS"
_OTHERS = "kerasal compare MODEL IMAGE, which shows several attribution methods"
_LAYERS = "kerasal info MODEL"
_GUESSES = {
    **dict.fromkeys(("saliency", "saliency-map", "saliency-maps", "sal"), _SALIENCY),
    **dict.fromkeys(("explain", "explanation", "cam", "heatmap", "attention", "visualize", "visualise"), _EXPLAIN),
    **dict.fromkeys(("attribution", "attributions", "interpret"), _EXPLAIN),
    **dict.fromkeys(("predict", "prediction"), f"{_CLASSES}, or {_GAZE}"),
    **dict.fromkeys(("classify", "classes", "top", "predictions"), _CLASSES),
    **dict.fromkeys(("shap", "shapley", "kernelshap"), "kerasal attribute kernel_shap MODEL IMAGE"),
    "methods": f"kerasal attribute --list, or {_OTHERS}",
    **dict.fromkeys(("ig", "integrated-gradient", "path-integrated-gradients"), _GRADIENTS),
    **dict.fromkeys(("vanilla", "gradient", "gradients", "backprop"), "kerasal attribute input_gradient MODEL IMAGE"),
    "guided": "kerasal attribute guided_backprop MODEL IMAGE",
    "grad-cam++": "kerasal attribute gradcam_plus_plus MODEL IMAGE",
    **dict.fromkeys(
        ("dream", "deepdream", "deep-dream", "activation-maximization", "feature-visualization"), _MAXIMIZE
    ),
    **dict.fromkeys(("lucid", "optimize", "synthesize"), _MAXIMIZE),
    **dict.fromkeys(("activations", "features", "featuremaps"), "kerasal feature-maps MODEL IMAGE --layer LAYER"),
    **dict.fromkeys(("layers", "summary", "inspect", "describe"), _LAYERS),
    **dict.fromkeys(("detect", "detection", "segment", "segmentation", "boxes"), "kerasal localize MODEL IMAGE"),
    **dict.fromkeys(("evaluate", "metrics", "eval"), "kerasal score MAPS FIXATIONS, or kerasal gaze evaluate MODEL"),
    **dict.fromkeys(("look", "eye", "fixations", "attend"), _GAZE),
    **dict.fromkeys(("zoo", "list", "model"), "kerasal models"),
    **dict.fromkeys(("kernels", "weights"), "kerasal filters MODEL"),
    **dict.fromkeys(("receptive-field", "receptive-fields", "rf"), "kerasal field MODEL"),
    "fit": "kerasal train MODEL --data FOLDER, or kerasal gaze train MODEL --data DATA",
    "help": "kerasal --help",
    "version": "kerasal --version",
}
"""Commands by words that people try, with hyphens."""


def suggest_command(word: str, commands: Iterable[str], *, methods: bool = True) -> str:
    """Return the message for an unknown command: what to type instead, if it is a method, a usual word or a slip.

    Args:
        word: what was typed.
        commands: the names of the commands.
        methods: whether to look for attribution methods, and for the words of other packages.
    """
    known = list(commands)
    typed = word.casefold().replace("_", "-")
    if methods:
        plain = typed.replace("-", "")
        if method := next((name for name in method_names() if name.replace("_", "") == plain), None):
            return f"Unknown command {word!r}. Use kerasal attribute {method} MODEL IMAGE."
        if hint := _GUESSES.get(typed):
            return f"Unknown command {word!r}. Use {hint}."
    if methods and not similar_names(word, known) and (near := similar_names(word, method_names())):
        return f"Unknown command {word!r}. Did you mean kerasal attribute {near[0]} MODEL IMAGE?"
    message = unknown_name_message(word, known, "command")
    return message if "Did you mean" in message else f"Unknown command {word!r}. kerasal --help lists the commands."
