"""Links and copies on the command line."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from mlife.badcases import commands
from mlife.badcases.fingerprint import badcase_id
from mlife.cli.file import command as file
from mlife.cli.link import command as link
from mlife.core.errors import Invalid, NotFound, Refused
from tests.badcases.conftest import Field, report
from tests.media.conftest import png

NINE = badcase_id('["class","digits","digit","9","4"]')


def run(home: Path, command: Any, *args: str, fails: type[Exception] | None = None) -> Any:
    result = CliRunner().invoke(command, [*args, "--home", str(home)])
    if fails is not None:
        assert isinstance(result.exception, fails), (result.output, result.exception)
        return result.exception
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.output) if "--json" in args else result.output


def test_links_are_asked_for_listed_and_sent(field: Field, tmp_path: Path) -> None:
    field.send({**report(), "data": [{"uri": "s3://cam/1.png"}]})
    at = next(r.position for r in field.home.ports.store.read() if r.draft.type == "mlife.badcase.reported.v1")
    field.do(commands.triage, badcase_id=NINE)
    home, picture = field.home.settings.home, tmp_path / "1.png"
    picture.write_bytes(png())

    failed = run(home, link, "list", NINE, "--json")  # one object a line
    assert (failed["position"], failed["number"]) == (at, 0)
    assert failed["reason"].startswith("is in S3, and no server is named")
    assert run(home, link, "fetch", NINE, "--json")["wanted"] == 1
    assert run(home, link, "send", str(at), "0", str(picture)) == "the bytes are in the store\n"
    assert run(home, link, "send", str(at), "0", str(picture)) == "these bytes were here already\n"
    assert run(home, link, "list", NINE) == "every link that was tried could be read\n"
    assert run(home, link, "fetch", NINE) == "nothing is left to be read\n"
    run(home, link, "list", "bc-none", fails=NotFound)
    run(home, link, "send", str(at), "1", str(picture), fails=NotFound)


def test_a_copy_is_made_and_what_does_not_fit_is_refused_by_name(tmp_path: Path) -> None:
    home, picture = tmp_path / "home", tmp_path / "a.png"
    picture.write_bytes(png())
    sha256 = hashlib.sha256(png()).hexdigest()
    run(home, file, "put", str(picture))

    made = run(home, file, "copy", f"sha256:{sha256}", "crop", "width=10", "height=10", "--json")
    assert made["source"] == sha256
    assert "a.crop.png" in run(home, file, "show", made["sha256"])
    refused = run(home, file, "copy", sha256, "crop", "width=ten", "height=10", fails=Invalid)
    assert [r.field for r in refused.refusals] == ["width"]
    run(home, file, "copy", sha256, "trim_sound", "start=0", "end=1", fails=Refused)
    run(home, file, "copy", "0" * 64, "crop", fails=NotFound)
