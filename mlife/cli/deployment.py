"""`mlife deployment`: ship models, take them back, and see what answers."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mlife.cli.model import pairs
from mlife.cli.task import reading
from mlife.cli.terminal import json_option, list_options, print_json, show, user, with_home
from mlife.core.errors import there_is
from mlife.serving import views
from mlife.serving.commands import LOCAL, annotate_deployment, create_deployment, roll_back
from mlife.serving.events import DeploymentCreated

if TYPE_CHECKING:
    from mlife.runtime import Home

PATIENCE = 20.0
"""Seconds that a running `mlife up` may take to activate a deployment before the command says that it waits."""


@click.group("deployment")
def command() -> None:
    """Create, list and roll back deployments."""


@command.command("list")
@list_options("-version", "newest first")
@with_home
def list_(home: Home, query: str, sort: str | None, limit: int, as_json: bool) -> None:
    """
    List the deployments that a query asks for, the newest first.

    \b
    mlife deployment list 'state:active'
    mlife deployment list 'version>=2.0 model:mdl-3f9a2c41b7d0'
    """
    with reading(home) as read:
        found = views.deployment_page(read, query, now=home.do.clock.now(), sort=sort, limit=limit).items
    rows = [asdict(d) for d in found] if as_json else [_row(d) for d in found]
    show(
        rows, as_json=as_json, empty="no deployment matches: `mlife deployment create --system … --model … --version …`"
    )


def _row(d: views.DeploymentView) -> dict[str, Any]:
    return {
        "deployment": d.deployment_id,
        "version": d.version,
        "for": f"{d.system} {d.function or ''}".strip(),
        "target": d.target,
        "models": ", ".join(d.model_ids),
        "state": d.state,
        "badcases": f"{d.count('fixed')} of {len(d.badcases)} fixed" if d.badcases else None,
        "override": d.overridden_by,
        "columns": ", ".join(f"{k}={v}" for k, v in d.metrics.items()) or None,
    }


@command.command("show")
@click.argument("deployment_id")
@json_option
@with_home
def show_(home: Home, deployment_id: str, as_json: bool) -> None:
    """
    Show a deployment: state, models, the badcases that it shipped with.

    \b
    mlife deployment show dep-3f9a2c41b7d0
    """
    d = _deployment(home, deployment_id)
    if as_json:
        print_json(asdict(d))
        return
    show([_row(d)], as_json=False)
    if d.overridden_by:
        click.echo(f"override     {d.overridden_by}: {d.override_reason}")
    if d.error:
        click.echo(f"failed       {d.error}")
    if d.rolled_back_to:
        click.echo(f"rolled back  to {d.rolled_back_to}: {d.rollback_reason}")
    if d.answered_by:
        click.echo(f"answers      {d.answered_by} since {d.activated_at:%Y-%m-%d %H:%M} UTC ({d.reason})")
    for badcase_id, word in sorted(d.badcases.items()):
        click.echo(f"badcase      {badcase_id} {word}")
    for badcase_id in d.more_badcases:
        click.echo(f"badcase      {badcase_id} (attached)")


@command.command("create")
@click.option("--system", required=True)
@click.option("--function", help="Default: the models' own.")
@click.option("--model", "models", multiple=True, required=True, help="A Model ID; may be given again.")
@click.option("--version", required=True, help="What devices will report.")
@click.option("--target", default=LOCAL, show_default=True)
@click.option("--metric", "metrics", multiple=True, help="A column of your own, name=value; may be given again.")
@click.option("--override", metavar="REASON", help="Ship without a passed verdict, in your name, for this reason.")
@json_option
@with_home
def create(
    home: Home,
    system: str,
    function: str | None,
    models: tuple[str, ...],
    version: str,
    target: str,
    metrics: tuple[str, ...],
    override: str | None,
    as_json: bool,
) -> None:
    """
    Ship one or several models.

    \b
    mlife deployment create --system dms --model mdl-3f9a2c41b7d0 --version 2.4.0
    mlife deployment create --system dms --model mdl-… --version 2.4.1 --override 'customer waits for night mode'
    """
    done = home.do(
        create_deployment,
        system=system,
        function=function,
        model_ids=models,
        version=version,
        target=target,
        metrics=pairs(metrics),
        override={"by": user(), "reason": override} if override is not None else None,
    )
    home.see(done.position)
    _follow(home, done.first(DeploymentCreated).deployment_id, done.position, as_json=as_json)


@command.command("rollback")
@click.argument("deployment_id")
@click.option("--reason", required=True, help="What went wrong.")
@json_option
@with_home
def rollback(home: Home, deployment_id: str, reason: str, as_json: bool) -> None:
    """
    Take the deployment that answers now back; what answered before is activated again.

    \b
    mlife deployment rollback dep-3f9a2c41b7d0 --reason 'night pictures are read wrong'
    """
    done = home.do(roll_back, deployment_id=deployment_id, reason=reason)
    home.see(done.position)
    d = _deployment(home, deployment_id)
    _follow(home, d.rolled_back_to or deployment_id, done.position, as_json=as_json)


def _follow(home: Home, deployment_id: str, position: int, *, as_json: bool) -> None:
    """Wait for the target if somebody runs handlers; else say what it waits for."""
    served = home.ports.locks.is_held("runner")
    deadline = time.monotonic() + (PATIENCE if served else 0)
    d = _deployment(home, deployment_id)
    while time.monotonic() < deadline and not _settled(d, position):
        time.sleep(0.05)
        d = _deployment(home, deployment_id)
    if as_json:
        print_json({"deployment_id": deployment_id, "state": d.state, "error": d.error, "position": position})
    elif d.state == "failed":
        click.echo(f"{deployment_id} failed, what answered before still does: {d.error}", err=True)
    elif _settled(d, position):
        click.echo(f"{deployment_id} is active: {d.target} answers with {d.answered_by}")
    else:
        waits = "`mlife up` has not activated it yet" if served else "it is activated when `mlife up` runs on this home"
        click.echo(f"{deployment_id} is created; {waits}")
    if d.state == "failed":
        raise SystemExit(1)


def _settled(d: views.DeploymentView, position: int) -> bool:
    """Has the target dealt with what happened at *position*?"""
    return d.state == "failed" or (d.activated_place or 0) > position


@command.command("annotate")
@click.argument("deployment_id")
@click.option("--metric", "metrics", multiple=True, help="A column, name=value; may be given again.")
@click.option("--badcase", "badcases", multiple=True, help="A badcase to attach; may be given again.")
@click.option("--note", default="")
@with_home
def annotate(home: Home, deployment_id: str, metrics: tuple[str, ...], badcases: tuple[str, ...], note: str) -> None:
    """
    Change a deployment's columns, attach badcases that are known from elsewhere, write a note.

    \b
    mlife deployment annotate dep-3f9a2c41b7d0 --metric night=0.97 --note "checked on the track"
    """
    done = home.do(
        annotate_deployment, deployment_id=deployment_id, metrics=pairs(metrics), badcase_ids=badcases, note=note
    )
    home.see(done.position)
    click.echo(f"{deployment_id} is annotated" if done.events else "nothing of this is new")


def _deployment(home: Home, deployment_id: str) -> views.DeploymentView:
    with reading(home) as read:
        return there_is(views.deployment(read, deployment_id), "deployment", deployment_id)
