"""Fill the navigation with the pages that other hooks generate, so that a new model or notebook needs no line there."""

import cards  # MkDocs finds the hooks beside this one
import commands
import notebook_pages
import reference


def on_config(config):
    """Replace each ``[generated]`` in the navigation by the pages of its section."""
    pages = {
        "The zoo": [f"cards/{path}.md" for path in cards.names()],
        "Notebooks": [{title: f"notebooks/{name}.md"} for name, title in notebook_pages.titles()],
        "Commands": [f"commands/{title.lower()}.md" for title in commands.GROUPS],
        "Python": ["api/kerasal.md", *({title: _api(group)} for title, group in reference.GROUPS.items())],
    }
    for entry in config.nav:
        for title, section in entry.items():
            if isinstance(section, list) and "generated" in section:
                section[section.index("generated") :] = pages.pop(title)
    if pages:
        raise ValueError(f"The navigation must have the sections {', '.join(pages)} with a line 'generated'.")
    return config


def _api(group):
    return [f"api/{page}.md" for page in group]
