"""The parts of the trainer against torch's own and against plain arithmetic."""

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.lr_scheduler import MultiStepLR

from configs.classification_keys import Optim
from configs.load import load
from data.interface import FILLER_INDEX, FILLER_LABEL, Batch
from foundation.errors import UserError
from models import build_model
from padding import convert_padding
from records.run_dir import RunDir
from records.score import SCORES
from tasks import classification
from tests.conftest import ROOT
from training import checkpoint, distributed
from training.accumulation import bn_images, passes
from training.epoch import evaluate, train_step
from training.precision import prepare
from training.provenance import recipe_warnings
from training.recorder import Recorder
from training.schedule import Length, lr_at
from training.seeding import seed_step, seed_weights
from training.state import new_state
from training.sums import StepResult, Sums

CPU = torch.device("cpu")


def batches(sizes, fillers=0, seed=0):
    torch.manual_seed(seed)
    made, start = [], 0
    for size in sizes:
        labels, index = torch.randint(0, 6, (size,)), torch.arange(start, start + size)
        if fillers:
            labels[-fillers:], index[-fillers:] = FILLER_LABEL, FILLER_INDEX
        made.append(Batch(torch.randn(size, 3, 8, 8), labels, index, size - fillers))
        start += size
    return made


def small_model():
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(256, 6)
    )


def train_epoch(model, data, state, precision="fp32", accumulate=1):
    """Take a step a batch, and return what the epoch says of its training."""
    model.train()
    results = []
    for step, batch in enumerate(data):
        computed = train_step(model, batch, classification, state, precision, 1, accumulate)
        results.append(StepResult(step, 0.1, batch.index, *computed))
    sums = Sums()
    assert sums.add(results) is None
    return classification.train_row(sums.loss, sums.counts)


def test_schedule_is_torchs_multi_step():
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    scheduler = MultiStepLR(optimizer, [30, 60, 90], 0.1)
    optim = Optim(lr=0.1, milestones=(30, 60, 90), gamma=0.1, momentum=0.9, weight_decay=1e-4)
    for epoch in range(100):
        assert lr_at(epoch, optim) == scheduler.get_last_lr()[0]
        optimizer.step()
        scheduler.step()
    assert lr_at(99, optim) == pytest.approx(1e-4)


def test_training_step_is_pytorch_examples():
    """Mean cross-entropy, SGD with momentum and weight decay on every parameter."""
    ours, theirs = small_model(), small_model()
    state = new_state(ours, CPU, momentum=0.9, weight_decay=1e-2, fp16=False)
    state.optimizer.param_groups[0]["lr"] = 0.1
    reference = torch.optim.SGD(theirs.parameters(), 0.1, momentum=0.9, weight_decay=1e-2)
    data = batches([6, 6, 3])
    row = train_epoch(ours, data, state)
    loss, top1 = row["train_loss"], row["train_top1"]

    losses, hits = [], 0
    for batch in data:
        logits = theirs(batch.images)
        step_loss = F.cross_entropy(logits, batch.labels)
        losses += [step_loss.item()] * len(batch.labels)
        hits += (logits.argmax(1) == batch.labels).sum().item()
        reference.zero_grad()
        step_loss.backward()
        reference.step()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other)
    assert loss == pytest.approx(sum(losses) / 15, rel=1e-5)
    assert top1 == pytest.approx(100 * hits / 15)


