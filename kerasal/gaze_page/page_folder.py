"""``kerasal.gaze_page.build``: the folder of a page that predicts gaze in the browser."""

import dataclasses
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Sequence

import jinja2
import numpy as np

from kerasal import images
from kerasal._version import __version__
from kerasal.files import atomic_write
from kerasal.gaze import Predictor
from kerasal.gaze_page import web_runtime
from kerasal.gaze_page.page_model import compare_maps, convert_predictor
from kerasal.images import size_like
from kerasal.images.colormaps import color_scale
from kerasal.images.image_files import MAX_PIXELS
from kerasal.models.opener import open_model
from kerasal.page_templates import make_environment
from kerasal.preprocessing import Preprocessing
from kerasal.serving.onnx_graph import need_converter

import keras

KIND = "kerasal gaze page"
TITLE = "Where will people look?"
_ASSETS = pathlib.Path(__file__).parent / "templates"
_BUNDLED = pathlib.Path(images.__file__).parents[1] / "assets"
_EXAMPLES = ("cat", "coffee", "rocket", "admiral")
_LICENSES = """This folder contains

* the page and its scripts, made with kerasal {version} (Apache-2.0);
* model.onnx, the gaze model {name!r}; the weights that are installed with kerasal are Apache-2.0;
* runtime/, files of ONNX Runtime Web {runtime} (MIT; see runtime/LICENSE and runtime/ThirdPartyNotices.txt);
* examples/, {examples}.
"""


@dataclasses.dataclass(frozen=True)
class GazePage:
    """The result of ``build``.

    Attributes:
        folder: the folder of the page; a web server must serve it, see ``kerasal gaze page``.
        files: the files that were written, relative to the folder.
        size: their size in bytes.
        runtime: version of ONNX Runtime Web.
        difference: largest difference of the converted model's maps from TensorFlow's on the examples, relative to the
            largest value of each map.
    """

    folder: pathlib.Path
    files: list[str]
    size: int
    runtime: str
    difference: float


def build(
    output_dir: str | os.PathLike,
    model: "str | os.PathLike | keras.Model | Predictor | None" = None,
    *,
    preprocessing: str | Preprocessing | None = None,
    size: tuple[int, int] | None = None,
    runtime: str | os.PathLike | None = None,
    title: str = TITLE,
    examples: Sequence[str | os.PathLike] | None = None,
    name: str | None = None,
) -> GazePage:
    """Write the folder of a web page that predicts gaze offline, and return what was written.

    The page predicts a dropped photo, a chosen file or the webcam on the user's device, with the maps, hotspots and
    sizes of ``kerasal.gaze.predict``. Every file is in the folder. Before anything is written, the converted model is
    compared with TensorFlow on the examples.

    Args:
        output_dir: the folder: new, empty, or one that ``build`` wrote; its other files are kept.
        model: a gaze model: a file, a zoo name, a ``keras.Model`` or a ``kerasal.gaze.Predictor``, which contains the
            next two options. By default the zoo's ``gaze`` with its bundled weights.
        preprocessing: how pixels become inputs of the model; by default as recognized, else 0..1.
        size: (height, width) to which photos are resized, for a model that takes any size; see ``Predictor``.
        runtime: a folder with the npm package onnxruntime-web. With None, ``npm`` fetches it.
        title: the heading of the page.
        examples: photos that the page offers; by default four that are installed with kerasal.
        name: display name of the model.

    Returns:
        ``GazePage``.

    Raises:
        ModuleNotFoundError: onnx, onnxruntime or tf2onnx is not installed.
        FileExistsError: the folder has other files.
        FileNotFoundError: ``runtime`` lacks the package, or a photo does not exist.
        NoRuntime: a RuntimeError; npm is not installed or cannot get the package.
        ValueError: the model is no gaze model, cannot be converted, or computes other maps after it.
    """
    folder = pathlib.Path(output_dir)
    earlier = check_folder(folder)
    need_converter(".")
    web_runtime.check_runtime(runtime)  # before the model is opened
    photos = _read_examples(examples)
    predictor, name = _open(model, preprocessing, size, name)
    with web_runtime.open_runtime(runtime) as (runtime_folder, version):
        settings = describe_page(predictor, name, version)
        with tempfile.TemporaryDirectory(prefix="kerasal-") as temporary:
            draft = pathlib.Path(temporary)
            (draft / "model.onnx").write_bytes(convert_predictor(predictor).SerializeToString())
            difference = compare_maps(predictor, draft / "model.onnx", photos.values())
            _copy_assets(draft, runtime_folder)
            shown = _write_examples(draft, photos)
            _render(draft, settings, title, folder, shown)
            _write_licenses(draft, settings, examples is None)
            return _publish(draft, folder, settings, earlier, difference)


def check_folder(folder: pathlib.Path) -> list[str]:
    """Return the files that an earlier page has in a folder; raise ``FileExistsError`` if it has only others."""
    if folder.is_file():
        raise FileExistsError(f"output_dir must be a folder, got the file {folder}. Choose another path.")
    if not folder.is_dir() or not any(folder.iterdir()):
        return []
    try:
        earlier = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
        if earlier["kind"] == KIND:
            return [file for file in earlier["files"] if ".." not in file and not pathlib.PurePath(file).is_absolute()]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise FileExistsError(
        f"output_dir must be new, empty or the folder of an earlier page, got {folder}, which has other files. Choose "
        "another folder."
    )


