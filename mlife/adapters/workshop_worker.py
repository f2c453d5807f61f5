"""The process in which a stranger's file is converted or measured; `workshop_process.py` starts it."""

from __future__ import annotations

import json
import resource
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlife.core.media.conversions import CannotConvert, conversion


def main() -> None:
    """Answer the one request on standard input."""
    warnings.simplefilter("ignore")
    request = json.load(sys.stdin)
    try:
        confine(request)
        answer = _convert(request) if request["ask"] == "convert" else _measure(request)
    except ModuleNotFoundError as e:
        answer = {"missing": e.name or str(e)}
    except CannotConvert as e:
        answer = {"problem": str(e)}
    except MemoryError:
        answer = {"problem": "needs too much memory"}
    except Exception as e:  # noqa: BLE001 - decoders raise anything on a hostile file, and all of it means the same
        answer = {"problem": f"can't be read: {type(e).__name__}: {e}"[:300]}
    json.dump(answer, sys.stdout)


def confine(request: dict[str, Any]) -> None:
    """Take away what a decoder does not need (-1: no limit). Some systems know only some of these limits."""
    used = 0
    with suppress(OSError):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limits = {
        "RLIMIT_AS": used + request["memory"],
        "RLIMIT_CPU": request["seconds"],
        "RLIMIT_FSIZE": request["most"],
        "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": request.get("files", 64),
    }
    for name, value in limits.items():
        with suppress(AttributeError, ValueError, OSError):
            resource.setrlimit(getattr(resource, name), (value, value))


def _convert(request: dict[str, Any]) -> dict[str, Any]:
    found = conversion(request["name"])
    target = Path(request["target"])
    suffix = found.run(Path(request["source"]), target, request["values"])
    if not target.is_file() or target.stat().st_size == 0:
        raise CannotConvert("gives nothing so")
    return {"suffix": suffix}


def _measure(request: dict[str, Any]) -> dict[str, Any]:
    source = Path(request["source"])
    if request["media_type"].startswith("audio/"):
        from mlife.adapters.sound_soundfile import seconds_of
    else:
        from mlife.adapters.video_pyav import seconds_of
    return {"seconds": seconds_of(source)}


if __name__ == "__main__":
    main()
