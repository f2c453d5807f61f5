"""`python -m tests.workers.dying_faust worker projections`: its first Faust application crashes after a second."""

import asyncio
import sys
from typing import Any

from mlife import cli
from mlife.adapters import worker_faust

made = worker_faust.application
count = 0


def application(*given: Any, **settings: Any) -> Any:
    """The first of them crashes."""
    global count  # noqa: PLW0603
    count += 1
    app = made(*given, **settings)
    if count == 1:

        @app.task  # type: ignore[untyped-decorator]
        async def crash() -> None:
            await asyncio.sleep(1)
            await app.crash(RuntimeError("the library has a bad day"))

    return app


if __name__ == "__main__":
    worker_faust.application = application
    sys.argv[0] = "mlife"
    cli.main()
