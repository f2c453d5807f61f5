"""
`python -m tests.workers.dying_intake worker intake`: an intake that dies, as by `kill -9`, between two of its steps.

DIE_AFTER is `judged` (the log has the batch), `refused` (so has the topic of refusals) or `taken` (right before the
offsets are committed).
"""

import os
import signal
import sys
from typing import Any

from mlife import cli
from mlife.adapters.intake_faust import FaustIntake


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dying(step: str) -> None:
    """Let the process die right after *step*."""
    name = {"refused": "_refuse", "taken": "take"}.get(step)
    if name is None:
        made = FaustIntake.__post_init__

        def post_init(self: FaustIntake) -> None:
            made(self)
            judge = self.judge

            def then_die(values: Any) -> Any:
                judge(values)
                die()

            self.judge = then_die

        FaustIntake.__post_init__ = post_init  # type: ignore[method-assign]
        return
    whole = getattr(FaustIntake, name)

    async def then_die(*given: Any) -> Any:
        await whole(*given)
        die()

    setattr(FaustIntake, name, then_die)


if __name__ == "__main__":
    dying(os.environ["DIE_AFTER"])
    sys.argv[0] = "mlife"
    cli.main()
