"""`mlife up`: API, pages, projections, handlers and the task worker in one process."""

from __future__ import annotations

import ipaddress
import signal
import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from mlife.cli.terminal import with_home
from mlife.core.errors import Refused

if TYPE_CHECKING:
    from mlife.runtime import Home


@click.command("up")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free port.")
@click.option("--token", help="What every request must carry; needed to listen beyond this machine.")
@click.option("--no-tasks", is_flag=True, help="Leave training and testing tasks to `mlife worker tasks`.")
@with_home
def command(home: Home, host: str, port: int, token: str | None, no_tasks: bool) -> None:
    """
    Serve the pages and the API, and keep the loop going.

    \b
    mlife up                                     http://127.0.0.1:8000
    mlife up --host 0.0.0.0 --token "$SECRET"    the whole network, with a token
    """
    from mlife.server import make_app, new_token, serve

    token = token or home.settings.token
    if not is_loopback(host) and not token:
        raise Refused(
            f"{host} can be reached from other machines, and no token is set",
            remedy=f"add --token (for example {new_token()}), or set MLIFE_TOKEN",
        )

    def announce(bound: int) -> None:
        name = f"[{host}]" if ":" in host else host
        click.echo(f"MLife is up: http://{name}:{bound}/  (home {home.settings.home}; Ctrl-C ends it)")
        if not home.settings.is_alone:
            click.echo("Beside it must run: mlife relay, mlife worker projections, mlife worker handlers.")
        if token:
            click.echo("Every request must carry the token: Authorization: Bearer …, or open /?token=… once.")

    signal.signal(signal.SIGTERM, _end)
    with ExitStack() as running:
        running.enter_context(home.running())
        if not no_tasks:
            running.enter_context(working(home))
        home.restore()
        serve(make_app(home, token=token, names=None if token else [host]), host, port, announce)


def _end(*_: object) -> None:
    """End in order: running tasks are given back, files closed. The server hands the signal on when it has ended."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not cut that short
    sys.exit(0)


def is_loopback(host: str) -> bool:
    """Is *host* only reachable from this machine?"""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class working:  # noqa: N801 - reads as a sentence where it is used
    """A task worker in a thread, for the block; *tries* as of `TaskWorker`."""

    def __init__(self, home: Home, *, tries: int = 3) -> None:
        from mlife.training.worker import TaskWorker

        self._stop = threading.Event()
        worker = TaskWorker(home.ports, home.do, home.settings.home / "runs", tries=tries)
        self._thread = threading.Thread(target=worker.run, args=(self._stop,), name="mlife-tasks", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *fault: object) -> None:
        self._stop.set()
        self._thread.join(timeout=10)