def test_accumulated_gradients_are_the_whole_batchs():
    """In double precision, and but for BN, which sees fewer images at a time."""
    for accumulate in (1, 2, 3, 4, 100):
        gradients = []
        for number in (1, accumulate):
            torch.manual_seed(3)
            model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 6)).double()
            state = new_state(model, CPU, 0.0, 0.0, fp16=False)
            [batch] = batches([9], fillers=2)
            batch = replace(batch, images=batch.images.double())
            loss, counts, _ = train_step(model, batch, classification, state, "fp32", 1, number)
            gradients.append([loss, counts, *(p.grad for p in model.parameters())])
        for one, other in zip(*gradients, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_fillers_have_no_weight():
    def trained(data):
        torch.manual_seed(2)
        model = nn.Sequential(nn.Flatten(), nn.Linear(192, 6))
        state = new_state(model, CPU, 0.9, 0.0, fp16=False)
        state.optimizer.param_groups[0]["lr"] = 0.1
        return train_epoch(model, data, state), model[1].weight

    [full] = batches([6])
    [padded] = batches([6], fillers=2)
    short = Batch(padded.images[:4], padded.labels[:4], padded.index[:4], 4)
    numbers, weight = trained([padded])
    expected, expected_weight = trained([short])
    assert numbers == pytest.approx(expected)
    torch.testing.assert_close(weight, expected_weight)
    assert not torch.allclose(weight, trained([full])[1])


def test_evaluation_counts_every_image():
    model, data = small_model(), batches([6, 6, 3])
    result = evaluate(model, data, classification, "fp32", images=15)
    model.eval()
    with torch.no_grad():
        logits = torch.cat([model(batch.images) for batch in data])
    labels = torch.cat([batch.labels for batch in data])
    numbers = classification.numbers(result.counts)
    assert numbers["correct1"] == (logits.argmax(1) == labels).sum()
    assert numbers["correct5"] == sum(
        y in row for y, row in zip(labels, logits.topk(5)[1], strict=True)
    )
    assert (numbers["count"], result.index.tolist()) == (15, list(range(15)))
    assert result.row["val_loss"] == pytest.approx(F.cross_entropy(logits, labels).item())
    with pytest.raises(AssertionError, match="evaluated 15 of 16 images"):
        evaluate(model, data, classification, "fp32", images=16)


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp16"])
def test_every_precision_learns(precision):
    model = small_model()
    state = new_state(model, CPU, 0.9, 0.0, fp16=precision == "fp16")
    state.optimizer.param_groups[0]["lr"] = 0.05
    data = batches([16])
    losses = [train_epoch(model, data, state, precision)["train_loss"] for _ in range(15)]
    assert losses[-1] < losses[0] / 2
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


def test_compile_and_channels_last_change_no_key_and_no_number():
    model = convert_padding(small_model(), "partial").eval()
    x = torch.randn(2, 3, 8, 8)
    expected, keys = model(x), list(model.state_dict())
    prepared = prepare(copy.deepcopy(model), channels_last=True, compile_mode="default")
    assert list(prepared.state_dict()) == keys
    torch.testing.assert_close(prepared(x), expected)


def test_state_survives_a_checkpoint(tmp_path):
    def train(state, epochs):
        for epoch in range(epochs):
            seed_step(3, epoch, 0, 0)
            state.optimizer.param_groups[0]["lr"] = 0.1
            data = batches([8, 8], seed=epoch)
            train_epoch(state.model, data, state, "fp16")

    straight = new_state(small_model(), CPU, 0.9, 1e-4, fp16=True)
    train(straight, 2)
    checkpoint.save(tmp_path / "last.pt", straight.state_dict())
    resumed = new_state(small_model(), CPU, 0.9, 1e-4, fp16=True)
    resumed.load_state_dict(checkpoint.load(tmp_path / "last.pt"), 0, 1)
    assert resumed.scaler.get_scale() == straight.scaler.get_scale()
    train(straight, 1)
    train(resumed, 1)
    for one, other in zip(straight.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_momentum_belongs_to_its_weights_in_every_layout():
    """Of steps in one layout, kept, and gone on from in the other."""

    def start(channels_last):
        torch.manual_seed(0)
        return new_state(prepare(small_model(), channels_last, "off"), CPU, 0.9, 1e-4, fp16=False)

    def train(state):
        state.optimizer.param_groups[0]["lr"] = 0.01
        train_epoch(state.model, batches([8, 8], seed=1), state, "fp32")
        return state

    def momenta(state):
        return [one["momentum_buffer"] for one in state.optimizer.state_dict()["state"].values()]

    straight = train(start(False))
    other = train(start(True))
    torch.testing.assert_close(momenta(other), momenta(straight))
    for first, then in ((False, True), (True, False)):
        resumed = start(then)
        resumed.load_state_dict(copy.deepcopy(train(start(first)).state_dict()), 0, 1)
        torch.testing.assert_close(momenta(train(resumed)), momenta(train(train(start(False)))))


def test_damaged_checkpoints_are_refused(tmp_path):
    file = tmp_path / "last.pt"
    checkpoint.save(file, {"model": small_model().state_dict(), "epochs_done": 1})
    good = file.read_bytes()
    assert checkpoint.load(file)["epochs_done"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]

    flipped = bytearray(good)
    flipped[good.index(b"data/0") + 200] ^= 1
    for content in (b"", good[: len(good) // 2], b"no checkpoint", bytes(flipped)):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=f"^{file}: (half|damaged).*delete the run directory"):
            checkpoint.load(file)
    torch.save({"weights": 1}, file)
    with pytest.raises(ValueError, match="not the checkpoint needed, it has no model"):
        checkpoint.load(file)
    torch.save(small_model(), file)  # would run code when unpickled
    with pytest.raises(ValueError, match=f"^{file}: half a checkpoint or none"):
        checkpoint.load(file)
    with pytest.raises(ValueError, match="there is no such checkpoint"):
        checkpoint.load(tmp_path / "none.pt")


def test_the_last_five_epochs_are_kept(tmp_path):
    for done in range(1, 8):
        checkpoint.save_epoch(tmp_path, {"model": {}, "epochs_done": done}, is_best=done == 2)
    kept = sorted(path.name for path in tmp_path.iterdir())
    epochs = [f"epoch_{epoch:03}.pt" for epoch in range(2, 7)]
    assert kept == ["best.pt", *epochs, "last.pt", "previous.pt"]
    assert checkpoint.load(tmp_path / "previous.pt")["epochs_done"] == 6
    assert checkpoint.load(tmp_path / "best.pt")["epochs_done"] == 2


def test_seeds_separate_runs_steps_and_processes():
    def draw(seed, *place):
        seed_step(seed, *place) if place else seed_weights(seed)
        return torch.rand(1).item()

    places = [(1,), (2,), (1, 0, 0, 0), (1, 0, 0, 1), (1, 0, 1, 0), (1, 1, 0, 0), (2, 0, 0, 0)]
    assert len({draw(*place) for place in places}) == len(places)
    assert draw(1, 0, 0, 1) == draw(1, 0, 0, 1)

    def dropout(step):
        seed_step(1, 0, step, 0)
        return F.dropout(torch.ones(100))

    assert torch.equal(dropout(5), dropout(5))
    assert not torch.equal(dropout(5), dropout(6))


def test_one_run_seed_gives_one_set_of_weights():
    def weights(seed):
        seed_weights(seed)
        return build_model("resnet50", "partial", 3).fc.weight

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize(
    ("overrides", "world", "steps", "expected"),
    [
        ([], 8, 5005, []),
        ([], 8, 10, []),
        ([], 8, 2, ["an epoch has only 2 steps of 256 images, and BN's running statistics"]),
        ([], 4, 5005, ["BN averages over 64 images a process (256 over 4), in the recipe over 32"]),
        (
            ["data.global_batch_size=32"],
            1,
            40036,
            ["a global batch of 32 images at lr 0.1: that lr belongs to 256 images a step"],
        ),
        (["train.accumulate=2"], 4, 5005, []),  # BN sees what it sees on eight
        (
            ["train.accumulate=4"],
            8,
            5005,
            ["BN averages over 8 images a process (256 over 8, in 4 passes), in the recipe"],
        ),
        (["data.global_batch_size=192"], 8, 6673, ["a global batch of 192", "BN averages over 24"]),
    ],
)
def test_departures_from_the_recipe_are_warned_of(overrides, world, steps, expected):
    found = recipe_warnings(load(ROOT / "configs/vgg16_bn.yaml", overrides), world, steps)
    assert len(found) == len(expected)
    assert all(text in line for text, line in zip(expected, found, strict=True))


def test_a_mistake_that_all_share_leaves_the_process_group(monkeypatch, capsys):
    # A thread of the group that outlived the interpreter aborted 3 in 100 such processes.
    one = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    for name, value in one.items():
        monkeypatch.setenv(name, value)

    def mistake():
        assert torch.distributed.is_initialized()
        raise UserError("mend this")

    with pytest.raises(SystemExit) as ended, distributed.command():
        distributed.agree(mistake)
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: mend this\n"
    assert not torch.distributed.is_initialized()


def test_quiet_recorder_leaves_no_trace(tmp_path):
    recorder = Recorder(
        RunDir(tmp_path / "run"), Length(1, 1), SCORES["classification"], quiet=True
    )
    recorder.open(0, 0)
    assert list(recorder.watch(batches([3]), "label", 0, 1))
    recorder.step(0, 1, 3, 0.1, {"train_loss": 1.0}, Sums(seconds=1.0))
    assert recorder.epoch({"epoch": 0}, [], 3, Sums(seconds=1.0))["images_per_second"] == 3
    recorder.beat()
    recorder.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "world", "count", "averaged"),
    [
        (["train.accumulate=2"], 8, 2, 8),  # an image a pass and process: BN has the others'
        (["train.accumulate=2", "train.sync_bn=false"], 8, 1, 2),
        (["train.accumulate=4", "train.sync_bn=false"], 2, 4, 2),
        (["train.accumulate=100"], 1, 8, 2),
        ([], 8, 1, 16),
    ],
)
def test_passes_leave_bn_two_images(settings, world, count, averaged):
    config = load(ROOT / "configs/deeplabv3plus_resnet50.yaml", settings)
    assert passes(config, 16 // world, world) == count
    assert bn_images(config, world) == averaged
