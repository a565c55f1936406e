"""Creatures of known parts: what is random, what the class decides, and the same image without a part."""

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from kerasal import datasets, images
from kerasal.datasets.known_folders import is_known_parts, read_known_parts


def test_images_masks_and_names_have_their_shapes_and_classes_in_turn():
    data = datasets.known_parts(6, size=40)
    assert data.images.shape == (6, 40, 40, 3) and data.images.dtype == np.uint8
    assert data.part_masks.shape == (6, 7, 40, 40) and data.part_masks.dtype == bool
    assert data.classes.tolist() == [0, 1, 2, 3, 0, 1] and data.class_names == ("antennae", "comb", "fan", "horn")
    assert len(data) == 6 and data.deciding == ("crest",) and (data.patterns == -1).all()
    assert data.part_masks.any(axis=(2, 3)).all()  # every part is visible
    assert (data.part_masks.sum(axis=1) + data.background_masks == 1).all()  # each pixel belongs to one thing
    assert not data.distractor_masks.any()


def test_an_image_depends_on_seed_and_index_alone():
    data = datasets.known_parts(5, seed=3)
    assert np.array_equal(data.images, datasets.known_parts(5, seed=3).images)
    part = datasets.known_parts(2, seed=3, start=3)
    assert np.array_equal(data.images[3:], part.images) and np.array_equal(data.classes[3:], part.classes)
    assert not np.array_equal(data.images[0], datasets.known_parts(1, seed=4).images[0])


@pytest.mark.parametrize("part", ["crest", "eye", "tail"])
def test_without_a_part_the_image_changes_there_alone(part):
    data, other = datasets.known_parts(4, distractors=2), datasets.known_parts(4, distractors=2, without=part)
    assert not other.mask(part).any()
    changed = (data.images.astype(int) != other.images).any(axis=-1)
    assert (changed & data.mask(part)).sum() > 0.9 * data.mask(part).sum()
    assert not (changed & ~_around(data.mask(part))).any()
    rest = [name for name in data.part_names if name != part]
    lost = data.mask(*rest) & ~other.mask(
        *rest
    )  # what was behind the part is visible; only pixels at its edge are lost
    assert lost.sum() < 0.02 * data.mask(*rest).sum() and not (lost & ~_around(data.mask(part))).any()


def test_options_change_one_thing_and_leave_the_creatures():
    plain = datasets.known_parts(8)
    for options in ({"background": "textured"}, {"background": "spurious"}):
        other = datasets.known_parts(8, **options)
        core = ~_around(plain.background_masks)
        assert core.mean() > 0.05 and np.array_equal(plain.images[core], other.images[core])
        assert np.array_equal(plain.part_masks, other.part_masks)
        assert (plain.images != other.images).any(axis=-1).mean() > 0.5
    loose = datasets.known_parts(8, distractors=3)
    assert (plain.part_masks != loose.part_masks).sum() < 0.01 * plain.part_masks.sum()
    assert loose.distractor_masks.any(axis=(1, 2)).all()
    far = ~_around(loose.distractor_masks)
    assert np.array_equal(plain.images[far], loose.images[far])


def _around(masks):
    """Return masks that are two pixels wider on every side."""
    return binary_dilation(masks, np.ones((1, 5, 5)))


def _fullness(masks):
    """Return how much of its bounding box a mask fills, which tells round from branched shapes."""
    corners = [np.nonzero(mask) for mask in masks]
    return np.array([len(y) / ((np.ptp(y) + 1) * (np.ptp(x) + 1)) for y, x in corners])


def test_the_tail_follows_the_class_only_with_two_causes():
    def spread(causes):
        data = datasets.known_parts(60, causes=causes)
        fullness = _fullness(data.mask("tail"))
        return np.ptp([fullness[data.classes == label].mean() for label in range(4)])

    assert datasets.known_parts(1, causes=2).deciding == ("crest", "tail")
    assert spread(2) > 0.2 > spread(1)


@pytest.mark.slow
def test_the_pattern_follows_the_class_in_the_given_share_of_images():
    def agreeing(**options):
        data = datasets.known_parts(60, size=32, **options)
        return np.mean(data.patterns == data.classes)

    assert agreeing(background="spurious", cue_share=1) == 1 and agreeing(background="spurious", cue_share=0) == 0
    assert 0.55 < agreeing(background="spurious", cue_share=0.7) < 0.85
    assert 0.1 < agreeing(background="textured") < 0.4


