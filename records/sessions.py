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


def weights_digest(run: RunDir) -> str | None:
    """Return the SHA-256 of the file that the run started from; None: from fresh weights.

    Raises:
        RunError: environment.json is damaged.
    """
    if not run.environment_file.is_file():
        return None
    weights = read_json(run.environment_file).get("weights")
    if weights is None:
        return None
    if not isinstance(weights, dict) or not isinstance(weights.get("sha256"), str):
        raise RunError(f"{run.environment_file}: its weights lack the sha256; restore the file")
    return weights["sha256"]
