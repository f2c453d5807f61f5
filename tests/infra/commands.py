"""Whether words would be understood by the command line."""

from collections.abc import Sequence

import click

from mlife.cli import root


def understood(words: Sequence[str]) -> bool:
    """
    Is there such a command, with these options and nothing left over?

    Raises:
        click.UsageError: an option does not exist.
    """
    command: click.Command | None = root
    left = list(words)
    while isinstance(command, click.Group):
        if not left:
            return False
        command = command.get_command(click.Context(command), left.pop(0))
    if command is None:
        return False
    _, rest, _ = command.make_parser(click.Context(command)).parse_args(left)
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    return len(rest) <= len(arguments)
