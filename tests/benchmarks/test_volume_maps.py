"""The benchmark of 3-D maps: patches are cut around their centers, and no voxel is in both sets."""

import pathlib
import sys

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))
import volume_maps


@pytest.fixture
def folder(tmp_path):
    """A generated brain: brightness numbers the coronal planes, and gray matter comes in blocks."""
    nibabel = pytest.importorskip("nibabel")
    random = np.random.default_rng(0)
    gray = np.kron(random.random((12, 46, 12)) < 0.5, np.ones((5, 5, 5)))
    planes = np.broadcast_to(np.arange(1, 231)[None, :, None], gray.shape)
    for name, voxels in (("brain_t1_1mm", planes), ("brain_gm_1mm", 200 * gray)):
        nibabel.save(nibabel.Nifti1Image(voxels.astype(np.uint8), np.eye(4)), tmp_path / f"{name}.nii.gz")
    return tmp_path


def test_patches_have_their_class_at_the_center_and_sets_share_no_voxel(folder):
    brain = volume_maps.Brain(folder)
    planes = {}
    for front in (False, True):
        x, y = brain.task("center", front, 60, 0)
        assert x.shape == (60, 13, 13, 13, 1) and y.mean() == 0.5
        planes[front] = np.unique(np.round(x * 230))
    assert planes[False].max() < planes[True].min()
    centers = brain.centers(brain.gray > 0.6, True, 30, np.random.default_rng(0))
    assert (brain.cut(brain.gray, centers)[:, 6, 6, 6] == 1).all()
    x, gray = brain.scored(20)
    assert len(x) == 20 and gray[:, 6, 6, 6].all() and gray.mean(axis=(1, 2, 3)).min() > 0.2


def test_the_amount_is_that_of_the_whole_patch(folder, monkeypatch):
    brain = volume_maps.Brain(folder)
    monkeypatch.setattr(brain, "t1", brain.gray + 1)  # so that the patches themselves show the gray matter
    x, y = brain.task("amount", False, 40, 0)
    amounts = (x > 1.5).mean(axis=(1, 2, 3, 4))
    assert amounts[y == 1].min() > amounts[y == 0].max() and 0.4 < y.mean() < 0.6


@pytest.mark.slow
def test_the_script_runs_and_continues(folder, capsys):
    words = [str(folder), "-o", str(folder / "runs"), "--small"]
    volume_maps.main(words)
    first = capsys.readouterr().out
    assert "### center, 3 test patches, 1 seeds" in first and "### amount − center" in first
    rows = (*volume_maps.METHODS, "random map", "brightness", "gradcam, shuffled weights")
    assert all(f"| {row} | " in first for row in rows)
    volume_maps.main(words)  # finished: nothing is computed again
    assert capsys.readouterr().out == first
