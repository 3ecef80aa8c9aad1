"""Activation maps of trained runs on chosen validation images, for Fig. 5.

    python -m commands.activations runs/vgg19_bn_zero_seed1 runs/vgg19_bn_partial_seed1 \\
        --images 17 n01440764/ILSVRC2012_val_00000293.JPEG --out maps data.root=/imagenet

Writes OUT/<arch>_<padding>_seed<seed>.npz for each run: the images as the network saw them, and of
each layer the sum of its output over the channels. Without --layers these are the paper's ReLUs,
features.22 and features.32, for VGG, the four stages for ResNets, and mod2 to mod7 for
WideResNet-38.
"""

import argparse
import re
from pathlib import Path

from configs.schema import EVALUATION_KEYS
from foundation.errors import UserError, run_command

_SETTING = re.compile(r"[a-z_.]+=")  # key.sub=value


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m commands.activations",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", nargs="+", metavar="RUN_DIR | key.sub=value")
    place = "place in the validation split, from 0, or <class>/<file>"
    parser.add_argument("--images", nargs="+", required=True, metavar="INDEX|FILE", help=place)
    parser.add_argument("--layers", nargs="+", default=[], metavar="NAME", help="of modules")
    parser.add_argument("--out", type=Path, required=True, help="folder")
    arguments = parser.parse_intermixed_args()
    given = {name: getattr(arguments, name) for name in ("words", "images", "layers")}
    # argparse gives an option all the words that follow it.
    overrides = [word for words in given.values() for word in words if _SETTING.match(word)]
    folders, images, layers = (
        [word for word in words if not _SETTING.match(word)] for words in given.values()
    )
    for override in overrides:
        if override.partition("=")[0] not in EVALUATION_KEYS:
            listed = ", ".join(sorted(EVALUATION_KEYS))
            raise UserError(f"'{override}': only {listed} can be overridden")
    if not folders:
        raise UserError("no run directory given")
    from commands.activation_runs import write_activations  # late: torch takes seconds

    for file in write_activations(folders, images, layers, arguments.out, overrides):
        print(file)


if __name__ == "__main__":
    run_command(main)
