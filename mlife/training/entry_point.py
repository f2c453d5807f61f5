"""What a task runs: `module:function`, or a command line."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from mlife.core.errors import Invalid, Refusal, shortened

_FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
LONGEST = 4_000
EXPECTED = "module:function, such as my_code.train:main, or a command line, such as python train.py --epochs 4"


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """
    A checked entry point.

    Args:
        module, function: of `module:function`; empty for a command line.
        command: the words of a command line; no shell reads them.
    """

    module: str = ""
    function: str = ""
    command: tuple[str, ...] = ()


def read_entry_point(text: str) -> EntryPoint:
    """
    The entry point that *text* means.

    Raises:
        Invalid: it is neither form.
    """
    said = text.strip()
    if _FUNCTION.fullmatch(said) and len(said) <= LONGEST:
        module, function = said.split(":")
        return EntryPoint(module, function)
    problem = "is empty" if not said else "is too long" if len(said) > LONGEST else ""
    words: list[str] = []
    if not problem:
        try:
            words = shlex.split(said)
        except ValueError as e:
            problem = f"can't be read as a command line ({str(e).lower()})"
    if not problem and (not words or not words[0] or "\0" in said):
        problem = "names no program"
    if problem:
        refusal = Refusal(1, "entry_point", shortened(said), problem, EXPECTED)
        raise Invalid(f"the entry point {problem}", remedy=f"give {EXPECTED}", refusals=(refusal,))
    return EntryPoint(command=tuple(words))
