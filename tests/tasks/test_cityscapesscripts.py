"""Cityscapes' own evaluator on predictions as evaluate.py writes them; skipped without it.

pip install cityscapesscripts
"""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from data.interface import FILLER_LABEL, Batch
from records.iou import CLASSES, class_ious, mean_iou
from tasks import modes
from tests.commands.test_evaluate_scenes import IDS, Scenes, evaluated, job_in

CITIES = ("ulm", "bochum", "aachen")


@pytest.fixture
def evaluator(monkeypatch):
    """The module, which prints nothing and reads no instances."""
    module = pytest.importorskip("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")
    monkeypatch.setattr(module.args, "evalInstLevelScore", False)
    monkeypatch.setattr(module.args, "JSONOutput", False)
    monkeypatch.setattr(module.args, "quiet", True)
    return module


@pytest.fixture
def truth(tmp_path):
    """Label files of ids 0 to 33, of which two classes never occur; void counts nowhere."""
    random = np.random.default_rng(0)
    files = []
    for city in CITIES:
        ids = random.integers(0, 34, (24, 40), dtype=np.uint8)
        ids[np.isin(ids, IDS[16:18])] = 3
        ids[:, 30:] = 0
        file = tmp_path / "gtFine" / "val" / city / f"{city}_000000_000019_gtFine_labelIds.png"
        file.parent.mkdir(parents=True)
        Image.fromarray(ids).save(file)
        files.append(file)
    return files


class NamedScenes(Scenes):
    """Scenes of several cities."""

    def name(self, sample):
        """Return the file's stem."""
        return f"{CITIES[sample]}_000000_000019"


def test_no_difference(evaluator, truth, tmp_path):
    batches = []
    for index, file in enumerate(truth):
        ids = torch.from_numpy(np.array(Image.open(file))).long()
        labels = torch.full_like(ids, FILLER_LABEL)
        for train_id, number in enumerate(IDS):
            labels[ids == number] = train_id
        batches.append(Batch(torch.randn(1, 3, 24, 40), labels[None], torch.tensor([index]), 1))
    torch.manual_seed(0)
    network = nn.Conv2d(3, CLASSES, 9, padding=4)
    network.bias.data[17] = -1e9  # one of the two is never predicted either
    job = replace(job_in(tmp_path / "run"), save_predictions=True)
    job.run.path.mkdir()
    _, result = evaluated(network, NamedScenes(batches), job)

    for mode in modes.MODES:
        folder = job.run.evaluations / "predictions" / "partial" / mode_folder(mode)
        evaluator.args.predictionPath, evaluator.args.predictionWalk = str(folder), None
        predicted = [evaluator.getPrediction(evaluator.args, str(file)) for file in truth]
        theirs = evaluator.evaluateImgLists(
            predicted, [str(file) for file in truth], evaluator.args
        )

        ours = result["modes"][mode]["confusion"]
        assert np.array_equal(np.array(theirs["confMatrix"])[np.ix_(IDS, IDS)], ours)
        names = {number: name for name, number in theirs["labels"].items()}
        for number, iou in zip(IDS, class_ious(ours), strict=True):
            score = theirs["classScores"][names[number]]
            assert math.isnan(score) if iou is None else score == float(iou)
        assert class_ious(ours)[17] is None
        assert class_ious(ours)[16] == 0
        # Theirs is a sum in double precision.
        assert abs(theirs["averageScoreClasses"] - float(mean_iou(ours))) < 1e-15


def mode_folder(mode):
    return mode.replace(" ", "_").replace("/", "_")
