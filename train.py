"""Train one network: config -> model and loaders -> fit -> run directory.

    python train.py CONFIG.yaml [key.sub=value ...]
    torchrun --nproc-per-node=8 train.py configs/resnet50.yaml model.padding=partial seed=3 \\
        data.root=/imagenet

The same command resumes an unfinished run and leaves a finished one alone. Ctrl-C, SIGTERM, SIGUSR1
or a file called `stop` in the run directory end it after a step, which it goes on from.
"""

import argparse
import signal

from configs.load import load
from configs.schema import Config
from foundation.errors import run_command
from foundation.orphans import end_with_launcher


def main() -> None:
    """Run the command line."""
    run_command(_train)


def _train() -> None:
    end_with_launcher()
    # Until the run begins there is nothing to save: Ctrl-C ends the process without more ado.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    config = _config()
    from commands.train_run import train_run  # late: torch takes seconds, mistakes are told before

    train_run(config)


def _config() -> Config:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="YAML file, for example configs/resnet50.yaml")
    parser.add_argument("overrides", nargs="*", metavar="key.sub=value", help="replace a setting")
    arguments = parser.parse_args()
    return load(arguments.config, arguments.overrides)


if __name__ == "__main__":
    main()
