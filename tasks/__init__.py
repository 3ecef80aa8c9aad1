"""What is learned: a loss, counts, a row. No other room with torch in it knows a metric."""

from tasks import classification
from tasks.interface import Task

TASKS: dict[str, Task] = {"classification": classification}
