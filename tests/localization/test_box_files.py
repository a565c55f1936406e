"""True boxes from files of four kinds, right and wrong."""

import json

import pytest

from kerasal import localization

VOC = """<annotation><folder>x</folder><filename>{file}</filename><size><width>64</width><height>48</height></size>
<object><name>{name}</name><difficult>0</difficult>
<bndbox><xmin>1</xmin><ymin>3</ymin><xmax>20</xmax><ymax>40</ymax></bndbox></object>
<object><name>dog</name><bndbox><xmin>5.5</xmin><ymin>6</ymin><xmax>7</xmax><ymax>9</ymax></bndbox></object>
</annotation>"""


def test_voc_and_imagenet_count_from_one(tmp_path):
    (tmp_path / "n01_7.xml").write_text(VOC.format(file="%s", name="n01443537"))
    table = localization.read_boxes(tmp_path / "n01_7.xml")
    assert table["image"].tolist() == ["n01_7", "n01_7"]
    assert table["class"].tolist() == ["n01443537", "dog"]
    assert table["box"].tolist() == [(0, 2, 20, 40), (4.5, 5, 7, 9)]
    assert table[["width", "height"]].iloc[0].tolist() == [64, 48]


def test_a_folder_of_xml(tmp_path):
    for name in ("b", "a"):
        (tmp_path / f"{name}.xml").write_text(VOC.format(file=f"{name}.jpg", name="cat"))
    assert localization.read_boxes(tmp_path)["image"].tolist() == ["a", "a", "b", "b"]


def test_coco(tmp_path):
    content = {
        "images": [{"id": 4, "file_name": "val/0004.jpg", "width": 64, "height": 48}],
        "categories": [{"id": 18, "name": "dog"}],
        "annotations": [
            {"image_id": 4, "category_id": 18, "bbox": [10, 5, 20, 8.5], "iscrowd": 0},
            {"image_id": 4, "category_id": 18, "bbox": [0, 0, 64, 48], "iscrowd": 1},
        ],
    }
    (tmp_path / "i.json").write_text(json.dumps(content))
    table = localization.read_boxes(tmp_path / "i.json")
    assert table.iloc[0].tolist() == ["0004", "dog", (10, 5, 30, 13.5), 64, 48]
    assert len(table) == 1


@pytest.mark.parametrize(("inclusive", "x_max"), [(None, 63), (True, 64)])
def test_csv_in_either_convention(tmp_path, inclusive, x_max):
    (tmp_path / "b.csv").write_text("split,wnid,file,xmin,ymin,xmax,ymax\ntrain,n1,n1_0.JPEG,0,10,63,58\n")
    table = localization.read_boxes(tmp_path / "b.csv", inclusive=inclusive)
    assert table.iloc[0].tolist() == ["n1_0", "n1", (0, 10, x_max, 58 + x_max - 63), 0, 0]


@pytest.mark.parametrize("name", ["a.jpg", "pics/a.jpg", r"c:\pics\a.jpg", "a"])
def test_folders_and_suffixes_of_images_do_not_matter(tmp_path, name):
    (tmp_path / "b.csv").write_text(f"image,class,xmin,ymin,xmax,ymax\n{name},b,0,0,1,1\n")
    assert localization.read_boxes(tmp_path / "b.csv")["image"].tolist() == ["a"]


def test_spaces_in_a_header_do_not_matter(tmp_path):
    (tmp_path / "b.csv").write_text("image, label, left, top, right, bottom\na.jpg,cat,1,2,3,4\n")
    assert localization.read_boxes(tmp_path / "b.csv").iloc[0].tolist()[:3] == ["a", "cat", (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.xml", '<!DOCTYPE a [<!ENTITY b "c">]><annotation/>', "document type"),
        ("a.xml", "<annotation><object>", "well-formed XML"),
        ("a.xml", "<html/>", "must be a VOC or ImageNet annotation"),
        ("a.xml", "<annotation/>", "must contain boxes, got none"),
        ("a.xml", VOC.replace("<xmax>20", "<xmax>0").format(file="a", name="b"), "x_max > x_min"),
        ("a.xml", VOC.replace("<xmax>20", "<xmax>nan").format(file="a", name="b"), "four finite numbers"),
        ("a.json", "{", "must be a COCO file"),
        ("a.json", "[]", "must be a COCO file"),
        ("a.csv", "image,class,xmin,ymin,xmax\na,b,0,0,1\n", "must have a column y_max"),
        ("a.csv", "image,class,xmin,ymin,xmax,ymax\na,b,0,0,1,x\n", "must be four numbers"),
        ("a.csv", "image,class,xmin,ymin,xmax,ymax\na,b,0,0,9,9,9,9\n", "cannot be read as CSV"),
        ("a.csv", "image,class,xmin,ymin,xmax,ymax\nq,b,5,0,1,1\n", "of q"),
        ("a.csv", "", "cannot be read as CSV"),
        ("a.txt", "1 2 3", "must be an .xml, .json or .csv file"),
    ],
)
def test_bad_files_are_named(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        localization.read_boxes(tmp_path / name)
    assert name in str(caught.value)


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        localization.read_boxes(tmp_path / "absent.xml")
    with pytest.raises(ValueError, match=r"no \.xml files"):
        localization.read_boxes(tmp_path)


def test_unknown_classes_list_the_closest(tmp_path):
    (tmp_path / "a.xml").write_text(VOC.format(file="a", name="goldfsh"))
    table = localization.read_boxes(tmp_path / "a.xml")
    with pytest.raises(ValueError, match="Did you mean goldfish"):
        localization.number_classes(table, {"goldfish": 1, "dog": 5})
    table["class"] = ["goldfish", "dog"]
    assert localization.number_classes(table, {"goldfish": 1, "dog": 5})["class"].tolist() == [1, 5]


def test_real_boxes(data_folder):
    table = localization.read_boxes(data_folder / "tiny_imagenet10" / "boxes.csv", inclusive=True)
    assert len(table) == 5500
    area = [(box[2] - box[0]) * (box[3] - box[1]) / 64**2 for box in table["box"]]
    assert 0.58 < sum(area) / len(area) < 0.64
