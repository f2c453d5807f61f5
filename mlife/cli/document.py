"""`mlife document`: tables of labelled files."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlife.cli.terminal import json_option, list_options, print_json, progress, show, with_home
from mlife.core.errors import Invalid, NotFound, no_such, there_is

if TYPE_CHECKING:
    from mlife.data.intake import DataIntake, Imported
    from mlife.runtime import Home

FORMS = click.Choice(["csv", "json", "ndjson", "xml"])


@click.group("document")
def command() -> None:
    """Documents (tables of labelled files): path, md5, annotation, and columns of your own."""


def intake_of(home: Home) -> DataIntake:
    """The intake, which projects by itself where no runner is at work."""
    from mlife.data.intake import DataIntake

    return DataIntake(home.ports, home.do, see=home.see)


@command.command("import")
@click.argument("source", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--form", type=FORMS, help="Default: from the file's ending.")
@click.option("--name", help="Shown to people. Default: the file's name.")
@click.option("--id", "document_id", help="Default: from name and content, so that importing twice changes nothing.")
@click.option("--into", help="Append the rows to this document.")
@click.option(
    "--files",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Store the rows' files, found in this folder.",
)
@click.option("--purpose", type=click.Choice(["any", "testing"]), default="any", help="testing: its rows never train.")
@click.option("--system", help="The system that it is for.")
@click.option("--function", help="The function that it is for.")
@click.option("--request", "request_id", help="The collection request that it answers.")
@click.option("--iteration", "iteration_id", help="The iteration that it belongs to.")
@json_option
@with_home
def import_document(
    home: Home, /, source: str, form: str | None, name: str | None, files: Path | None, as_json: bool, **said: Any
) -> None:
    """
    Import a document from a file, or from standard input (-). Good rows are kept, bad ones reported by line and field.

    Exit status 1 if any row was refused; the others are in.

    \b
    mlife document import labels.csv --files pictures/
    mlife document import collected.json --request req-3f9a2c41b7d0
    mlife document import - --form ndjson --name stream < rows.ndjson
    """
    if source == "-" and not form:
        raise click.UsageError("standard input has no ending: say --form")
    with ExitStack() as opened:
        stream = sys.stdin.buffer if source == "-" else opened.enter_context(Path(source).open("rb"))
        bar = opened.enter_context(progress(shown=not as_json))
        task = bar.add_task("importing", total=None)
        told = intake_of(home).import_document(
            stream,
            form or source,
            name=name or (Path(source).name if source != "-" else "standard input"),
            files=files,
            progress=lambda more: bar.advance(task, more),
            **said,
        )
    home.see(told.position)
    if as_json:
        print_json(told.as_json())
    else:
        click.echo(_sentence(told))
    if told.refused:
        raise Invalid(
            f"{told.refused_count:,} rows were refused; the others are in {told.document_id}",
            remedy="mend them and import them with --into " + told.document_id,
            refusals=tuple(told.refused),
        )


def _sentence(told: Imported) -> str:
    if told.known:
        return f"{told.document_id}: was here already, {told.rows:,} rows"
    more = f", {told.files:,} files stored" if told.files else ""
    missing = f", {told.missing:,} without bytes in the store" if told.missing else ""
    return f"{told.document_id}: {told.rows:,} rows imported{more}{missing}"


@command.command("export")
@click.argument("document_id")
@click.option("--form", type=FORMS, help="Default: from the ending of --output, else csv.")
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Default: standard output.")
@click.option("--query", "-q", default="", help="Only rows that match.")
@with_home
def export_document(home: Home, document_id: str, form: str | None, output: Path | None, query: str) -> None:
    """
    Write a document as CSV, JSON, NDJSON or XML.

    \b
    mlife document export doc-3f9a2c41b7d0 -o labels.xml
    mlife document export doc-3f9a2c41b7d0 -q 'class:9 missing:no' > nines.csv
    """
    from mlife.data.formats import form_of

    home.see(home.ports.store.head())
    kind = form_of(form or (output.name if output else "csv"))
    chunks = intake_of(home).export_document(document_id, kind, query=query)
    if output is None:
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
        return
    partial = output.with_name(f".{output.name}.part")
    try:
        with partial.open("wb") as target:
            for chunk in chunks:
                target.write(chunk)
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)


@command.command("list")
@list_options("-rows,name", "newest first")
@with_home
def list_documents(home: Home, query: str, sort: str | None, limit: int, as_json: bool) -> None:
    """
    List documents.

    \b
    mlife document list 'purpose:testing class:9'
    """
    from mlife.data import views

    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        found = views.document_page(read, query, now=home.do.clock.now(), sort=sort, limit=limit)
    rows = [asdict(d) for d in found.items]
    show(
        rows,
        as_json=as_json,
        columns=["document_id", "name", "rows", "purpose", "system", "function", "imported_at"],
        empty="no document yet: mlife document import labels.csv --files pictures/",
    )


@command.command("show")
@click.argument("document_id")
@click.option("--query", "-q", default="", help="Only rows that match.")
@click.option("--limit", default=20, type=click.IntRange(1, 500), help="Rows shown.")
@json_option
@with_home
def show_document(home: Home, document_id: str, query: str, limit: int, as_json: bool) -> None:
    """
    Show a document and its first rows.

    \b
    mlife document show doc-3f9a2c41b7d0 -q 'class:9'
    """
    from mlife.data import views

    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        head = there_is(views.document(read, document_id), "document", document_id)
        found = views.row_page(read, [head], query, now=home.do.clock.now(), limit=limit)
    if as_json:
        print_json({**asdict(head), "matching": found.total, "shown": [dict(r.body) for r in found.items]})
        return
    click.echo(f"{head.document_id}  {head.name}  {head.rows:,} rows, {found.total:,} match  purpose {head.purpose}")
    rows = [
        {
            "number": r.number,
            "path": r.path,
            "class": r.label,
            "size": r.size,
            "bytes": "here" if r.stored else "missing",
        }
        for r in found.items
    ]
    show(rows, as_json=False, empty="no row matches")


@command.command("analyse")
@click.argument("document_ids", nargs=-1)
@click.option("--query", "-q", default="", help="Only rows that match.")
@json_option
@with_home
def analyse(home: Home, document_ids: tuple[str, ...], query: str, as_json: bool) -> None:
    """
    Say what the rows of documents (default: of all) are made of: classes, types, sizes, balance.

    \b
    mlife document analyse doc-3f9a2c41b7d0 -q 'place:tunnel'
    """
    from mlife.data import views

    home.see(home.ports.store.head())
    now = home.do.clock.now()
    with home.ports.views.read() as read:
        heads = views.document_list(read, list(document_ids)) if document_ids else []
        for missing in set(document_ids) - {h.document_id for h in heads}:
            raise no_such("document", missing)
        if not heads:
            heads = list(views.document_page(read, "", now=now, limit=500).items)
        statistics = views.analyse(read, views.rows_condition(heads, query, now))
    if as_json:
        print_json(asdict(statistics))
        return
    even = "–" if statistics.balance is None else f"{statistics.balance:.0%}"
    click.echo(
        f"{statistics.rows:,} rows, {statistics.files:,} files, {statistics.bytes:,} bytes, "
        f"{statistics.unlabelled:,} not labelled, {statistics.missing:,} without bytes, balance {even}"
    )
    for title, counts in (("class", statistics.classes), ("type", statistics.types), ("size", statistics.sizes)):
        show([{title: k or "not known", "rows": v} for k, v in counts.items()], as_json=False, empty=f"no {title}")


@command.command("group")
@click.argument("document_ids", nargs=-1, required=True)
@click.option("--name", required=True, help="Shown to people.")
@click.option("--purpose", required=True, type=click.Choice(["training", "validation", "testing"]))
@click.option("--query", "-q", default="", help="Only rows that match.")
@click.option("--per-class", type=click.IntRange(min=1), help="At most so many of each class.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many together.")
@click.option("--part", help="A part of the files, e.g. 0..0.8; 0.8..1 with the same seed shares none of them.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draw.")
@click.option("--without-leaks", is_flag=True, help="Leave out what may not be used, instead of refusing all.")
@click.option("--system")
@click.option("--function")
@click.option("--iteration", "iteration_id")
@json_option
@with_home
def group(
    home: Home,
    /,
    document_ids: tuple[str, ...],
    query: str,
    per_class: int | None,
    limit: int | None,
    part: str | None,
    seed: int,
    as_json: bool,
    **said: Any,
) -> None:
    """
    Group Items: freeze rows as a training, validation or testing set. Its draft task gets a Task ID.

    The leakage guard refuses reported files and testing rows in training, and the other way round.

    \b
    mlife document group doc-3f9a2c41b7d0 --name field --purpose training -q 'missing:no'
    """
    from mlife.data.intake import Selection

    selection = Selection(document_ids, query, (), per_class, limit, _part(part), seed)
    told = intake_of(home).group(selection, **said)
    home.see(told.position)
    if as_json:
        print_json(told.as_json())
        return
    g = told.group
    left = f", {g.left_out:,} left out by the leakage guard" if g.left_out else ""
    click.echo(f"{g.group_id}: {g.rows:,} rows for {g.purpose}{left}; draft task {g.task_id}")


def _part(said: str | None) -> tuple[float, float] | None:
    if said is None:
        return None
    try:
        low, high = said.split("..")
        return float(low), float(high)
    except ValueError:
        raise click.BadParameter(f"{said!r} is no part; write it like 0..0.8", param_hint="--part") from None


@command.command("remove-rows")
@click.argument("document_id")
@click.argument("numbers", nargs=-1, type=click.IntRange(min=1))
@click.option("--query", "-q", default="", help="Rows that match, instead of numbers.")
@click.option("--reason", required=True, help="A sentence that the next reader understands.")
@json_option
@with_home
def remove_rows(home: Home, document_id: str, numbers: tuple[int, ...], query: str, reason: str, as_json: bool) -> None:
    """
    Take rows out of a document; groups keep what they froze.

    \b
    mlife document remove-rows doc-3f9a2c41b7d0 17 18 --reason 'blurred'
    mlife document remove-rows doc-3f9a2c41b7d0 -q 'size<100' --reason 'empty pictures'
    """
    from mlife.data import commands, views

    if bool(numbers) == bool(query):
        raise click.UsageError("give row numbers, or --query")
    chosen = list(numbers)
    if query:
        home.see(home.ports.store.head())
        with home.ports.views.read() as read:
            head = there_is(views.document(read, document_id), "document", document_id)
            chosen = views.numbers_of(read, views.rows_condition([head], query, home.do.clock.now()))
        if not chosen:
            raise NotFound(f"no row of {document_id} matches {query!r}", remedy="widen the query")
    done = home.do(commands.remove_rows, document_id=document_id, numbers=chosen, reason=reason)
    home.see(done.position)
    removed = sum(len(getattr(e, "numbers", ())) for e in done.events)
    if as_json:
        print_json({"position": done.position, "document_id": document_id, "removed": removed})
    else:
        click.echo(f"{document_id}: {removed:,} rows removed")
