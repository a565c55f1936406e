"""Show the public signatures of attribution methods, and keep the layout of docstrings in Markdown."""

import re

import griffe

_SHARED = (("model", None), ("inputs", None), ("target", "None"))
_LAST = (("output", "None"), ("logits", "True"), ("batch_size", "None"))


class Signatures(griffe.Extension):
    """Replace the signatures of graph functions with those of the public methods, and format docstrings."""

    def on_function_instance(self, *, func, **_):
        """Replace ``view`` with the arguments of the public method."""
        if not any(str(decorator.value).startswith("method(") for decorator in func.decorators):
            return
        options = [parameter for parameter in func.parameters if parameter.name != "view"]
        keyword = griffe.ParameterKind.keyword_only
        first = [griffe.Parameter(n, kind=griffe.ParameterKind.positional_or_keyword, default=d) for n, d in _SHARED]
        last = [griffe.Parameter(name, kind=keyword, default=default) for name, default in _LAST]
        func.parameters = griffe.Parameters(*first, *options, *last)
        if func.docstring:
            lines = func.docstring.value.splitlines()
            func.docstring.value = "\n".join(line for line in lines if not line.strip().startswith("view:"))

    def on_instance(self, *, obj, **_):
        """Keep tables and aligned columns."""
        if obj.docstring:
            obj.docstring.value = keep_layout(obj.docstring.value)


def keep_layout(text):
    """Return a docstring with fences around paragraphs in columns, and with a colon for ``::`` before a block."""
    text = re.sub(r"::(?=\n\n +)", ":", text)
    paragraphs = text.split("\n\n")
    return "\n\n".join(f"```text\n{part}\n```" if _in_columns(part) else part for part in paragraphs)


def _in_columns(paragraph):
    lines = paragraph.splitlines()
    if len(lines) < 2 or paragraph.startswith(("```", "    ")) or re.match(r"\w[\w ]*:\n", paragraph):
        return False
    aligned = sum(bool(re.search(r"\S {2,}\S", line)) for line in lines)
    arrows = sum("->" in line and line.startswith("    ") for line in lines)
    return lines[0].startswith("===") or aligned >= max(2, 0.6 * len(lines)) or arrows >= 2
