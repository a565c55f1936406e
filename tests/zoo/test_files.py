"""The zoo's files: one model in each, under its name; the former names lead there."""

import pathlib

import pytest

import kerasal
from kerasal import zoo

FILES = sorted(path.stem for path in pathlib.Path(zoo.__file__).parent.glob("*.py") if not path.stem.startswith("_"))


def test_a_file_is_named_like_the_model_that_it_holds():
    homes = {name: kerasal.model_spec(name).build.__module__ for name in kerasal.list_models()}
    assert {name: home for name, home in homes.items() if home.startswith("kerasal.zoo.")} == {
        name: f"kerasal.zoo.{name}" for name in FILES
    }
    assert FILES == sorted(zoo.__all__) == dir(zoo)


@pytest.mark.parametrize(
    ("former", "name"),
    [
        ("krizhevsky", "alexnet"),
        ("zeiler_fergus", "zfnet"),
        ("simonyan", "simonyan_cnn"),
        ("five_class", "five_class_cnn"),
        ("mnist", "mnist_cnn"),
        ("vgg", "vgg16"),
        ("vgg", "vgg19"),
    ],
)
def test_former_names_warn(former, name):
    with pytest.warns(DeprecationWarning, match=rf"zoo\.{former} is called .*{name}.* now"):
        file = getattr(zoo, former)
    assert getattr(file, name) is kerasal.model_spec(name).build


def test_another_name_is_refused():
    with pytest.raises(AttributeError, match=r"'lenet'\. Its models are alexnet"):
        _ = zoo.lenet
    with pytest.raises(AttributeError, match="'attribution'"):
        _ = zoo.gaze.attribution
