"""The only place that chooses a task."""

from tasks import classification, segmentation
from tasks.interface import Task

TASKS: dict[str, Task] = {"classification": classification, "segmentation": segmentation}
