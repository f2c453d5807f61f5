"""`mlife bench`: the benchmarks behind `make bench`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlife.cli.terminal import console, json_option, print_json
from mlife.core.errors import NotFound

if TYPE_CHECKING:
    from mlife.bench.figures import Figure


@click.command("bench")
@click.argument("groups", nargs=-1)
@click.option("--quick", is_flag=True, help="Small sizes, to see that everything works; the figures mean little.")
@click.option("--cluster", is_flag=True, help="The figures of the cluster size, on the servers that are configured.")
@click.option("--install", "with_install", is_flag=True, help="Also measure an install (needs the package indexes).")
@click.option("--write-docs", is_flag=True, help="Write the table into docs/benchmarks.md (not of small sizes).")
@click.option(
    "--build",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("build"),
    show_default=True,
    help="Folder for bench.json, and for homes that are removed at the end.",
)
@json_option
def command(
    groups: tuple[str, ...],
    quick: bool,
    cluster: bool,
    with_install: bool,
    write_docs: bool,
    build: Path,
    as_json: bool,
) -> None:
    """
    Measure MLife on this machine; the table says what each figure is held against.

    \b
    mlife bench                   everything, in less than ten minutes
    mlife bench intake rebuild    two groups
    mlife bench --quick           does everything work? (a minute)

    GROUPS: intake, single, http, following, rebuild, growth, retrieval, pages, start, install; cluster-single,
    cluster-batches, cluster-relay, cluster-worker, cluster-delivery, cluster-rebuild, cluster-catch-up, cluster-growth,
    cluster-retrieval.
    """
    from mlife.bench import run, table
    from mlife.runtime import load_features

    there_are = (*run.GROUPS, *run.CLUSTER)
    unknown = [g for g in groups if g not in there_are]
    if unknown:
        raise NotFound(f"there is no group {unknown[0]!r}", remedy=f"choose from {', '.join(there_are)}")
    load_features()
    alone = tuple(g for g in run.GROUPS if g != "install" or with_install)
    chosen = groups or (tuple(run.CLUSTER) if cluster else alone)
    figures: list[Figure] = []
    try:
        for figure in run.run(chosen, build, quick=quick, say=lambda text: click.echo(text, err=True)):
            figures.append(figure)
            click.echo(" ".join(table.cells(figure)[i] for i in (0, 2, 4, 6)), err=True)
    finally:  # what was measured before a fault is kept
        if not quick:
            table.write_json(build / "bench.json", figures)
    if write_docs and not quick:  # with those of groups that were not run now, as they were
        table.write_docs(Path("docs/benchmarks.md"), table.read_json(build / "bench.json"), run.machine())
    _print(figures, as_json=as_json)


def _print(figures: list[Figure], *, as_json: bool) -> None:
    from mlife.bench import table

    if as_json:
        print_json({f.name: f.as_json() for f in figures})
        return
    from rich import box
    from rich.table import Table

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
    for heading in table.HEADINGS:
        drawn.add_column(heading, overflow="fold")
    for figure in figures:
        drawn.add_row(*table.cells(figure))
    console().print(drawn)