@pytest.mark.parametrize("causes", [1, 2])
def test_missing_parts_never_take_all_that_decides(causes):
    data = datasets.known_parts(100, size=32, causes=causes, missing=0.4)
    shown = data.part_masks.any(axis=(2, 3))
    share = dict(zip(data.part_names, shown.mean(axis=0), strict=True))
    assert data.mask().any(axis=(1, 2)).all()
    assert 0.45 < share["wing"] < 0.75
    if causes == 1:
        assert share["crest"] == 1 and 0.45 < share["tail"] < 0.75
    else:
        assert 0.68 < share["crest"] < 0.92 and 0.68 < share["tail"] < 0.92


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "count must be a positive integer, got 0"),
        ({"seed": -1}, "seed must be 0 or a positive integer"),
        ({"size": 16}, "size must be an integer in 32..1024, got 16"),
        ({"causes": 3}, "causes must be 1 or 2, got 3"),
        ({"distractors": -1}, "distractors must be an integer in 0..20"),
        ({"background": "sky"}, "background must be one of plain, textured, spurious, got 'sky'"),
        ({"cue_share": 2}, "cue_share must be a finite number in 0..1"),
        ({"missing": 1}, "missing must be a finite number of at least 0 and below 1"),
        ({"without": "crests"}, "Unknown part 'crests'. Did you mean crest"),
        ({"without": ["eye", "nose"]}, "Unknown part 'nose'"),
    ],
)
def test_options_out_of_range_are_errors(options, message):
    with pytest.raises(ValueError, match=message):
        datasets.known_parts(**({"count": 1} | options))


def test_an_unknown_part_of_a_mask_is_an_error():
    with pytest.raises(ValueError, match="Unknown part 'tial'"):
        datasets.known_parts(1).mask("tial")


def test_class_folders_hold_the_images_and_are_not_written_twice(tmp_path):
    folder = datasets.write_known_parts(tmp_path / "parts", train=12, test=4, seed=5, missing=0, background="spurious")
    train, test = datasets.class_images(folder, (64, 64, 3))
    assert train.names == ["antennae", "comb", "fan", "horn"] and len(train) == 12 and len(test) == 4
    data = datasets.known_parts(12, 5, background="spurious")
    assert np.array_equal(train.load_images([0]), data.images[:1]) and train.files[1].name == "00004.png"
    free = datasets.known_parts(4, 6, background="textured")
    assert np.array_equal(test.load_images(range(4)), free.images)
    mask = images.read(folder / "masks" / "comb" / "00001.png")[..., 0] > 0
    assert np.array_equal(mask, free.mask()[1])
    (folder / "train" / "fan" / "00002.png").unlink()
    datasets.write_known_parts(folder, train=12, test=4, seed=5, missing=0, background="spurious")
    assert not (folder / "train" / "fan" / "00002.png").exists()
    with pytest.raises(ValueError, match="has images with the options"):
        datasets.write_known_parts(folder, train=12, test=4)


def test_an_interrupted_folder_is_completed(tmp_path, monkeypatch):
    write, count = images.write, []

    def stop(path, image):
        if len(count) == 5:
            raise KeyboardInterrupt
        count.append(path)
        return write(path, image)

    monkeypatch.setattr(images, "write", stop)
    with pytest.raises(KeyboardInterrupt):
        datasets.write_known_parts(tmp_path, train=8, test=4)
    monkeypatch.undo()
    datasets.write_known_parts(tmp_path, train=8, test=4)
    assert len(list(tmp_path.glob("train/*/*.png"))) == 8


def test_unknown_options_of_folders_are_errors(tmp_path):
    with pytest.raises(ValueError, match=r"options must be among background, .*size, got colour"):
        datasets.write_known_parts(tmp_path / "parts", colour=1)
    with pytest.raises(ValueError, match="causes must be 1 or 2, got 5"):
        datasets.write_known_parts(tmp_path / "parts", causes=5)
    assert not (tmp_path / "parts").exists()


def test_the_name_with_options_is_read_unless_it_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_known_parts("known_parts") and is_known_parts("known_parts:causes=2")
    assert not is_known_parts("known_parts2") and not is_known_parts("photos")
    assert read_known_parts("known_parts") == {}
    assert read_known_parts("known_parts:causes=2,background=spurious,missing=0.1") == {
        "causes": 2,
        "background": "spurious",
        "missing": 0.1,
    }
    with pytest.raises(ValueError, match="Options of known_parts must be KEY=VALUE, such as causes=2, got 'causes'"):
        read_known_parts("known_parts:causes")
    (tmp_path / "known_parts").mkdir()
    assert not is_known_parts("known_parts")
