"""Cut the page that ``kerasal compare`` wrote into one picture a method, for ``pages/pictures/methods``.

    kerasal compare efficientnet_lite0_imagenet.keras kerasal/assets/cat.jpg -p mean=127,std=128 -o methods.html
    python docs/pictures.py methods.html

Each picture is the method's map beside the map laid on the photograph, as they stand on that page.
"""

import base64
import io
import pathlib
import re
import sys

from PIL import Image

FOLDER = pathlib.Path(__file__).parent / "pages" / "pictures" / "methods"
SIDE = 224


def main(page: str) -> None:
    """Write NAME.jpg for every method on the page, and photograph.jpg."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for row in re.findall(r"<tr>(.*?)</tr>", pathlib.Path(page).read_text(encoding="utf-8"), re.DOTALL):
        name = (re.findall(r"<h2>(\w+)</h2>", row) or ["photograph"])[0]
        tiles = [_tile(text) for text in re.findall(r'src="data:image/png;base64,([^"]+)"', row)]
        sheet = Image.new("RGB", (len(tiles) * (SIDE + 4) - 4, SIDE), "white")
        for place, tile in enumerate(tiles):
            sheet.paste(tile, (place * (SIDE + 4), 0))
        sheet.save(FOLDER / f"{name}.jpg", quality=85)


def _tile(text: str) -> Image.Image:
    tile = Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB")
    way = Image.Resampling.NEAREST if max(tile.size) < SIDE else Image.Resampling.LANCZOS
    return tile.resize((SIDE, SIDE), way)


if __name__ == "__main__":
    main(*sys.argv[1:])
