"""Which images make which shard, and how a list of images is read; no model is run."""

import pandas as pd
import pytest

from kerasal.batch.image_list import Source, list_images, read_list
from kerasal.batch.shard import plan_shards
from kerasal.batch.shard_files import picture_path


def sources(names, stamp=(1, 1)):
    return [Source(name, f"/photos/{name}", stamp) for name in names]


def record(shard):
    return {"images": [[one.name, list(one.stamp)] for one in shard.sources], "files": {}, "dead_letters": []}


def cut(shards):
    return {shard.number: "".join(one.name for one in shard.sources) for shard in shards}


def test_shards_are_cut_again_as_they_were_whatever_is_done():
    everything = sources("abcdefgh")
    shards, _ = plan_shards(everything, {}, 3)
    assert cut(shards) == {0: "abc", 1: "def", 2: "gh"}
    for done in ([0], [1], [2], [0, 2], [1, 2], [0, 1, 2]):
        left, stale = plan_shards(everything, {number: record(shards[number]) for number in done}, 3)
        assert cut(left) == {n: names for n, names in cut(shards).items() if n not in done}
        assert stale == []


def test_new_images_make_new_shards_and_changed_ones_their_own():
    shards, _ = plan_shards(sources("bcdfgh"), {}, 3)
    records = {shard.number: record(shard) for shard in shards}
    left, stale = plan_shards(sources("abcdefgh"), records, 3)
    assert cut(left) == {2: "ae"}
    changed = [*sources("bcd"), *sources("f", (2, 2)), *sources("gh")]
    left, stale = plan_shards(changed, records, 3)
    assert (cut(left), stale) == ({1: "fgh"}, [1])
    assert plan_shards(sources("bcd"), records, 3) == ([], [])  # images that are gone keep their results


def test_a_parquet_list(tmp_path, photos):
    table = pd.DataFrame({"path": ["photos/a/1.png", str(photos / "b" / "1.png"), "photos/a/1.png"], "size": 1})
    table.to_parquet(tmp_path / "list.parquet")
    found = list_images(tmp_path / "list.parquet", tmp_path / "out")
    assert [one.name for one in found] == ["photos/a/1.png", str(photos / "b" / "1.png")]
    assert [one.path for one in found] == [str(photos / "a" / "1.png"), str(photos / "b" / "1.png")]
    with pytest.raises(ValueError, match=r"a column 'image' or 'path' or 'file' with the paths, got 'url'"):
        table.rename(columns={"path": "url"})[["url"]].to_parquet(tmp_path / "urls.parquet")
        read_list(tmp_path / "urls.parquet")
    assert len(read_list(tmp_path / "urls.parquet", "url")) == 3
    with pytest.raises(ValueError, match="must hold paths as strings, got int64"):
        read_list(tmp_path / "list.parquet", "size")
    pd.DataFrame({"path": ["a.png", None]}).to_parquet(tmp_path / "gap.parquet")
    with pytest.raises(ValueError, match="got 1 missing of 2"):
        read_list(tmp_path / "gap.parquet")
    table[:0].to_parquet(tmp_path / "empty.parquet")
    with pytest.raises(ValueError, match="got an empty table"):
        read_list(tmp_path / "empty.parquet")
    (tmp_path / "junk.parquet").write_text("image\na.png\n")
    with pytest.raises(ValueError, match="cannot be read as Parquet"):
        read_list(tmp_path / "junk.parquet")
    with pytest.raises(FileNotFoundError, match="There is no file"):
        read_list(tmp_path / "none.parquet")


def test_a_folder_without_images_and_results_among_the_images(tmp_path, photos):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no image files"):
        list_images(tmp_path / "empty", tmp_path / "out")
    before = list_images(photos, photos / "out")
    (photos / "out" / "pictures").mkdir(parents=True)
    (photos / "out" / "pictures" / "1.png").write_bytes((photos / "a" / "1.png").read_bytes())
    assert list_images(photos, photos / "out") == before


def test_no_picture_leaves_the_folder_or_shares_a_place():
    names = ["a/1.png", "a/1.jpg", "/a/2.png", "../../b.png", "c"]
    assert [str(picture_path(name)) for name in names] == [
        "pictures/a/1.png.png",
        "pictures/a/1.jpg.png",
        "pictures/a/2.png.png",
        "pictures/b.png.png",
        "pictures/c.png",
    ]
