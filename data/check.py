"""Decode every image of a data set and list those that cannot be used.

python -m data.check ROOT
"""

import argparse
import gc
import json
import multiprocessing
import os
import signal
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path

from tqdm import tqdm

from data.backends.decodable import why_undecodable
from data.index import Index, read_index
from data.store.dataset import CLASSES, IMAGENET, SPLITS, DataError
from data.store.excluded import claim_excluded, write_excluded
from data.store.machine import machine_error
from data.store.paths import printable
from foundation.errors import run_command
from foundation.homes import expanded
from foundation.pool import ended_early

_CHUNK = 256  # images between two lines of the progress file
_SHOWN = 20  # bad files on the console; all are in the list

Bad = dict[str, dict[int, str]]  # for each split the reasons, by place
_index: Index  # of the worker processes


def find_bad(index: Index, progress: Path, workers: int) -> Bad:
    """Return for each split, by place, why an image cannot be used.

    Args:
        index: of the data set.
        progress: file that remembers what is done; another call with it goes on from there.
        workers: processes.

    Raises:
        DataError: a worker was killed, the machine has reached a limit, or `progress` cannot be
            written.
    """
    try:
        return _find_bad(index, progress, workers)
    except BrokenProcessPool:
        raise DataError(
            "a worker was killed; if memory ran out, lower --workers; the same command goes on"
        ) from None
    except OSError as error:
        for worker in multiprocessing.active_children():  # of a pool that could not be completed
            worker.terminate()
        told = f"{progress}: cannot be written ({error.strerror}); choose another file with --out"
        raise machine_error(error) or DataError(told) from None


def _find_bad(index: Index, progress: Path, workers: int) -> Bad:
    bad, done = _read_progress(progress, index)
    todo = [
        (name, start)
        for name, split in index.splits.items()
        for start in range(0, len(split), _CHUNK)
        if (name, start) not in done
    ]
    context = multiprocessing.get_context("fork")  # the workers inherit the index
    with (
        progress.open("a") as log,
        ended_early(ProcessPoolExecutor(workers, context, _start_worker, (index,))) as pool,
    ):
        jobs = {pool.submit(_check, *job): job for job in todo}
        bar = tqdm(as_completed(jobs), "checking", len(jobs), unit=f"x{_CHUNK} img", disable=None)
        for job in bar:
            split, start = jobs[job]
            bad[split] |= job.result()
            print(json.dumps([split, start, job.result()]), file=log, flush=True)
    return {split: bad[split] | index.bad[split] for split in SPLITS}


def _read_progress(file: Path, index: Index) -> tuple[Bad, set[tuple[str, int]]]:
    """Return what is known, and which chunks; begin the file where it is of another data set."""
    bad: Bad = {split: {} for split in SPLITS}
    done = set()
    lines = file.read_text(errors="replace").split("\n") if file.is_file() else []
    whole = lines[1:-1] if lines[:1] == [index.fingerprint] else []  # a half line is not done
    kept = []
    for line in whole:
        with suppress(ValueError, TypeError, KeyError, AttributeError):  # damaged: not done either
            split, start, found = json.loads(line)
            bad[split] |= {int(sample): str(reason) for sample, reason in found.items()}
            done.add((split, start))
            kept.append(line)
    file.write_text("".join(f"{line}\n" for line in [index.fingerprint, *kept]))
    return bad, done


def _start_worker(index: Index) -> None:
    global _index
    _index = index
    gc.freeze()  # a DALI pipeline of the parent's, thrown away here, would wait for its threads
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent sees Ctrl-C and ends its workers


def _check(split: str, start: int) -> dict[int, str]:
    images, known = _index.splits[split], _index.bad[split]
    found = {}
    for sample in range(start, min(start + _CHUNK, len(images))):
        if sample in known:
            continue
        try:
            content = images.content(sample)
            reason = why_undecodable(content, images.sizes[sample].tolist())
            if not reason and len(content) != images.lengths[sample]:
                reason = "was replaced since it was indexed; run data.index --again, then this"
        except (OSError, MemoryError) as error:
            if told := machine_error(error):
                raise told from None
            reason = f"cannot be read: {error.strerror}"
        if reason:
            found[sample] = reason
    return found


def main() -> None:
    """Check the data set given on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m data.check",
        description="Decode every image, count them, and list the bad ones for data.exclude. "
        "Stopped, the same command goes on. Exits with 1 if there are bad files.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("root", type=expanded, help="image folder or folder of shards")
    parser.add_argument("--out", type=expanded, default="bad_images.txt", help="list of bad files")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
    arguments = parser.parse_args()
    claim_excluded(arguments.out, arguments.root)
    index = read_index(arguments.root, aloud=True)
    # Two data sets may be checked from one folder.
    progress = arguments.out.with_name(f"{arguments.out.name}.{index.fingerprint}.progress")
    try:
        bad = find_bad(index, progress, max(1, arguments.workers))
    except KeyboardInterrupt:
        print(f"stopped; the same command goes on ({progress})", file=sys.stderr)
        sys.exit(1)
    found = _report(index, bad, arguments.out, arguments.root)
    progress.unlink(missing_ok=True)
    sys.exit(1 if found else 0)


def _report(index: Index, bad: Bad, out: Path, root: str) -> bool:
    print(f"classes: {len(index.classes):,} (ImageNet: {CLASSES:,})")
    rows = []
    for name, split in index.splits.items():
        print(f"{name}: {len(split):,} images (ImageNet: {IMAGENET[name]:,})")
        rows += [(name, bytes(split.paths[i]), why) for i, why in sorted(bad[name].items())]
    if not rows:
        print("all of them can be decoded")
        if out.exists():
            print(f"{out} is of an earlier check: delete it, and train without data.exclude")
        return False
    write_excluded(out, root, rows)
    for split, path, reason in rows[:_SHOWN]:
        print(f"  {split}/{printable(os.fsdecode(path))}: {reason}")
    print("  ..." * (len(rows) > _SHOWN) + f"{len(rows)} bad files, listed in {out}; mend them, or")
    print(f"train without them: data.exclude={out}")
    return True


if __name__ == "__main__":
    run_command(main)
