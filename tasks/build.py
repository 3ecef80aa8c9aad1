"""The only place that chooses a task."""

from tasks import classification
from tasks.interface import Task

TASKS: dict[str, Task] = {"classification": classification}
