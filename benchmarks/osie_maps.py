"""Make two classical saliency maps of the OSIE test images (1501-1700), and their fixations, for ``kerasal score``.

    python benchmarks/osie_maps.py DATA/osie work/osie
    kerasal score work/osie/spectral_residual work/osie/fixations.csv --sigma 9.6 -o work/osie/spectral_residual.csv

The images are 320 x 240 (original 800 x 600), so OSIE's blur of 24 px is 9.6 px here.
"""

import argparse
import pathlib

import numpy as np
import pandas as pd
from PIL import Image

from kerasal.metrics import center_map
from kerasal.metrics.blur import gaussian_blur


def spectral_residual(gray: np.ndarray) -> np.ndarray:
    """Return the map of Hou & Zhang 2007: the log-spectrum minus its local average, at a width of 64 pixels."""
    small = np.asarray(Image.fromarray(gray).resize((64, 48), Image.Resampling.BICUBIC), float)
    spectrum = np.fft.fft2(small)
    log_amplitude = np.log(np.abs(spectrum) + 1e-9)
    padded = np.pad(log_amplitude, 1, mode="wrap")
    average = sum(padded[y : y + 48, x : x + 64] for y in range(3) for x in range(3)) / 9
    residual = np.exp(log_amplitude - average + 1j * np.angle(spectrum))
    saliency = gaussian_blur(np.abs(np.fft.ifft2(residual)) ** 2, 2.5)
    return np.asarray(Image.fromarray(saliency.astype(np.float32)).resize(gray.shape[::-1], Image.Resampling.BICUBIC))


def save(map_: np.ndarray, path: pathlib.Path) -> None:
    scaled = (map_ - map_.min()) / (map_.max() - map_.min())
    Image.fromarray(np.round(scaled * 65535).astype(np.uint16)).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("osie", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    options = parser.parse_args()
    rows = dict(np.load(options.osie / "fixations.npz"))
    names = [pathlib.PurePath(str(name)).stem for name in rows["names"]]
    for kind in ("spectral_residual", "center_gaussian"):
        (options.output / kind).mkdir(parents=True, exist_ok=True)
    tables = []
    for index, name in enumerate(names):
        if not 1501 <= int(name) <= 1700:
            continue
        gray = np.asarray(Image.open(options.osie / "images" / f"{name}.jpg").convert("L"))
        save(spectral_residual(gray), options.output / "spectral_residual" / f"{name}.png")
        save(center_map(gray.shape), options.output / "center_gaussian" / f"{name}.png")
        selected = rows["img"] == index
        width, height = rows["size_wh"]
        x, y = (
            np.clip(np.floor(rows[axis][selected] + 0.5), 1, size) - 1 for axis, size in (("x", width), ("y", height))
        )
        scale_x, scale_y = gray.shape[1] / width, gray.shape[0] / height
        positions = {"x": np.floor((x + 0.5) * scale_x).astype(int), "y": np.floor((y + 0.5) * scale_y).astype(int)}
        tables.append(pd.DataFrame({"image": name, **positions}))
    pd.concat(tables).to_csv(options.output / "fixations.csv", index=False)
    print(f"{len(tables)} images in {options.output}")


if __name__ == "__main__":
    main()
