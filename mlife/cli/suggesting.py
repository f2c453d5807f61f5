"""`mlife badcase suggestions|embedders`: badcases that may be one failure, and by what they are compared."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import click

from mlife.cli.terminal import json_option, print_json, show, told_done, with_home

if TYPE_CHECKING:
    from mlife.badcases.looking import Look
    from mlife.badcases.suggested import Suggested
    from mlife.runtime import Home


@click.command("suggestions")
@click.argument("system", required=False)
@click.argument("function", required=False)
@click.option("--look", "looks", is_flag=True, help="Look at what is new now, and wait for it.")
@click.option("--merge", "merged", metavar="SUGGESTION_ID", help="Accept one: its badcases are one.")
@click.option("--dismiss", "dismissed", metavar="SUGGESTION_ID", help="They are two; nobody is asked again.")
@click.option("--restore", "restored", metavar="SUGGESTION_ID", help="Take a dismissal back.")
@click.option("--reason", default="", help="Why.")
@click.option("--limit", default=40, show_default=True, type=click.IntRange(1, 5_000))
@json_option
@with_home
def suggestions(
    home: Home,
    system: str | None,
    function: str | None,
    looks: bool,
    merged: str | None,
    dismissed: str | None,
    restored: str | None,
    reason: str,
    limit: int,
    as_json: bool,
) -> None:
    """
    List badcases of a function that may be one failure; merge or dismiss one. Default: the function with most reports.

    \b
    mlife badcase suggestions dms emotion --look
    mlife badcase suggestions dms emotion --dismiss sug-1f0c2d7be5aa
    """
    from mlife.badcases import commands

    if restored:
        done = home.do(commands.restore_suggestion, suggestion_id=restored)
        told_done(home, done, f"{restored} is suggested again", as_json=as_json, suggestion_id=restored)
        return
    home.see(home.ports.store.head())
    of = _function(home, system, function)
    if looks:
        _look(home, *of)
    if merged or dismissed:
        _decide(home, of, merged, dismissed, reason, as_json=as_json)
        return
    found = _suggested(home, of, limit)
    if as_json:
        print_json(found.told())
        return
    for seen in found.told()["progress"]:
        click.echo(f"{seen['name']}: {seen['problem'] or seen['sentence']}", err=True)
    rows = [
        {"suggestion_id": s["suggestion_id"], "pair": f"{s['one']} {s['other']}", "what": " · ".join(s["titles"]), **s}
        for s in found.told()["suggestions"]
    ]
    columns = ("suggestion_id", "likeness", "pair", "what", "sentence")
    show(rows, as_json=False, columns=columns, empty=f"nothing among {found.look.badcases} badcases looks like one")


def _function(home: Home, system: str | None, function: str | None) -> tuple[str, str]:
    from mlife.badcases.views import ruling
    from mlife.core.errors import NotFound

    with home.ports.views.read() as read:
        known = [(f.system, f.function) for f in ruling.rules(read)]
    wanted = [of for of in known if system in (None, of[0]) and function in (None, of[1])]
    if not wanted:
        raise NotFound("no such function has reports", remedy="see `mlife badcase list`")
    return wanted[0]


def _suggested(home: Home, of: tuple[str, str], most: int) -> Suggested:
    from mlife.badcases.suggested import suggested

    with home.ports.views.read() as read:
        return suggested(home.ports, read, *of, most=most)


def _look(home: Home, system: str, function: str) -> None:
    from mlife.badcases.suggested import progress
    from mlife.core.errors import Refused

    looker: Any = home.ports.extra["looker"]

    def tell(look: Look) -> None:
        said = "; ".join(f"{s.name}: {progress(s)}" for s in look.embedders)
        click.echo(f"{look.badcases} badcases; {said}", err=True)

    with home.ports.locks.hold("looking") as held:
        if not held:
            raise Refused("another process looks at pictures now", remedy="leave --look out, and see how far it is")
        looker.look(system, function, threading.Event(), tell)


def _decide(
    home: Home, of: tuple[str, str], merged: str | None, dismissed: str | None, reason: str, *, as_json: bool
) -> None:
    from mlife.badcases import commands
    from mlife.badcases.regrouping import to_merge
    from mlife.core.errors import there_is

    asked = merged or dismissed or ""
    waiting = {s.suggestion_id: s for s in _suggested(home, of, 5_000).suggestions}
    s = there_is(waiting.get(asked), "suggestion", asked)
    if dismissed:
        done = home.do(commands.dismiss_suggestion, one=s.one, other=s.other, why=s.why, reason=reason)
        told_done(home, done, f"{s.one} and {s.other} stay two", as_json=as_json, suggestion_id=asked)
        return
    with home.ports.views.read() as read:
        given = to_merge(read, (s.one, s.other), None)
    done = home.do(commands.merge, **given, reason=reason or s.why, suggested_by=asked)
    told_done(home, done, f"{s.one} and {s.other} are counted in {given['into']}", as_json=as_json, into=given["into"])


@click.command("embedders")
@click.argument("system")
@click.argument("function")
@click.option("--use", "names", multiple=True, help="Compare by this one; repeat it.")
@click.option("--off", is_flag=True, help="Compare by nothing but files.")
@click.option("--all", "every", is_flag=True, help="Compare by whatever is installed, as at first.")
@click.option("--again", metavar="NAME", help="Let this one try once more what it failed at.")
@click.option("--reason", default="", help="Why.")
@json_option
@with_home
def embedders(
    home: Home,
    system: str,
    function: str,
    names: tuple[str, ...],
    off: bool,
    every: bool,
    again: str | None,
    reason: str,
    as_json: bool,
) -> None:
    """
    See by what badcases of a function are compared, and choose.

    \b
    mlife badcase embedders dms emotion --use shape --use words
    """
    from mlife.badcases import commands
    from mlife.badcases.suggested import must_be_installed, try_again

    if again:
        gone = try_again(home.ports.extra["shelf"], again)
        print_json({"tried_again": gone}) if as_json else click.echo(f"{gone} will be tried again")
        return
    if names or off or every:
        chosen = None if every else list(names)
        must_be_installed(chosen)
        done = home.do(commands.choose_likeness, system=system, function=function, embedders=chosen, reason=reason)
        told_done(home, done, "badcases are compared so from the next look on", as_json=as_json, embedders=chosen)
        return
    home.see(home.ports.store.head())
    told = _suggested(home, (system, function), 1).told()
    if as_json:
        print_json({key: told[key] for key in ("system", "function", "chosen", "installed", "progress")})
        return
    how = {p["name"]: p["problem"] or p["sentence"] for p in told["progress"]}
    rows = [
        {**e, "used": told["chosen"] is None or e["name"] in told["chosen"], "progress": how.get(e["name"], "")}
        for e in told["installed"]
    ]
    show(rows, as_json=False, columns=("name", "used", "reads", "label", "version", "progress"))


COMMANDS = (suggestions, embedders)
