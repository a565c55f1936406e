"""The pictures that ``kerasal attribute METHOD`` writes: a page, a sheet of several maps, or a folder of overlays."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from typer import BadParameter, Exit

from kerasal.cli import options
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
        photos: the photos' files by unique names.
        output: a picture, a ``.npy`` file for a single map, or a folder.
        drawing: options of ``Explanation.page``, and ``dpi``.
        skipped: why each photo that cannot be read is left out.
    """

    method: str
    photos: Mapping[str, Path]
    output: Path
    drawing: dict[str, Any]
    skipped: tuple[str, ...] = ()

    @classmethod
    def choose(
        cls, method: str, paths: list[Path], output: Path | None, classes: list[str] | None, drawing: dict[str, Any]
    ) -> "MapFiles":
        """Read the names of the photos and check the output; the photos are read too, since a mistake would cost time.

        Raises:
            typer.BadParameter: an output that does not fit the number of maps, or that would replace an input.
            FileNotFoundError, ValueError: no photo exists and is an image; others are skipped with a remark.
        """
        from kerasal import images

        photos = images.name_files(paths)
        count = len(photos) * max(1, len(classes or ()))
        output = output or Path(f"{next(iter(photos))}-{method}.png" if len(photos) == 1 else f"{method}.png")
        files = cls(method, photos, output, drawing)
        if files.is_folder:
            if drawing["tile"] is not None:
                raise BadParameter(
                    "--tile can only be used with a sheet; a folder gets photos at their own resolution."
                )
            options.refuse_inputs([output / f"{name}-{method}.png" for name in photos], read=photos.values())
        else:
            options.check_output(output, (*options.PICTURES, ".npy"))
        if output.suffix.lower() == ".npy" and count > 1:
            raise BadParameter(f"The output must be a picture or a folder for {count} maps, got {str(output)!r}.")
        if not files.is_folder and count + len(photos) > _MOST_TILES:
            raise BadParameter(
                f"The output must be a folder for {count} maps, got {str(output)!r}. A sheet has room for "
                f"{_MOST_TILES} pictures."
            )
        return files._without_unreadable()

    def _without_unreadable(self) -> "MapFiles":
        """Return the same without the photos that cannot be read, with a remark for each; raise if none is left."""
        from kerasal import images

        readable, errors = {}, []
        for name, file in self.photos.items():
            try:
                images.read(file)
            except (OSError, ValueError) as error:
                errors.append(error)
            else:
                readable[name] = file
        if not readable:
            raise errors[0]
        for error in errors:
            remark(f"Skipped: {error}")
        return dataclasses.replace(self, photos=readable, skipped=tuple(map(str, errors)))

    @property
    def is_folder(self) -> bool:
        """Whether the output is a folder for a picture of each map."""
        return not self.output.suffix or self.output.is_dir()

    def explain(self, model, targets: list[Any], unit: str | None, arguments: dict[str, Any]) -> None:
        """Compute, write and print the maps of all photos.

        Args:
            model: an ``ImageModel``.
            targets: what to explain in each photo, as for ``kerasal.explain``.
            unit: name of the channel that is explained instead of classes.
            arguments: further arguments of ``kerasal.explain``.
        """
        from kerasal import explain, images

        rows, listed = [], []
        for name, file in self.photos.items():
            photo = images.read(file)
            title = file.name if len(self.photos) > 1 else ""
            row = [explain(model, photo, self.method, target, **arguments) for target in targets]
            row = [dataclasses.replace(item, label=unit or item.label) for item in row]
            top = print_top_classes(model, model.show(photo)[1], title=title)
            listed.append({"image": file, "top": top, "maps": [self._describe(item) for item in row]})
            if self.is_folder:
                for item, facts in zip(row, listed[-1]["maps"], strict=True):
                    facts["output"] = self._write_overlay(name, item)
            else:
                rows.append(row)
        if not self.is_folder:
            self._write_sheet(rows)
        record(method=self.method, model=model.name, images=listed, output=self.output)
        record(skipped=list(self.skipped))
        self._report(listed, model)
        if self.skipped:
            remark(f"{count_noun(len(self.skipped), 'photo')} could not be read.")
            raise Exit(code=1)

    def _write_sheet(self, rows: list[list[Any]]) -> None:
        from kerasal import images
        from kerasal.attribution.map_sheet import explanation_sheet

        if len(rows) == len(rows[0]) == 1:
            rows[0][0].save(self.output, **self.drawing)
            return
        drawing = {name: value for name, value in self.drawing.items() if name != "dpi" and value is not None}
        sheet = explanation_sheet(rows, [file.name for file in self.photos.values()], **drawing)
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
        }

    def _report(self, listed: list[dict[str, Any]], model) -> None:
        maps = [facts for image in listed for facts in image["maps"]]
        if len(maps) > 1 or self.is_folder:
            counts = f"{count_noun(len(listed), 'photo')}, {count_noun(len(maps), 'map')}"
            say(f"{self.output}  {self.method}: {counts}")
            return
        (facts,) = maps
        details = [f"layer {facts['layer']}"] if facts["layer"] else []
        details += [f"completeness gap {facts['gap']:.3g}"] if facts["gap"] is not None else []
        say(", ".join([f"{self.output}  {self.method} of {facts['explained']}", *details]))
