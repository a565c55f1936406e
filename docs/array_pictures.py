"""Make the pictures of pages whose Python code draws them: "Signals and volumes" and "What do I ask?".

    python docs/array_pictures.py [signals] [asking]

The blocks run in order in a temporary folder, without those that need data; the ``NAME.png`` that they write is scaled
down and stored as ``pages/pictures/FOLDER/NAME.jpg`` or ``.png``, as the page shows them.
"""

import os
import pathlib
import re
import shutil
import sys
import tempfile

from PIL import Image

DOCS = pathlib.Path(__file__).resolve().parent
FOLDERS = {"signals": "arrays", "asking": "asking"}  # of the pictures of each page
PHOTO = DOCS.parent / "kerasal" / "assets" / "coffee.jpg"
WIDTH = 1000
COLORS = 255


def main() -> None:
    """Make the pictures of the named pages, or of all."""
    for name in sys.argv[1:] or FOLDERS:
        make(DOCS / "pages" / f"{name}.md", DOCS / "pages" / "pictures" / FOLDERS[name])


def make(page: pathlib.Path, folder: pathlib.Path) -> None:
    """Run the blocks of a page and store the pictures that it shows."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"(<!-- needs: .*? -->\n)?```python\n(.*?)```", text, re.DOTALL)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        shutil.copy(PHOTO, work)
        names = {"__name__": "page"}
        for needs, code in blocks:
            if not needs:
                exec(compile(code, str(page), "exec"), names)
        for name, kind in re.findall(rf"pictures/{folder.name}/(\w+)\.(jpg|png)", text):
            picture = Image.open(f"{name}.png").convert("RGB")
            picture.thumbnail((WIDTH, WIDTH))
            path = folder / f"{name}.{kind}"
            if kind == "png":  # for flat colors: a fifth of the size of a JPEG
                picture.quantize(COLORS, dither=Image.Dither.NONE).save(path, optimize=True)
            else:
                picture.save(path, quality=88)
            print(path)  # noqa: T201
        os.chdir(DOCS)


if __name__ == "__main__":
    main()
