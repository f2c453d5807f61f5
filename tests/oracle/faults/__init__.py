"""What goes wrong in a run: every kind of fault by its name, and the schedule of them that follows from a seed."""

from tests.oracle.faults import of_processes, of_servers  # noqa: F401 - they register their faults
from tests.oracle.faults.schedule import FAULTS, Step, schedule

__all__ = ["FAULTS", "Step", "schedule"]
