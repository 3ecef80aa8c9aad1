"""Evaluate trained runs, under their own padding or another (Table 4, "Cross Testing").

    python evaluate.py runs/* --padding zero partial
    torchrun --nproc-per-node=8 evaluate.py runs/* data.root=/imagenet
    python evaluate.py runs/deeplabv3plus_* --save-predictions eval.tile=1024

Writes into each run directory eval/<padding>.json: counts, and accuracies or IoUs; and the
predictions: of classification eval/<padding>.npz, every image's, of segmentation, where they are
asked for, label images in eval/predictions/. What cannot be evaluated does not stop the rest; it is
named at the end.
"""

import argparse
import re
from itertools import takewhile
from pathlib import Path
from typing import get_args

from configs.fields import Padding
from configs.schema import EVALUATION_KEYS
from foundation.errors import UserError, run_command
from foundation.orphans import end_with_launcher

_SETTING = re.compile(r"[a-z_.]+=")  # key.sub=value
_SCHEMES = get_args(Padding)


def main() -> None:
    """Run the command line."""
    run_command(_evaluate)


def _evaluate() -> None:
    end_with_launcher()
    arguments = _arguments()
    _check_arguments(arguments)
    from commands.evaluate_runs import evaluate_runs  # late: torch takes seconds

    evaluate_runs(
        arguments.runs,
        arguments.checkpoint,
        arguments.padding,
        arguments.overrides,
        arguments.save_predictions,
    )


def _arguments() -> argparse.Namespace:
    """Return the command line's runs, overrides and options."""
    parser = argparse.ArgumentParser(
        usage="%(prog)s RUN_DIR [RUN_DIR ...] [--padding SCHEME [SCHEME ...]] "
        "[--checkpoint best|last|FILE] [--save-predictions] [key.sub=value ...]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="RUN_DIR | key.sub=value",
        help="a folder whose name looks like a setting is written ./name=value",
    )
    parser.add_argument(
        "--padding",
        nargs="+",
        default=[],
        metavar="SCHEME",
        help=f"{', '.join(_SCHEMES)} (default: the run's own, zero and partial)",
    )
    parser.add_argument(
        "--checkpoint",
        default="best",
        metavar="best|last|FILE",
        help="default: best; a file belongs to the one run given",
    )
    parser.add_argument(
        "--save-predictions",
        action="store_true",
        help="segmentation: label images (PNG, label ids) of every mode, in eval/predictions/",
    )
    arguments = parser.parse_intermixed_args()
    # argparse gives --padding all the words that follow it.
    schemes = list(takewhile(_means_scheme, arguments.padding))
    words = arguments.words + arguments.padding[len(schemes) :]
    arguments.overrides = [word for word in words if _SETTING.match(word)]
    arguments.runs = [word for word in words if not _SETTING.match(word)]
    arguments.padding = list(dict.fromkeys(schemes))
    return arguments


def _means_scheme(word: str) -> bool:
    """Return whether a word after --padding is a scheme, perhaps a misspelt one."""
    return word in _SCHEMES or not (_SETTING.match(word) or Path(word).exists())


def _check_arguments(arguments: argparse.Namespace) -> None:
    for padding in arguments.padding:
        if padding not in _SCHEMES:
            raise UserError(f"--padding {padding}: unknown; choose from {', '.join(_SCHEMES)}")
    if not arguments.runs:
        raise UserError("no run directory given")
    if arguments.checkpoint not in ("best", "last") and len(arguments.runs) > 1:
        raise UserError("--checkpoint FILE belongs to one run; give one run directory")
    for override in arguments.overrides:
        if override.partition("=")[0] not in EVALUATION_KEYS:
            raise UserError(
                f"'{override}': evaluation follows the run's config.yaml; "
                f"only {', '.join(sorted(EVALUATION_KEYS))} can be overridden"
            )


if __name__ == "__main__":
    main()
