"""
MLife: field failures become the next model, and are proved fixed.

``mlife.projections`` and ``mlife.handlers`` are folders at the top of a checkout and parts of this package in a wheel.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlife.sdk import Client as Client
    from mlife.sdk import task as task

__version__ = "0.1.0"

_CHECKOUT = Path(__file__).resolve().parent.parent
if (_CHECKOUT / "pyproject.toml").is_file() and (_CHECKOUT / "projections" / "__init__.py").is_file():
    # A checkout or an editable install: the two folders stand beside this one (ADR: docs/architecture.md).
    __path__.append(str(_CHECKOUT))


def __getattr__(name: str) -> Any:
    """``mlife.task`` and ``mlife.Client`` load the SDK when they are first asked for; ``import mlife`` stays light."""
    if name in {"Client", "task"}:
        from mlife import sdk

        return getattr(sdk, name)
    raise AttributeError(f"module 'mlife' has no attribute {name!r}")
