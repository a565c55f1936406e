"""Make the pictures of the gallery with the commands that the first page prints below them.

    [KERASAL_DATA=DATA] python docs/gallery.py [NAME ...]

The commands name models of the zoo and the photos that are installed with the package. One needs more: DATA holds
``osie`` and ``models/squeezenet_v1_1_imagenet_q8.keras`` for ``exemplars``, which is left out without it. Each
command below a picture ``pictures/gallery/NAME.jpg`` runs in a temporary folder; the ``NAME.jpg`` that it writes is
scaled down and stored.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from PIL import Image

DOCS = pathlib.Path(__file__).resolve().parent
PAGE = DOCS / "pages" / "index.md"
FOLDER = DOCS / "pages" / "pictures" / "gallery"
ASSETS = DOCS.parent / "kerasal" / "assets"
WIDTH = 1000


def commands() -> dict[str, str]:
    """Return the command below each picture of the gallery, by the picture's name."""
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"pictures/gallery/(\w+)\.jpg\).*?```sh\n(.*?)```", text, re.DOTALL)
    return {name: command.replace("\\\n", " ").strip() for name, command in blocks}


def main(names: list[str], data: pathlib.Path | None) -> None:
    """Run the commands of the named pictures, or of all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        for source in (*ASSETS.glob("*.jpg"), *([*data.iterdir(), *(data / "models").iterdir()] if data else [])):
            pathlib.Path(work, source.name).symlink_to(source)
        for name, command in commands().items():
            if name not in (names or commands()):
                continue
            if data is None and " osie " in command:
                print(f"{name}: left out without KERASAL_DATA")  # noqa: T201
                continue
            print(command, flush=True)  # noqa: T201
            arguments = command.removeprefix("kerasal ")
            environment = {**os.environ, "PYTHONPATH": str(DOCS.parent)}
            line = f"{sys.executable} -m kerasal {arguments}"
            subprocess.run(["bash", "-c", line], cwd=work, env=environment, check=True, stdout=subprocess.DEVNULL)
            picture = Image.open(pathlib.Path(work, f"{name}.jpg")).convert("RGB")
            picture.thumbnail((WIDTH, WIDTH))
            picture.save(pathlib.Path(work, "small.jpg"), quality=85)
            shutil.copy(pathlib.Path(work, "small.jpg"), FOLDER / f"{name}.jpg")


if __name__ == "__main__":
    folder = os.environ.get("KERASAL_DATA")
    main(sys.argv[1:], pathlib.Path(folder) if folder else None)
