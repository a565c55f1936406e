"""Boxes of keras-hub's RetinaNet and D-FINE with random weights: a function decodes them; scores against NumPy."""

import numpy as np
import pytest

from kerasal import attribution
from kerasal.hooks.engine import target_scores
from kerasal.objectives import box

import keras

keras_hub = pytest.importorskip("keras_hub")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning:keras_hub")]
SIDE, CLASSES = 64, 3
ASKED = (10, 6, 40, 50)
IMAGES = np.random.default_rng(2).uniform(size=(2, SIDE, SIDE, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def retinanet():
    keras.utils.set_random_seed(0)
    encoder = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 64, 64],
        stackwise_num_blocks=[1, 1, 1],
        stackwise_num_strides=[1, 2, 2],
        block_type="basic_block",
        image_shape=(SIDE, SIDE, 3),
    )
    backbone = keras_hub.models.RetinaNetBackbone(
        encoder, min_level=3, max_level=4, use_p5=False, image_shape=(SIDE, SIDE, 3)
    )
    model = keras_hub.models.RetinaNetObjectDetector(backbone, num_classes=CLASSES, bounding_box_format="xyxy")
    random = np.random.default_rng(0)
    for name in ("box_head", "classification_head"):  # its last layers start near 0
        head = model.get_layer(name)
        head.set_weights([w + random.normal(0, 0.02, w.shape) for w in head.get_weights()])
    return model


@pytest.fixture(scope="module")
def dfine():
    keras.utils.set_random_seed(0)
    encoder = keras_hub.models.HGNetV2Backbone(
        stem_channels=[3, 8, 8],
        stackwise_stage_filters=[[8, 8, 16, 1, 1, 3], [16, 8, 32, 1, 1, 3], [32, 8, 64, 1, 1, 3], [64, 8, 64, 1, 1, 3]],
        apply_downsample=[False, True, True, True],
        use_lightweight_conv_block=[False, False, True, True],
        depths=[1, 1, 1, 1],
        hidden_sizes=[16, 32, 64, 64],
        embedding_size=8,
        use_learnable_affine_block=True,
        hidden_act="relu",
        image_shape=(SIDE, SIDE, 3),
        out_features=["stage3", "stage4"],
    )
    backbone = keras_hub.models.DFineBackbone(
        backbone=encoder,
        decoder_in_channels=[16, 16],
        encoder_hidden_dim=16,
        num_denoising=0,
        num_labels=CLASSES,
        hidden_dim=16,
        learn_initial_query=False,
        num_queries=10,
        anchor_image_size=(SIDE, SIDE),
        feat_strides=[16, 32],
        num_feature_levels=2,
        encoder_in_channels=[64, 64],
        encode_proj_layers=[1],
        num_attention_heads=2,
        encoder_ffn_dim=16,
        num_encoder_layers=1,
        hidden_expansion=0.5,
        depth_multiplier=0.5,
        eval_idx=-1,
        num_decoder_layers=2,
        decoder_attention_heads=2,
        decoder_ffn_dim=16,
        decoder_n_points=[2, 2],
        lqe_hidden_dim=8,
        num_lqe_layers=1,
        image_shape=(SIDE, SIDE, 3),
    )
    return keras_hub.models.DFineObjectDetector(backbone, num_classes=CLASSES)


def best(boxes, probabilities, index):
    """Return the largest probability × overlap of the detections of each image, from corners in pixels."""
    scores = []
    for corners, by_class in zip(boxes, probabilities, strict=True):
        found = []
        for (x0, y0, x1, y1), probability in zip(corners, by_class[:, index], strict=True):
            width = max(0.0, min(x1, ASKED[2]) - max(x0, ASKED[0]))
            height = max(0.0, min(y1, ASKED[3]) - max(y0, ASKED[1]))
            area = (x1 - x0) * (y1 - y0) + (ASKED[2] - ASKED[0]) * (ASKED[3] - ASKED[1])
            found.append(probability * width * height / (area - width * height))
        scores.append(max(found))
    return np.array(scores)


def sigmoid(x):
    return 1 / (1 + np.exp(-np.float64(x)))


def check(model, target, expected):
    assert expected.min() > 0
    np.testing.assert_allclose(target_scores(model, [IMAGES], target), expected, rtol=1e-4)
    gradient = attribution.input_gradient(model, IMAGES, target)
    assert gradient.shape == IMAGES.shape and np.isfinite(gradient).all()
    assert (np.abs(gradient).max((1, 2, 3)) > 0).all()
    maps = attribution.drise(model, IMAGES[:1], target, samples=8)
    assert maps.shape == (1, SIDE, SIDE) and np.isfinite(maps).all() and maps.any()


def test_retinanet_with_a_function_that_decodes_its_boxes(retinanet):
    outputs = {name: value.numpy() for name, value in retinanet(IMAGES, training=False).items()}
    anchors = np.concatenate([np.asarray(level) for level in retinanet.anchor_generator(IMAGES).values()])

    def decode(outputs):
        return keras.utils.bounding_boxes.decode_deltas_to_boxes(
            anchors=anchors,
            boxes_delta=outputs["bbox_regression"],
            encoded_format="center_xywh",
            anchor_format="xyxy",
            box_format="xyxy",
            image_shape=(SIDE, SIDE, 3),
        )

    # Written out: the centers move by shares of the anchor's sides, and the sides grow by exponentials.
    sides, deltas = anchors[:, 2:] - anchors[:, :2], np.float64(outputs["bbox_regression"])
    centers = (anchors[:, :2] + anchors[:, 2:]) / 2 + deltas[..., :2] * sides
    half = np.exp(deltas[..., 2:]) * sides / 2
    boxes = np.concatenate([centers - half, centers + half], axis=-1)
    assert boxes.shape == (*outputs["cls_logits"].shape[:2], 4)
    target = box(ASKED, 1, boxes=decode, scores="cls_logits", activation="sigmoid")
    check(retinanet, target, best(boxes, sigmoid(outputs["cls_logits"]), 1))


def test_dfine_with_boxes_as_shares_of_the_image(dfine):
    outputs = {name: value.numpy() for name, value in dfine(IMAGES, training=False).items()}
    centers, sides = np.split(outputs["pred_boxes"] * np.float64(SIDE), 2, axis=-1)
    boxes = np.concatenate([centers - sides / 2, centers + sides / 2], axis=-1)
    target = box(ASKED, 2, boxes="pred_boxes", scores="logits", box_format="rel_center_xywh", activation="sigmoid")
    check(dfine, target, best(boxes, sigmoid(outputs["logits"]), 2))
