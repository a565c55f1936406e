"""The benchmark of a transformer's maps runs on a few real images."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))
import transformer_maps


@pytest.mark.slow
def test_the_maps_of_a_few_images_are_scored(data_folder, tmp_path, capsys, monkeypatch):
    needed = [data_folder / name for name in ("models/dinov2_small.py", "tiny_imagenet10", "osie")]
    missing = [str(path) for path in needed if not path.exists()]
    if missing:
        pytest.skip(f"no real transformer or photos: {', '.join(missing)} missing")
    names = ("gradcam", "transformer_relevance", "attention_rollout")
    monkeypatch.setattr(transformer_maps, "METHODS", {name: transformer_maps.METHODS[name] for name in names})
    words = [*map(str, needed), "-o", str(tmp_path), "--small"]
    transformer_maps.main(words)
    first = capsys.readouterr().out
    assert "### objects, 10 images" in first and "### gaze, 2 images" in first
    assert all(f"| {name} | " in first for name in (*names, "random map", "center", "gradcam, random weights"))
    transformer_maps.main([*words, "--only", "gaze"])  # finished: nothing is computed again
    assert capsys.readouterr().out.strip() == first[first.index("### gaze") :].strip()
