"""What files alone do not say: a method's public signature; and layouts of docstrings that Markdown breaks."""

import re

import griffe

_SHARED = (("model", None), ("inputs", None), ("target", "None"))
_LAST = (("output", "None"), ("logits", "True"), ("batch_size", "None"))


class Signatures(griffe.Extension):
    """Give attribution methods the signature that ``kerasal.attribution.method`` gives them, and mend docstrings."""

    def on_function_instance(self, *, func, **_):
        """Replace ``view`` by what a caller passes."""
        if not any(str(decorator.value).startswith("method(") for decorator in func.decorators):
            return
        own = [one for one in func.parameters if one.name != "view"]
        keyword = griffe.ParameterKind.keyword_only
        first = [griffe.Parameter(n, kind=griffe.ParameterKind.positional_or_keyword, default=d) for n, d in _SHARED]
        last = [griffe.Parameter(name, kind=keyword, default=default) for name, default in _LAST]
        func.parameters = griffe.Parameters(*first, *own, *last)
        if func.docstring:
            lines = func.docstring.value.splitlines()
            func.docstring.value = "\n".join(line for line in lines if not line.strip().startswith("view:"))

    def on_instance(self, *, obj, **_):
        """Keep tables and aligned columns as they stand."""
        if obj.docstring:
            obj.docstring.value = mended(obj.docstring.value)


def mended(text):
    """Fence paragraphs that are laid out in columns, and turn ``::`` before an indented block into a colon."""
    text = re.sub(r"::(?=\n\n +)", ":", text)
    paragraphs = text.split("\n\n")
    return "\n\n".join(f"```text\n{one}\n```" if _in_columns(one) else one for one in paragraphs)


def _in_columns(paragraph):
    lines = paragraph.splitlines()
    if len(lines) < 2 or paragraph.startswith(("```", "    ")) or re.match(r"\w[\w ]*:\n", paragraph):
        return False
    aligned = sum(bool(re.search(r"\S {2,}\S", line)) for line in lines)
    arrows = sum("->" in line and line.startswith("    ") for line in lines)
    return lines[0].startswith("===") or aligned >= max(2, 0.6 * len(lines)) or arrows >= 2
