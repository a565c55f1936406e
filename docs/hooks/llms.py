"""Write ``llms.txt``: the pages of the site, each with its address and first sentence, for language models."""

import pathlib
import re

_SECTIONS: list[tuple[str, list[str]]] = []


def on_env(env, config, files, **_):
    """Collect the pages in the order of the navigation; their text is complete here."""
    _SECTIONS.clear()
    top: list[str] = []
    _SECTIONS.append(("Start", top))
    for item in config["nav"]:
        ((title, value),) = item.items()
        if isinstance(value, str):
            top.append(_entry(title, files.get_file_from_path(value)))
        else:
            _SECTIONS.append((title, [_entry(name, files.get_file_from_path(path)) for name, path in _pages(value)]))
    return env


def _pages(section):
    """Yield (title or an empty text, path) of each page of a section, those of sections inside included."""
    for entry in section:
        if isinstance(entry, str):
            yield "", entry
            continue
        ((title, value),) = entry.items()
        if isinstance(value, list):
            yield from _pages(value)
        else:
            yield title, value


def on_post_build(config):
    """Write the file beside the first page."""
    parts = [f"# {config['site_name']}\n\n> {config['site_description']}\n"]
    parts += [f"## {title}\n\n" + "\n".join(entries) + "\n" for title, entries in _SECTIONS]
    pathlib.Path(config["site_dir"], "llms.txt").write_text("\n".join(parts), encoding="utf-8")


def _entry(title, file):
    page = file.page
    return f"- [{title or page.title}]({file.url}): {_first_sentence(page.markdown)}"


def _first_sentence(text):
    """Return the first sentence of a page's first paragraph, without links and emphasis."""
    text = re.sub(r"<!--.*?-->|^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", text)]
    prose = next((part for part in paragraphs if re.match(r"[\w*`\[]", part)), "")
    plain = re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", " ".join(prose.split())).replace("**", "")
    return re.split(r"(?<=[.!?])\s", plain)[0]
