"""Box files with mistakes that went unnoticed: two images taken for one, boxes without a class, numbers given twice."""

import copy
import json

import pytest

from kerasal.localization.box_files import read_boxes

HEAD = "image,xmin,ymin,xmax,ymax,class\n"
COCO = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 80}],
    "categories": [{"id": 1, "name": "dog"}],
    "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 40]}],
}
XML = (
    "<annotation><object><name>dog</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>"
    "</object></annotation>"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "a/1.jpg,1,2,3,4,dog\nb/1.jpg,1,2,3,4,dog\n", r"got 'a/1\.jpg' and 'b/1\.jpg'"),
        (HEAD + "1.jpg,1,2,3,4,dog\n1.png,1,2,3,4,dog\n", r"got '1\.jpg' and '1\.png'"),
        (HEAD + ",1,2,3,4,dog\n", "each image must have a name"),
        (HEAD + "a.jpg,1,2,3,4,dog\nb.jpg,1,2,3,4\n", r"each box must have a class, got none for b\.jpg"),
        (HEAD + "a.jpg,1,2,3,4, \n", "each box must have a class"),
        ("image,class,xmin,ymin,xmax,ymax,xmin\na,dog,1,2,3,4,9\n", "names must be unique, got 'xmin' twice"),
        (HEAD + "a.jpg,1_0,2,30,4,dog\n", "must be four numbers"),
    ],
)
def test_mistakes_in_a_csv(text, message, tmp_path):
    (tmp_path / "boxes.csv").write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_boxes(tmp_path / "boxes.csv")
    assert "boxes.csv" in str(caught.value)


def test_spaces_and_windows_lines_change_nothing(tmp_path):
    (tmp_path / "boxes.csv").write_bytes(
        b'\xef\xbb\xbfimage, class, xmin,ymin,xmax,ymax\r\n"a, b.jpg" , dog,1,2,3,4\r\n'
    )
    row = read_boxes(tmp_path / "boxes.csv").iloc[0]
    assert (row["image"], row["class"], row["box"]) == ("a, b", "dog", (1, 2, 3, 4))


def _second(content, **image):
    content["images"].append({"id": 2, "file_name": "b.jpg", "width": 9, "height": 9} | image)
    content["annotations"].append({"image_id": 2, "category_id": 1, "bbox": [1, 2, 3, 4]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: _second(content, id=1), "images must have unique ids"),
        (
            lambda content: content["categories"].append({"id": 1, "name": "cat"}),
            "categories must have unique ids",
        ),
        (lambda content: _second(content, file_name="sub/a.jpg"), r"got 'a\.jpg' and 'sub/a\.jpg'"),
        (lambda content: content["annotations"][0].update(bbox=[True, 2, 3, 4]), "must be four numbers"),
        (lambda content: content["images"][0].update(file_name=3), "must be text"),
        (lambda content: content["categories"][0].update(name=None), "must be text"),
    ],
)
def test_mistakes_in_cocos_json(change, message, tmp_path):
    content = copy.deepcopy(COCO)
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(content))
    assert len(read_boxes(path)) == 1
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        read_boxes(path)


def test_two_xml_files_of_one_name(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.v2.xml").write_text(XML)
    with pytest.raises(ValueError, match=r"got 'a/1\.v2' and 'b/1\.v2'"):
        read_boxes(tmp_path)
