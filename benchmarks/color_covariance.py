"""Measure the covariance of the colors of photos, the constant of ``kerasal.maximization``'s decorrelated colors.

    python benchmarks/color_covariance.py DATA/imagenet1000/images

The script prints the covariance matrix of red, green and blue (0..1) over all pixels of all images in the folder, and
the share of each principal axis. Every photo has the same weight.
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np

from kerasal import images


def covariance(folder):
    """Return the covariance (3, 3) of RGB in 0..1 and the number of images."""
    means, products = [], []
    for path in sorted(pathlib.Path(folder).iterdir()):
        pixels = images.read(path).reshape(-1, 3) / 255.0
        means.append(pixels.mean(axis=0))
        products.append(pixels.T @ pixels / len(pixels))
    mean = np.mean(means, axis=0)
    return np.mean(products, axis=0) - np.outer(mean, mean), len(means)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    matrix, count = covariance(parser.parse_args().folder)
    print(f"{count} images, covariance of R, G, B in 0..1:")
    print(np.array2string(matrix, precision=5, separator=", "))
    values, vectors = np.linalg.eigh(matrix)
    for value, vector in zip(values[::-1], vectors.T[::-1], strict=True):
        print(f"{value / values.sum():7.2%} along {np.round(vector, 2)}")


if __name__ == "__main__":
    main()
