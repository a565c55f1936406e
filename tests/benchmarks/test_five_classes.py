"""The comparison of the five-class model with pretrained models, on little data."""

import pathlib
import sys
import types

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))
import five_classes


class Photos(list):
    def load_images(self, index):
        return np.array([self[i] for i in index])


def test_the_answer_is_the_largest_of_the_five_outputs():
    scores = [[[[9.0]], [[0]], [[2]], [[1]]], [[[9]], [[3]], [[1]], [[2]]]]
    photos = Photos(np.float32(scores))
    model = types.SimpleNamespace(predict_on_batch=lambda inputs: inputs[..., 0, 0])
    assert five_classes.answers(model, photos, "none").tolist() == [0, 0]
    assert five_classes.answers(model, photos, "none", [3, 2, 1]).tolist() == [1, 2]


@pytest.mark.slow
def test_the_table_on_little_data(data_folder, tmp_path, capsys, monkeypatch):
    models = data_folder / "models"
    files = [models / "squeezenet_v1_1_imagenet_q8.keras", models / "vgg16_edges_conv.npz"]
    arguments = [data_folder / "tiny_imagenet10", *files, "-o", tmp_path, "--seeds", "2", "--small"]
    monkeypatch.setattr(sys, "argv", ["five_classes.py", *map(str, arguments)])
    five_classes.main()
    printed = capsys.readouterr().out
    assert "Mean of 2 seeds" in printed and "SqueezeNet, five of its outputs" in printed
