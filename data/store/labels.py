"""The labels of Cityscapes: what files hold (label ids), what networks learn (train ids).

Facts of cityscapesScripts' helpers/labels.py.
"""

import numpy as np
from PIL import Image

IGNORED = 255  # train id of every pixel that neither trains nor counts
MAX_ID = 33

# In the order of the train ids, 0 to 18: label id, name, RGB.
_TABLE = (
    (7, "road", (128, 64, 128)),
    (8, "sidewalk", (244, 35, 232)),
    (11, "building", (70, 70, 70)),
    (12, "wall", (102, 102, 156)),
    (13, "fence", (190, 153, 153)),
    (17, "pole", (153, 153, 153)),
    (19, "traffic light", (250, 170, 30)),
    (20, "traffic sign", (220, 220, 0)),
    (21, "vegetation", (107, 142, 35)),
    (22, "terrain", (152, 251, 152)),
    (23, "sky", (70, 130, 180)),
    (24, "person", (220, 20, 60)),
    (25, "rider", (255, 0, 0)),
    (26, "car", (0, 0, 142)),
    (27, "truck", (0, 0, 70)),
    (28, "bus", (0, 60, 100)),
    (31, "train", (0, 80, 100)),
    (32, "motorcycle", (0, 0, 230)),
    (33, "bicycle", (119, 11, 32)),
)
IDS = tuple(number for number, _, _ in _TABLE)
NAMES = tuple(name for _, name, _ in _TABLE)
COLOURS = tuple(colour for _, _, colour in _TABLE)

# (256,) uint8, to be indexed by what a file holds and by train ids.
TO_TRAIN_IDS = np.full(256, IGNORED, dtype=np.uint8)
TO_TRAIN_IDS[list(IDS)] = np.arange(len(IDS))
TO_IDS = np.zeros(256, dtype=np.uint8)  # ignored: 0, "unlabeled"
TO_IDS[: len(IDS)] = IDS


def why_no_label_ids(image: Image.Image) -> str:
    """Return what is wrong with the content of a label file, "" where it holds label ids."""
    remedy = "; take the file that ends in _labelIds.png from Cityscapes' gtFine or gtCoarse"
    if image.mode in ("RGB", "RGBA", "P"):
        return f"holds colours (mode {image.mode}) instead of label ids{remedy}"
    if image.mode != "L":
        return f"holds no 8-bit label ids (its mode is {image.mode}){remedy}"
    most = image.getextrema()[1]
    if most == IGNORED:
        return f"holds the value {IGNORED}, as train ids do, instead of label ids{remedy}"
    if most > MAX_ID:
        return f"holds the value {most}; label ids are 0 to {MAX_ID}{remedy}"
    return ""
