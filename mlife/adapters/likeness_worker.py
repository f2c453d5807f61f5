"""
The process in which embedders run and vectors are compared; `likeness_process.py` starts it.

It may use a fixed amount of memory beyond what it starts with, and is killed by its parent if an answer takes too long.
What a plug-in prints goes nowhere: the answers have a pipe of their own.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from mlife.adapters.images_pillow_worker import message, read_message
from mlife.adapters.workshop_worker import confine
from mlife.core.errors import MLifeError
from mlife.core.media.embedding import Embed, Embedder, embedder_problem
from mlife.core.media.plugins import EMBEDDERS, plugin

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class _Fault(Exception):
    """The embedder can't be opened: no item is at fault."""


def answer(request: dict[str, Any], body: bytes) -> bytes:
    """The answer to one request, as a message; whatever a plug-in raises is an answer, too."""
    try:
        if request["ask"] == "open":
            _opened(request["name"])
            return message({})
        return _nearest(request, body) if request["ask"] == "nearest" else _embed(request, body)
    except _Fault as e:
        return message({"fault": str(e)})
    except ModuleNotFoundError as e:
        return message({"fault": f"needs {e.name}, which is not installed"})
    except MemoryError:
        return message({"problem": "needs too much memory"})
    except Exception as e:  # noqa: BLE001 - a plug-in is anybody's code
        return message({"problem": f"raises {type(e).__name__}: {e}"[:300]})


def _embed(request: dict[str, Any], body: bytes) -> bytes:
    import numpy as np

    embedder, run = _opened(request["name"])
    items = _apart(body, request["sizes"], embedder)
    try:
        found = np.asarray(run(items), dtype=np.float32)
    except ValueError as e:
        return message({"problem": f"gives no rows of numbers: {e}"[:300]})
    if found.shape != (len(items), embedder.dimension):
        shape = " × ".join(map(str, found.shape)) or "a single number"
        return message({"problem": f"gives {shape}, and not {len(items)} × {embedder.dimension}"})
    finite = np.asarray(np.isfinite(found).all(axis=1))
    problems = {int(n): "gives NaN or infinity" for n in np.flatnonzero(~finite)}
    return message({"problems": problems, "dimension": embedder.dimension}, _unit(np.where(finite[:, None], found, 0)))


def _unit(found: NDArray[np.float32]) -> bytes:
    """Each row of length 1; one without a direction stays 0."""
    import numpy as np

    # in 64 bits: the squares of great numbers are infinite in 32
    wide = found.astype(np.float64)
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    made: bytes = np.divide(wide, length, out=np.zeros_like(wide), where=length > 1e-12).astype("<f4").tobytes()
    return made


def _apart(body: bytes, sizes: Sequence[int], embedder: Embedder) -> list[Any]:
    items, at = [], 0
    for size in sizes:
        items.append(body[at : at + size] if embedder.reads == "picture" else body[at : at + size].decode())
        at += size
    return items


@cache
def _opened(name: str) -> tuple[Embedder, Embed]:
    try:
        embedder = plugin(EMBEDDERS, name)
        problem = "is not installed" if embedder is None else embedder_problem(embedder)
        if problem:
            raise _Fault(problem)
        run: Callable[..., Any] = embedder.open()
    except _Fault:
        raise
    except ModuleNotFoundError as e:
        raise _Fault(f"needs {e.name}, which is not installed") from e
    except MLifeError as e:
        raise _Fault(e.message) from e
    except Exception as e:
        raise _Fault(f"can't be opened: {type(e).__name__}: {e}"[:300]) from e
    return embedder, run


def _nearest(request: dict[str, Any], body: bytes) -> bytes:
    import numpy as np

    from mlife.adapters.nearest_numpy import nearest

    n, dimension = request["n"], request["dimension"]
    vectors = np.frombuffer(body, dtype="<f4", count=n * dimension).reshape(n, dimension)
    owners = np.frombuffer(body, dtype="<i4", offset=4 * n * dimension)
    one, other, cosine = nearest(vectors, owners, near=request["near"], most=request["most"])
    pairs = one.astype("<i4").tobytes() + other.astype("<i4").tobytes() + cosine.astype("<f4").tobytes()
    return message({"pairs": len(one)}, pairs)


def main() -> None:
    """Answer until the parent closes the pipe."""
    warnings.simplefilter("ignore")
    os.nice(10)  # reports, pages and tables go first
    source = sys.stdin.buffer
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    confine({"memory": int(sys.argv[1]), "seconds": -1, "most": 512 << 20, "files": 256})
    while received := read_message(source):
        sink.write(answer(*received))
        sink.flush()


if __name__ == "__main__":
    main()
