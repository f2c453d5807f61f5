"""`mlife model`: models, what the gate says of them, and how two of them compare."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlife.cli.task import reading
from mlife.cli.terminal import json_option, list_options, print_json, show, with_home
from mlife.core.errors import Invalid, Refusal, there_is
from mlife.core.handler import acting, handlers
from mlife.data.intake.files import FileIntake
from mlife.serving import views
from mlife.serving.commands import add_model, adopted_id, ask_judgement, note_model
from mlife.training.views import compare_models

if TYPE_CHECKING:
    from mlife.runtime import Home

JUDGE = "serving.judge_again"
"""The handler that judges when a person asks."""


@click.group("model")
def command() -> None:
    """List, adopt, judge, compare and download models."""


@command.command("list")
@list_options("-fixed,name", "newest first")
@with_home
def list_(home: Home, query: str, sort: str | None, limit: int, as_json: bool) -> None:
    """
    List the models that a query asks for.

    \b
    mlife model list 'gate:passed function:digit'
    mlife model list 'fails:bc-3f9a2c41b7d0' --sort -fixed
    """
    with reading(home) as read:
        found = views.model_page(read, query, now=home.do.clock.now(), sort=sort, limit=limit).items
    rows = [asdict(m) for m in found] if as_json else [_row(m) for m in found]
    show(rows, as_json=as_json, empty="no model matches: a training task leaves one, or `mlife model add FILE`")


def _row(m: views.ModelView) -> dict[str, Any]:
    measured = list(m.metrics.items())[:3]
    return {
        "model": m.model_id,
        "name": m.name,
        "function": f"{m.system or '–'} {m.function or ''}".strip(),
        "gate": m.gate,
        "fixed": f"{m.fixed} of {m.judged_badcases}" if m.judged_badcases else None,
        "broken": m.broken or None,
        "metrics": ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in measured),
        "active in": ", ".join(m.active_in) or None,
    }


@command.command("show")
@click.argument("model_id")
@json_option
@with_home
def show_(home: Home, model_id: str, as_json: bool) -> None:
    """
    Show a model, the gate's verdict on it in words, and its known badcases.

    \b
    mlife model show mdl-3f9a2c41b7d0
    """
    with reading(home) as read:
        m = _model(home, model_id)
        verdict = views.verdict(read, model_id)
        notes = views.notes_of(read, model_id)
    if as_json:
        said = asdict(verdict) if verdict else None
        print_json({**asdict(m), "verdict": said, "notes": [asdict(n) for n in notes]})
        return
    show([_row(m)], as_json=False)
    click.echo(f"made by      {m.task_id or 'somebody else (adopted)'}, {m.made_at:%Y-%m-%d %H:%M} UTC")
    click.echo(f"replaces     {', '.join(m.parents) or 'nothing'}")
    click.echo(f"file         sha256:{m.sha256} ({m.size:,} bytes)")
    for note in notes:
        click.echo(f"note         {note.note} ({note.noted_by or 'somebody'})")
    _say(verdict)


def _say(verdict: views.VerdictView | None) -> None:
    if verdict is None:
        click.echo("gate         not judged: no testing task ran with it")
        return
    click.echo(f"gate         {verdict.sentences[0]}")
    for sentence in verdict.sentences[1:]:
        click.echo(f"             {sentence}")
    for row in verdict.test_sets:
        click.echo(f"test set     {row['name']}: {row['sentence']}")
    for b in verdict.badcases:
        if b["verdict"] != "fixed" or b["broken"]:
            click.echo(f"badcase      {b['badcase_id']} {b['sentence']}")


@command.command("add")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--system", help="The system it is for.")
@click.option("--function", help="The function it is for.")
@click.option("--name", help="What to call it (default: the file's name).")
@click.option("--parent", "parents", multiple=True, help="A model that it is meant to replace; may be given again.")
@click.option("--metric", "metrics", multiple=True, help="name=value; may be given again.")
@click.option("--note", default="", help="What the next reader should know.")
@json_option
@with_home
def add(
    home: Home,
    file: Path,
    system: str | None,
    function: str | None,
    name: str | None,
    parents: tuple[str, ...],
    metrics: tuple[str, ...],
    note: str,
    as_json: bool,
) -> None:
    """
    Adopt a model that was made elsewhere: an ONNX file is checked, stored, and gets a Model ID.

    \b
    mlife model add emotion.onnx --system dms --function emotion --name 'emotion v1' --metric accuracy=0.93
    """
    home.ports.models.check(file)
    measured = pairs(metrics)
    stored = FileIntake(home.ports, home.do).put(file, name=file.name)
    done = home.do(
        add_model,
        sha256=stored.sha256,
        size=stored.size,
        name=name or file.stem,
        system=system,
        function=function,
        metrics=measured,
        parents=parents,
        note=note,
    )
    home.see(done.position)
    model_id = adopted_id(stored.sha256, system, function)
    if as_json:
        print_json({"model_id": model_id, "sha256": stored.sha256, "known": not done.events, "position": done.position})
    else:
        click.echo(f"{model_id} {'is adopted' if done.events else 'is this file already'}")


def pairs(given: tuple[str, ...]) -> dict[str, Any]:
    """
    Options of the form name=value; numbers are read as numbers.

    Raises:
        Invalid: with each that is no such thing.
    """
    found: dict[str, Any] = {}
    refusals = []
    for place, text in enumerate(given, 1):
        name, mark, value = text.partition("=")
        if not mark or not name.strip():
            refusals.append(Refusal(place, "metric", text, "has no =", "name=value"))
            continue
        try:
            found[name.strip()] = int(value) if value.strip().lstrip("+-").isdecimal() else float(value)
        except ValueError:
            found[name.strip()] = value.strip()
    if refusals:
        raise Invalid("metrics can't be read", refusals=tuple(refusals))
    return found


@command.command("note")
@click.argument("model_id")
@click.argument("text")
@with_home
def note_(home: Home, model_id: str, text: str) -> None:
    """
    Write a note on a model.

    \b
    mlife model note mdl-3f9a2c41b7d0 "weak at night"
    """
    home.see(home.do(note_model, model_id=model_id, note=text).position)
    click.echo(f"{model_id} is noted")


@command.command("judge")
@click.argument("model_id")
@click.option("--reason", default="", help="Why it is judged again.")
@json_option
@with_home
def judge(home: Home, model_id: str, reason: str, as_json: bool) -> None:
    """
    Ask for the gate's word on a model now, on all that it was tested on.

    Works whether or not `mlife up` runs: what it would do is done here, and not a second time there.

    \b
    mlife model judge mdl-3f9a2c41b7d0 --reason "a stricter policy"
    """
    done = home.do(ask_judgement, model_id=model_id, reason=reason)
    home.see(done.position)
    (fact,) = home.ports.store.read(done.position - 1, 1)
    handlers[JUDGE].run(fact, acting(home.do, home.ports, JUDGE, fact))
    with reading(home) as read:
        verdict = views.verdict(read, model_id)
    if as_json:
        print_json(asdict(verdict) if verdict else None)
    else:
        _say(verdict)


@command.command("download")
@click.argument("model_id")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@with_home
def download(home: Home, model_id: str, file: Path) -> None:
    """
    Write a model's ONNX file.

    \b
    mlife model download mdl-3f9a2c41b7d0 model.onnx
    """
    m = _model(home, model_id)
    with home.ports.blobs.open(m.sha256) as source, file.open("wb") as target:
        shutil.copyfileobj(source, target)
    click.echo(f"{file}: {m.size:,} bytes, sha256:{m.sha256}")


@command.command("compare")
@click.argument("model_id")
@click.argument("other_id")
@json_option
@with_home
def compare(home: Home, model_id: str, other_id: str, as_json: bool) -> None:
    """
    Compare a model with another one, row by row on every test group that both were tested on.

    \b
    mlife model compare mdl-3f9a2c41b7d0 mdl-41bb20cc7d10
    """
    _model(home, model_id), _model(home, other_id)
    with reading(home) as read:
        found = compare_models(read, model_id, other_id)
    rows = [
        {
            "group": c.group_id,
            "name": c.group_name,
            "rows": c.size,
            "right": c.correct,
            "before": c.other_correct,
            "fixed": c.fixed,
            "broken": c.broken,
            "still failing": c.still_failing,
            "kept": c.kept,
        }
        for c in found
    ]
    show(rows, as_json=as_json, empty="no test group has results of both: test them on the same groups")


def _model(home: Home, model_id: str) -> views.ModelView:
    with reading(home) as read:
        return there_is(views.model(read, model_id), "model", model_id)