def describe_page(predictor: Predictor, name: str, runtime: str) -> dict:
    """Return the settings of a page, which its scripts read: what they need of ``kerasal.gaze`` as numbers."""
    default = size_like.__kwdefaults__ or {}
    return {
        "kind": KIND,
        "version": __version__,
        "name": name,
        "runtime": runtime,
        "size": predictor.size,
        "image_size": None if predictor.size else predictor.image_size,
        "step": default["step"],
        "narrow": default["narrow"],
        "max_pixels": MAX_PIXELS,
        "log_density": predictor.gives_log_density,
        "postprocess": predictor.postprocess,
        "colors": {"heat": color_scale("overlay").tolist(), "map": color_scale("heat").tolist()},
    }


def _open(model, preprocessing, size, name) -> tuple[Predictor, str]:
    if isinstance(model, Predictor):
        return model, name or model.model.name
    opened = open_model("gaze" if model is None else model, preprocessing=preprocessing, size=size)
    return Predictor.from_image_model(opened), name or opened.name


def _read_examples(paths: Sequence[str | os.PathLike] | None) -> dict[str, np.ndarray]:
    """Return the photos of a page by file name."""
    chosen = [_BUNDLED / f"{name}.jpg" for name in _EXAMPLES] if paths is None else list(map(pathlib.Path, paths))
    photos = {}
    for path in chosen:
        photos[path] = images.read(path)
    return photos


def _write_examples(draft: pathlib.Path, photos: dict) -> list[dict[str, str]]:
    """Copy the photos that a browser can read, and write the others as PNG; return their paths and names."""
    (draft / "examples").mkdir()
    shown = []
    for number, (path, photo) in enumerate(photos.items(), 1):
        name = path.stem
        safe = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in name) or "photo"
        readable = path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp")
        file = f"examples/{number}-{safe}{path.suffix.lower() if readable else '.png'}"
        if readable:
            shutil.copyfile(path, draft / file)
        else:
            images.write(draft / file, photo)
        shown.append({"path": file, "name": path.name})
    return shown


def _copy_assets(draft: pathlib.Path, runtime_folder: pathlib.Path) -> None:
    import onnxruntime

    assets, runtime = draft / "assets", draft / "runtime"
    assets.mkdir()
    runtime.mkdir()
    for script in [*_ASSETS.glob("*.js"), *_ASSETS.glob("*.css")]:
        shutil.copyfile(script, assets / script.name)
    atlas = jinja2.PackageLoader("kerasal.atlas")  # the page shares the colors and the type of the atlas
    (assets / "atlas.css").write_text(atlas.get_source(jinja2.Environment(), "atlas.css")[0], encoding="utf-8")
    for name in web_runtime.FILES:
        shutil.copyfile(runtime_folder / name, runtime / name)
    for name in ("LICENSE", "ThirdPartyNotices.txt"):  # the npm package has neither
        notice = pathlib.Path(onnxruntime.__file__).parent / name
        if not notice.is_file():
            raise FileNotFoundError(f"The license {notice} of onnxruntime is missing. Install onnxruntime again.")
        shutil.copyfile(notice, runtime / name)


def _render(draft: pathlib.Path, settings: dict, title: str, folder: pathlib.Path, examples: list) -> None:
    page = make_environment(jinja2.PackageLoader("kerasal.gaze_page"), {}).get_template("index.html")
    text = page.render(settings=settings, title=title, folder=folder.name or "site", examples=examples)
    (draft / "index.html").write_text(text, encoding="utf-8")


def _write_licenses(draft: pathlib.Path, settings: dict, bundled: bool) -> None:
    examples = "photos that are CC0 or in the public domain, by Stéfan van der Walt, Rachel Michetti, SpaceX, U.S. Navy"
    text = _LICENSES.format(
        version=settings["version"],
        name=settings["name"],
        runtime=settings["runtime"],
        examples=examples if bundled else "photos that were chosen for this page",
    )
    (draft / "LICENSES.txt").write_text(text, encoding="utf-8")


def _publish(
    draft: pathlib.Path, folder: pathlib.Path, settings: dict, earlier: list[str], difference: float
) -> GazePage:
    """Move the finished files into the folder, the settings last, and remove what only the earlier page had."""
    files = sorted(path.relative_to(draft).as_posix() for path in draft.rglob("*") if path.is_file())
    for file in files:
        with atomic_write(folder / file) as temporary:
            shutil.copyfile(draft / file, temporary)
    with atomic_write(folder / "settings.json") as temporary:
        temporary.write_text(json.dumps({**settings, "files": files}), encoding="utf-8")
    for file in set(earlier) - set(files):
        (folder / file).unlink(missing_ok=True)
    files.append("settings.json")
    size = sum((folder / file).stat().st_size for file in files)
    return GazePage(folder, files, size, settings["runtime"], difference)
