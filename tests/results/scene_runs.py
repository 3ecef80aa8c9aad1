"""Run directories of segmentation whose every mIoU is what a test says."""

import json

import numpy as np
import yaml
from PIL import Image

from data.store.labels import IDS, TO_TRAIN_IDS
from foundation.files import write_json
from records.iou import CLASSES, miou, percents
from records.run_dir import RunDir, evaluation_name
from records.score import SCORES
from records.summary import summarize

RINGS = ((0, 1), (1, 2), (2, 4), (4, 8), (8, 16), (16, 32), (32, 64), (64, None))
SHARES = ("1/3", "1/2", "2/3", "3/4", "7/8")
CROPS = {"deeplabv3plus_resnet50": (896, 3e-2), "deeplabv3plus_wrn38": (736, 1e-2)}
VAL_IMAGES = {"cv0": 500, "cv1": 415, "cv2": 655}


def confusion(percent):
    """Return a matrix whose every class has this IoU, exact to three decimals."""
    right = round(1000 * percent)
    table = [[0] * CLASSES for _ in range(CLASSES)]
    for i in range(CLASSES):
        table[i][i] = 2 * right
        table[i][(i + 1) % CLASSES] = 100_000 - right  # is missing here, is false there
    return table


def measured(percent):
    table = confusion(percent)
    return {"miou": miou(table), "iou": percents(table), "confusion": table}


def settings(arch, padding, split, seed, root):
    crop, lr = CROPS.get(arch, (48, 5e-2))
    return {
        "task": "segmentation",
        "seed": seed,
        "model": {
            "arch": arch,
            "padding": padding,
            "num_classes": 19,
            "backbone_weights": "resnet50.pth",
        },
        "data": {
            "root": "/cityscapes",
            "split": split,
            "crop_size": crop,
            "global_batch_size": 16,
            "coarse_classes": [14, 15, 16, 3, 12, 17, 4],
        },
        "optim": {"lr": lr, "power": 1.0, "momentum": 0.9, "weight_decay": 1e-4},
        "train": {"iterations": 31_000, "precision": "fp32", "sync_bn": True},
        "eval": {"tile": 1024, "flip": False},
        "run": {"root": str(root), "name": f"{arch}_{split}_{padding}_seed{seed}"},
    }


def write_scene_run(root, padding, seed, best, arch="deeplabv3plus_wrn38", **more):
    """Write a run directory whose best mIoU is given, in percent.

    `more`: split (cv2), finish (True), changes ({section: {key: value}}), count of images.
    """
    split = more.get("split", "cv2")
    config = settings(arch, padding, split, seed, root)
    for section, values in more.get("changes", {}).items():
        config[section] |= values
    run = RunDir(root / config["run"]["name"])
    run.path.mkdir(parents=True)
    run.config_file.write_text(yaml.safe_dump(config))
    iterations = config["train"]["iterations"]
    percents_ = [best / 2, best * 0.8, best * 0.9, best, best - 0.5]
    finish = more.get("finish", True)
    rows = [
        {
            "epoch": epoch,
            "iteration": iterations * (epoch + 1) // len(percents_),
            "train_loss": 1 / (1 + epoch),
            "val_miou": measured(round(percent, 3))["miou"],
            "val_iou": measured(round(percent, 3))["iou"],
            "confusion": confusion(round(percent, 3)),
            "val_count": more.get("count", VAL_IMAGES[split]),
            "seconds": 1.0,
        }
        for epoch, percent in enumerate(percents_[: None if finish else 2])
    ]
    run.metrics_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run.set_status("finished" if finish else "interrupted")
    if finish:
        write_json(run.summary_file, summarize(rows, SCORES["segmentation"]))
    return run


