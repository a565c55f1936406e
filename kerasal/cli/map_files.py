"""The pictures that ``kerasal attribute METHOD`` writes: a page, a sheet of several maps, or a folder of overlays."""

import dataclasses
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from typer import BadParameter, Exit

from kerasal.cli import options
from kerasal.cli.array_options import read_labels
from kerasal.cli.json_output import record
from kerasal.cli.model_argument import print_top_classes
from kerasal.cli.session import remark, say
from kerasal.names import count_noun

_MOST_TILES = 60


@dataclasses.dataclass(frozen=True)
class MapFiles:
    """The photos of a command, and where the maps of a method for them are written.

    Attributes:
        method: name of the method.
        photos: the files of photos or other inputs by unique names.
        output: a picture, a ``.npy`` file for a single map, or a folder.
        drawing: options of ``Explanation.page``, and ``dpi``.
        arrays: values of ``ARRAY_OPTIONS``.
        skipped: why each file that cannot be read is left out.
    """

    method: str
    photos: Mapping[str, Path]
    output: Path
    drawing: dict[str, Any]
    arrays: dict[str, Any]
    skipped: tuple[str, ...] = ()

    @classmethod
    def choose(
        cls,
        method: str,
        paths: list[Path],
        output: Path | None,
        classes: list[str] | None,
        drawing: dict[str, Any],
        arrays: dict[str, Any],
    ) -> "MapFiles":
        """Read the names of the photos and check the output; the photos are read too, since a mistake would cost time.

        Raises:
            typer.BadParameter: an output that does not fit the number of maps, or that would replace an input.
            FileNotFoundError, ValueError: no photo exists and is an image; others are skipped with a remark.
        """
        from kerasal import images

        photos = images.name_files(paths, arrays=True)
        output = output or Path(f"{next(iter(photos))}-{method}.png" if len(photos) == 1 else f"{method}.png")
        files = cls(method, photos, output, drawing, arrays)
        if files.is_folder:
            if drawing["tile"] is not None:
                raise BadParameter(
                    "--tile can only be used with a sheet; a folder gets photos at their own resolution."
                )
            options.refuse_inputs([output / f"{name}-{method}.png" for name in photos], read=photos.values())
        else:
            options.check_output(output, (*options.PICTURES, ".npy"))
        files._check_count(len(photos), len(classes or [""]))
        return files._without_unreadable()

    def _check_count(self, rows: int, columns: int) -> None:
        """Raise an error if the output has no room for the maps of ``rows`` inputs and ``columns`` classes."""
        count = rows * columns
        if self.output.suffix.lower() == ".npy" and count > 1:
            raise BadParameter(f"The output must be a picture or a folder for {count} maps, got {str(self.output)!r}.")
        if not self.is_folder and count + rows > _MOST_TILES:
            raise BadParameter(
                f"The output must be a folder for {count} maps, got {str(self.output)!r}. A sheet has room for "
                f"{_MOST_TILES} pictures."
            )

    def _without_unreadable(self) -> "MapFiles":
        """Return the same without the files that cannot be read, with a remark for each; raise if none is left."""
        from kerasal import images
        from kerasal.images.array_files import ARRAY_SUFFIXES
        from kerasal.images.volume_files import is_volume_file

        def check(file: Path) -> None:
            if file.suffix.lower() in ARRAY_SUFFIXES:
                images.read_array(file, self.arrays["array"])
            elif not is_volume_file(file):  # a volume takes seconds to read, and is read once
                with warnings.catch_warnings(action="ignore", category=images.ReducedDepth):  # see read_examples
                    images.read(file)

        readable, errors = _keep_readable(self.photos, check)
        return dataclasses.replace(self, photos={name: self.photos[name] for name in readable}, skipped=errors)

    @property
    def is_folder(self) -> bool:
        """Whether the output is a folder for a picture of each map."""
        return not self.output.suffix or self.output.is_dir()

    def explain(
        self, model, make_targets: Callable[[Any], list[Any]], unit: str | None, arguments: dict[str, Any]
    ) -> None:
        """Compute, write and print the maps of all inputs.

        Args:
            model: an ``ImageModel``.
            make_targets: returns what to explain in an ``Example``, a list of targets as for ``kerasal.explain``; the
                lists of all inputs have the same length.
            unit: name of the channel that is explained instead of classes.
            arguments: further arguments of ``kerasal.explain``.
        """
        from kerasal.attribution.explanation import explain_example

        inputs, skipped = self._read_inputs(model)
        targets_of = {name: make_targets(example) for name, (_, _, example) in inputs.items()}
        self._check_count(len(inputs), len(next(iter(targets_of.values()))))
        rows, listed = [], []
        for name, (file, title, example) in inputs.items():
            row = [explain_example(model, example, self.method, target, **arguments) for target in targets_of[name]]
            row = [dataclasses.replace(item, label=unit or item.label) for item in row]
            if example.photo is None:
                row = [item.label_axes(**read_labels(self.arrays)) for item in row]
            top = print_top_classes(model, example.inputs, title=title if len(inputs) > 1 else "")
            listed.append({"image": file, "top": top, "maps": [self._describe(item) for item in row]})
            if self.is_folder:
                for item, facts in zip(row, listed[-1]["maps"], strict=True):
                    facts["output"] = self._write_overlay(name, item)
            else:
                rows.append(row)
        if not self.is_folder:
            self._write_sheet(rows, [title for _, title, _ in inputs.values()])
        record(method=self.method, model=model.name, images=listed, output=self.output)
        record(skipped=[*self.skipped, *skipped])
        self._report(
            listed, "photo" if all(example.photo is not None for _, _, example in inputs.values()) else "input"
        )
        if left_out := len(self.skipped) + len(skipped):
            remark(f"{count_noun(left_out, 'file')} could not be read.")
            raise Exit(code=1)

    def _read_inputs(self, model) -> tuple[dict[str, tuple[Path, str, Any]], tuple[str, ...]]:
        """Return file, title and input by unique name, and why files are left out; a batch has a number per input."""
        from kerasal.images.volume_files import is_volume_file
        from kerasal.models.examples import read_examples

        read, errors = _keep_readable(self.photos, lambda file: read_examples(model, file, array=self.arrays["array"]))
        inputs = {}
        for name, examples in read.items():
            file = self.photos[name]
            for number, example in enumerate(examples):
                several = len(examples) > 1
                key, title = (f"{name}-{number}", f"{file.name} {number}") if several else (name, file.name)
                inputs[key] = file, title, example
            if is_volume_file(file):
                low, high = (float(end) for end in (examples[0].inputs.min(), examples[0].inputs.max()))
                remark(f"{file.name}: its values, {low:.4g} to {high:.4g}, are passed to the model as they are.")
        return inputs, errors

    def _write_sheet(self, rows: list[list[Any]], names: list[str]) -> None:
        from kerasal import images
        from kerasal.attribution.map_sheet import explanation_sheet

        if len(rows) == len(rows[0]) == 1:
            rows[0][0].save(self.output, **self.drawing)
            return
        drawing = {name: value for name, value in self.drawing.items() if name != "dpi" and value is not None}
        sheet = explanation_sheet(rows, names, **drawing)
        images.write(self.output, sheet, dpi=self.drawing["dpi"])

    def _write_overlay(self, name: str, explanation: Any) -> Path:
        """Write a map over its photo, at the resolution of the photo; return the path."""
        from kerasal import images

        words = re.sub(r"[^\w.-]+", "-", explanation.label)
        path = self.output / f"{name}-{words}-{self.method}.png"
        drawing = {name: self.drawing[name] for name in ("on", "strength", "colormap")}
        return images.write(path, explanation.overlay(**drawing), dpi=self.drawing["dpi"])

    def _describe(self, explanation: Any) -> dict[str, Any]:
        return {
            "explained": explanation.label,
            "number": explanation.class_index,
            "score": explanation.score,
            "layer": explanation.layer,
            "gap": explanation.gap,
            "standard_error": explanation.standard_error,
        }

    def _report(self, listed: list[dict[str, Any]], noun: str) -> None:
        maps = [facts for image in listed for facts in image["maps"]]
        if len(maps) > 1 or self.is_folder:
            counts = f"{count_noun(len(listed), noun)}, {count_noun(len(maps), 'map')}"
            say(f"{self.output}  {self.method}: {counts}")
            return
        (facts,) = maps
        details = [f"layer {facts['layer']}"] if facts["layer"] else []
        details += [f"completeness gap {facts['gap']:.3g}"] if facts["gap"] is not None else []
        if facts["standard_error"] is not None:
            details.append(f"standard error {facts['standard_error']:.0%} of the largest value")
        say(", ".join([f"{self.output}  {self.method} of {facts['explained']}", *details]))


def _keep_readable(photos: Mapping[str, Path], read: Callable[[Path], Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what ``read`` returns of each file that it can read, and the errors of the others, with remarks.

    Raises:
        Exception: no file can be read; the error of the first.
    """
    results, errors = {}, []
    for name, file in photos.items():
        try:
            results[name] = read(file)
        except (OSError, ValueError) as error:
            errors.append(error)
    if not results:
        raise errors[0]
    for error in errors:
        remark(f"Skipped: {error}")
    return results, tuple(map(str, errors))
