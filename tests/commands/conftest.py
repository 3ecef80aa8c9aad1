"""The run that faults and stops are compared with."""

import pytest

from tests.commands.runs import NAME, finish


@pytest.fixture(scope="session")
def straight(images, tmp_path_factory):
    """The run of two processes that nobody disturbs."""
    root = tmp_path_factory.mktemp("straight")
    finish(root, images)
    return root / NAME
