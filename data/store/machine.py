"""Errors that say nothing about the file they are met at: the machine has reached a limit."""

import errno
import os
import resource

from data.store.dataset import DataError

_ENOUGH = 4096  # open files


def machine_error(error: OSError | MemoryError) -> DataError | None:
    """Return the error that names the machine's limit, None where the file is to blame."""
    if isinstance(error, MemoryError) or error.errno == errno.ENOMEM:
        return DataError("memory has run out; use fewer workers, or a machine with more memory")
    if error.errno == errno.EMFILE:
        return _too_few_open_files()
    if error.errno == errno.ENFILE:
        return DataError("the machine has no more open files to give; raise sysctl fs.file-max")
    if error.errno in (errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN):
        return DataError(
            f"the network file system does not answer ({error.strerror}); try again, or mount it "
            f"again"
        )
    return None


def demand_open_files(more: int) -> None:
    """Make sure that this process may open `more` files: worker processes that cannot, hang.

    Raises:
        DataError: it may not.
    """
    try:
        taken = len(os.listdir("/proc/self/fd"))
    except OSError as error:
        if told := machine_error(error):
            raise told from None
        return  # not Linux
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and taken + more > soft:
        raise _too_few_open_files()


def _too_few_open_files() -> DataError:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    closed = hard != resource.RLIM_INFINITY and hard < _ENOUGH
    return DataError(
        f"this process may have {soft} files open at a time, which is too few; allow more: "
        f"ulimit -n {_ENOUGH}" + f" (your administrator must: the hard limit is {hard})" * closed
    )
