"""Where a run comes from: enough to repeat it, or to see why it cannot be repeated."""

import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy
import PIL
import torch
import torchvision

from configs.same_data import same_data
from configs.schema import Config
from foundation.files import read_json, write_json
from foundation.words import counted
from records.errors import RunError
from records.run_dir import RunDir
from records.sessions import data_fingerprints, weights_digest
from training.accumulation import bn_images, is_synchronized, passes
from training.distributed import Process

_BN_STEPS = 10  # with BN's momentum of 0.1, a step's share has decayed to 1/e after so many


def recipe_warnings(config: Config, world: int, steps: int) -> list[str]:
    """Return what in this launch departs from what the recipe's numbers belong to.

    Args:
        config: of the run.
        world: number of processes.
        steps: in an epoch.
    """
    batch, recipe = config.data.global_batch_size, config.recipe
    warnings = []
    if batch != recipe.global_batch_size:
        warnings.append(
            f"a global batch of {batch} images at lr {config.optim.lr:g}: that lr belongs to "
            f"{recipe.global_batch_size} images a step (recipe.global_batch_size; set it to the "
            f"batch that you chose optim.lr for)"
        )
    averaged, count = bn_images(config, world), passes(config, batch // world, world)
    if averaged != recipe.bn_batch_size:
        together = is_synchronized(config)
        divided = f"{batch} over {1 if together else world}" + f", in {count} passes" * (count > 1)
        warnings.append(
            f"BN averages over {averaged:g} images{'' if together else ' a process'} ({divided}), "
            f"in the recipe over {recipe.bn_batch_size} (recipe.bn_batch_size); accuracies may "
            f"differ"
        )
    if steps < _BN_STEPS:
        warnings.append(
            f"an epoch has only {counted(steps, 'step')} of {batch} images, and BN's running "
            f"statistics average over about {_BN_STEPS}: validation lags behind training and may "
            f"look like chance; lower data.global_batch_size, and optim.lr with it, as "
            f"configs/own_images.yaml does"
        )
    return warnings


def check_data(run: RunDir, fingerprint: str) -> None:
    """Compare the data set with the one that the run began with.

    Raises:
        RunError: it is another one.
    """
    # A session of an older version knew less of the data: all of them must agree.
    for before in data_fingerprints(run):
        if not same_data(before, fingerprint):
            raise RunError(
                f"{run.path}: the data set has changed since the run began (fingerprint {before} "
                f"-> {fingerprint}); restore it or start another run"
            )


def check_weights(run: RunDir, weights: dict[str, Any] | None, key: str) -> None:
    """Compare the file that a run starts from with its first session's, which left no checkpoint.

    Args:
        run: the run.
        weights: what was read of it, if it was.
        key: the setting that names it.

    Raises:
        RunError: it is another one.
    """
    before = weights_digest(run)
    if weights and before and weights["sha256"] != before:
        raise RunError(
            f"{run.path}: the file of {key} has changed since the run began (sha256 "
            f"{before} -> {weights['sha256']}); restore it or start another run"
        )


def record_environment(
    run: RunDir,
    process: Process,
    fingerprint: str,
    warnings: list[str],
    weights: dict[str, Any] | None,
) -> tuple[int, list[str]]:
    """Write environment.json, or add this session to a resumed run's.

    Args:
        run: the run.
        process: this one.
        fingerprint: of the data set.
        warnings: that are shown.
        weights: what was read of model.weights; None: nothing, as where the run resumes.

    Returns:
        How often the run was resumed, and what differs from its first session, as warnings.
    """
    now = _environment(process, fingerprint) | {"warnings": warnings}
    now |= {"weights": weights} if weights else {}
    if not run.environment_file.is_file():
        write_json(run.environment_file, now | {"restarts": 0, "resumed": []})
        return 0, []
    first = read_json(run.environment_file)
    resumed = [*first.get("resumed", []), now]
    write_json(run.environment_file, first | {"restarts": len(resumed), "resumed": resumed})
    return len(resumed), [
        f"resumed with another {key}: {first.get(key)} -> {now[key]}"
        for key in ("git_commit", "versions", "world_size", "devices")
        if first.get(key) != now[key]
    ]


def _environment(process: Process, fingerprint: str) -> dict[str, Any]:
    return {
        **machine(process.device.type == "cuda"),
        "command": sys.argv,
        "host": platform.node(),
        "world_size": process.world,
        "backend": process.backend,
        "data_fingerprint": fingerprint,
    }


def machine(cuda: bool) -> dict[str, Any]:
    """Return when, with which code and versions, and on what device something runs."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "git_commit": _git("rev-parse", "HEAD"),
        "git_changes": _git("status", "--porcelain", "--untracked-files=no").splitlines(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "numpy": numpy.__version__,
            "pillow": PIL.__version__,
            "dali": _installed("nvidia-dali-cuda130") or _installed("nvidia-dali-cuda120"),
            "cuda": torch.version.cuda if cuda else None,
            "cudnn": torch.backends.cudnn.version() if cuda else None,
        },
        "devices": torch.cuda.get_device_name() if cuda else _processor(),
    }


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git(*command: str) -> str:
    """Return git's answer about the program's own checkout, '' without one."""
    folder = Path(__file__).resolve().parent
    try:
        answer = subprocess.run(["git", *command], cwd=folder, capture_output=True, text=True)
    except OSError:
        return ""
    return answer.stdout.rstrip() if answer.returncode == 0 else ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor()
    return f"CPU {name}, {torch.get_num_threads()} threads"
