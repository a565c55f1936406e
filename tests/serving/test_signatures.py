"""Signatures as text: what is understood, and what is said of the rest."""

import pytest

from kerasal import attribution
from kerasal.serving.signatures import Signature, kinds, make_signatures, parse


def test_options_get_the_types_of_the_method():
    found = parse("soft=smoothgrad:samples=20, noise=0.3,squared=true,on=bytes,target=7,size=48x64")
    assert (found.name, found.kind) == ("soft", "smoothgrad")
    expected = {"samples": 20, "noise": 0.3, "squared": True, "on": "bytes", "target": 7, "size": (48, 64), "seed": 0}
    assert expected.items() <= found.options.items()
    assert parse("occlusion:fill=mean").options["fill"] == "mean"
    assert parse("occlusion:fill=0.5x-1").options["fill"] == (0.5, -1.0)
    with pytest.raises(ValueError, match=r"a number or one per channel, such as 0\.5x0\.4x0\.4 or mean, blur"):
        parse("occlusion:fill=0.5xred")
    assert parse("occlusion:fill=2").options["fill"] == 2.0
    assert parse("occlusion:incremental=false").options["incremental"] is False
    assert parse("integrated_gradients:baseline=blur").options["baseline"] == "blur"
    assert parse("integrated_gradients:baseline=1.5").options["baseline"] == 1.5
    assert parse("gradcam:layer=none").options["layer"] is None
    assert parse("crop_averaged_saliency:crop=100x90").options["crop"] == (100, 90)
    assert parse("maximize:layer=conv1,steps=5,canvas=auto").options["canvas"] == "auto"


def test_every_kind_has_a_signature_without_options():
    assert set(attribution.list_methods()) < set(kinds())
    for kind in kinds():
        (found,) = make_signatures([kind])
        assert found.name == ("serving_default" if kind == "predict" else kind)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("smothgrad", "Did you mean smoothgrad"),
        ("smoothgrad:sample=3", "Did you mean samples"),
        ("smoothgrad:samples=many", "samples must be an integer, got 'many'"),
        ("smoothgrad:samples", "must be written option=value, got 'samples'"),
        ("smoothgrad:squared=1", "squared must be true or false"),
        ("class_saliency:channel_reduction=median", "max_abs, mean_abs, norm, sum"),
        ("class_saliency:target=ostrich", "target must be top, class"),
        ("class_saliency:target=-1", "target must be top, class"),
        ("lime:segments=5", r"segments must be an array \(in Python only\) or none, got '5'"),
        ("class_saliency:size=224", "size must be HEIGHTxWIDTH or none"),
        ("class_saliency:on=paper", "inputs, image, bytes"),
        ("two words=class_saliency", "letters, digits and underscores"),
        ("occlusion:progress=true", "no progress bar"),
        ("predict_image:on=bytes", "on must be image for predict_image"),
        ("maximize:target=top", "target must be class for maximize"),
    ],
)
def test_what_cannot_be_read_says_why(text, says):
    with pytest.raises(ValueError, match=says):
        make_signatures([text])


def test_names_are_told_apart():
    with pytest.raises(ValueError, match="must differ, got 'gradcam' twice"):
        make_signatures(["gradcam", "gradcam:layer=conv1"])
    assert len(make_signatures(["gradcam", "early=gradcam:layer=conv1"])) == 2
    with pytest.raises(ValueError, match="at least one signature"):
        make_signatures([])


def test_python_gives_what_a_text_cannot():
    (found,) = make_signatures([Signature("mine", "integrated_gradients", {"baseline": [[[1.0, 2.0, 3.0]]]})])
    assert found.options["baseline"] == [[[1.0, 2.0, 3.0]]]
    assert found.options["steps"] == 50
    with pytest.raises(ValueError, match="Unknown option 'base'"):
        make_signatures([Signature("mine", "integrated_gradients", {"base": 1})])
