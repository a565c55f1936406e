"""Make the pictures of the page on signals and volumes with the Python code that stands above each of them.

    python docs/array_pictures.py

The blocks run in order in a temporary folder, without those that need data; the ``NAME.png`` that they write is scaled
down and stored as ``pages/pictures/arrays/NAME.jpg``.
"""

import os
import pathlib
import re
import shutil
import tempfile

from PIL import Image

DOCS = pathlib.Path(__file__).resolve().parent
PAGE = DOCS / "pages" / "signals.md"
FOLDER = DOCS / "pages" / "pictures" / "arrays"
PHOTO = DOCS.parent / "kerasal" / "assets" / "coffee.jpg"
WIDTH = 1000


def main() -> None:
    """Run the blocks and store the pictures that the page shows."""
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"(<!-- needs: .*? -->\n)?```python\n(.*?)```", text, re.DOTALL)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        shutil.copy(PHOTO, work)
        names = {"__name__": "page"}
        for needs, code in blocks:
            if not needs:
                exec(compile(code, str(PAGE), "exec"), names)
        for name in re.findall(r"pictures/arrays/(\w+)\.jpg", text):
            picture = Image.open(f"{name}.png").convert("RGB")
            picture.thumbnail((WIDTH, WIDTH))
            picture.save(FOLDER / f"{name}.jpg", quality=88)
            print(FOLDER / f"{name}.jpg")  # noqa: T201
        os.chdir(DOCS)


if __name__ == "__main__":
    main()
