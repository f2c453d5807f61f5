"""
`mlife <noun> <verb>`.

Each module here that has a `command` (a click command or group) is one noun, found by its file name: no list to keep.
Modules are imported when their noun is used, so that `mlife --help` and small commands start fast.
"""

from __future__ import annotations

import pkgutil
import sys
from importlib import import_module
from pathlib import Path

import click

from mlife.cli.terminal import explain
from mlife.core.errors import MLifeError

NOT_NOUNS = {"failures", "regrouping", "reporting", "suggesting", "terminal"}


class Nouns(click.Group):
    """The nouns are the modules of this package."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Their names, sorted."""
        return sorted(m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)]) if m.name not in NOT_NOUNS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The noun's command, imported now."""
        if name not in self.list_commands(ctx):
            return None
        command: click.Command = import_module(f"mlife.cli.{name}").command
        return command


@click.group(cls=Nouns, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="mlife", prog_name="mlife")
def root() -> None:
    """
    MLife: field failures become the next model, and are proved fixed.

    \b
    mlife demo                     the whole loop on real data, in under a minute
    mlife up                       pages and API on http://127.0.0.1:8000
    mlife badcase report FILE      take failures in

    Exit status: 0 done, 1 refused with a reason, 2 wrong usage.
    """


def main() -> None:
    """Run the command line; every refusal becomes one clear message and exit status 1."""
    try:
        code = root.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)  # what `ctx.exit` said
    except click.exceptions.Exit as e:
        sys.exit(e.exit_code)
    except click.ClickException as e:
        e.show()
        sys.exit(e.exit_code)
    except click.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except MLifeError as e:
        explain(e)
        sys.exit(1)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe has seen enough
        sys.exit(0)