def write_scene_evaluation(run, padding, values, left=(), border=(), **changes):
    """Write eval/<padding>.json.

    Args:
        run: the run.
        padding: that it is evaluated with.
        values: mIoU of regular, tile 0 and tile 1/3.
        left: of the shares left out, in percent; the tile's are 0.125 below the image's.
        border: of the rings, in percent; a tile's are 0.25 below.
        changes: of other keys.
    """
    config = yaml.safe_load(run.config_file.read_text())
    left = left or [values[1] + i / 8 for i in range(len(SHARES))]
    border = border or [values[0] - 3 + i / 4 for i in range(len(RINGS))]
    result = {
        "padding": padding,
        "checkpoint": "best",
        "epoch": 3,
        "precision": "fp32",
        "data_fingerprint": None,
        "split": config["data"]["split"],
        "tile": 1024,
        "flip": False,
        "count": VAL_IMAGES[config["data"]["split"]],
        "modes": dict(zip(("regular", "tile 0", "tile 1/3"), map(measured, values), strict=True)),
        "leave_out": {
            reading: {s: measured(v - less) for s, v in zip(SHARES, left, strict=True)}
            for reading, less in (("image", 0), ("tile", 0.125))
        },
        "border": {
            mode: [
                {"from": start, "to": end} | measured(value - less)
                for (start, end), value in zip(RINGS, border, strict=False)
            ]
            for mode, less in (("regular", 0), ("tile 0", 0.25))
        },
    }
    run.evaluations.mkdir(exist_ok=True)
    name = evaluation_name(padding, changes.pop("flip", False))
    result["flip"] = name != padding
    write_json(run.evaluations / f"{name}.json", result | changes)


def write_scenes(root, count, seed=0, part="val", city="frankfurt", size=(64, 128)):
    """Write a small data set; return {name: label ids}, some of them void."""
    random = np.random.default_rng(seed)
    found = {}
    for number in range(count):
        coarse = random.choice([*IDS, 0], (4, 8))
        ids = np.kron(coarse, np.ones((size[0] // 4, size[1] // 8))).astype(np.uint8)
        name = f"{city}_{number:06}_000019"
        for kind, ending, picture in (
            ("gtFine", "gtFine_labelIds", ids),
            ("leftImg8bit", "leftImg8bit", np.stack([ids * 7, 255 - ids * 5, ids], axis=-1)),
        ):
            folder = root / kind / part / city
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture.astype(np.uint8)).save(folder / f"{name}_{ending}.png")
        found[name] = ids
    return found


def guesses(scenes, wrong, seed, band=4):
    """Return predictions that are right but for a share of the pixels in a band at the border.

    `wrong`: the share, or {name: share}.
    """
    random = np.random.default_rng(seed)
    found = {}
    for name, ids in scenes.items():
        near = np.ones(ids.shape, bool)
        near[band:-band, band:-band] = False
        share = wrong[name] if isinstance(wrong, dict) else wrong
        hit = near & (random.random(ids.shape) < share)
        other = random.choice(IDS, ids.shape).astype(np.uint8)
        found[name] = np.where(hit | (ids == 0), other, ids)
    return found


def save_predictions(run, padding, scenes, found, **changes):
    """Write an evaluation whose three modes are these predictions, and the predictions."""
    pairs = [(scenes[name], found[name]) for name in scenes]
    table = sum(_confusion(truth, predicted) for truth, predicted in pairs).tolist()
    one = {"miou": miou(table), "iou": percents(table), "confusion": table}
    modes = dict.fromkeys(("regular", "tile 0", "tile 1/3"), one)
    values = (round(one["miou"], 3),) * 3
    changes = {"modes": modes, "count": len(scenes), "tile": 64} | changes
    write_scene_evaluation(run, padding, values, **changes)
    for mode in ("regular", "tile_0", "tile_1_3"):
        folder = run.evaluations / "predictions" / padding / mode
        folder.mkdir(parents=True, exist_ok=True)
        for name, ids in found.items():
            Image.fromarray(ids).save(folder / f"{name}.png")


def _confusion(truth, predicted):
    label, guess = TO_TRAIN_IDS[truth].astype(int), TO_TRAIN_IDS[predicted].astype(int)
    counted = label < CLASSES
    table = np.zeros((CLASSES, CLASSES), dtype=int)
    np.add.at(table, (label[counted], guess[counted]), 1)
    return table
