"""environment.json: what the sessions of a run, the first one and its resumptions, went by."""

from foundation.files import read_json
from records.errors import RunError
from records.run_dir import RunDir


def data_fingerprints(run: RunDir) -> list[str]:
    """Return the data set's fingerprint by each session; [] before the first.

    Raises:
        RunError: environment.json is damaged.
    """
    if not run.environment_file.is_file():
        return []
    first = read_json(run.environment_file)
    try:
        found = [session["data_fingerprint"] for session in (first, *first.get("resumed", []))]
    except (KeyError, TypeError):
        found = [None]
    if not all(isinstance(fingerprint, str) for fingerprint in found):
        raise RunError(f"{run.environment_file}: lacks the data_fingerprint; restore the file")
    return found
