"""The configuration: where it comes from, what is refused in which words, and that secrets stay secret."""

from pathlib import Path

import pytest

from mlife.core.errors import Misconfigured, without_secrets
from mlife.runtime import settings


def test_flags_win_over_variables_and_variables_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "mlife.toml"
    config.write_text('store = "postgresql:///a"\ntoken = "from the file"\n[personal]\ndms = ["client"]\n')
    monkeypatch.setenv("MLIFE_TOKEN", "from the environment")

    chosen = settings(tmp_path, config=config)
    assert (chosen.store, chosen.token, chosen.personal["dms"]) == (
        "postgresql:///a",
        "from the environment",
        {"client"},
    )
    assert settings(tmp_path, config=config, token="from a flag").token == "from a flag"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('stroe = "x"', "unknown settings: stroe"),
        ('store = "mysql://u:hidden@db/x"', "MLIFE_STORE is 'mysql://u:***@db/x'"),
        ('store = "postgresql"', "MLIFE_STORE is 'postgresql'"),
        ('bus = "kafka://k:9092"', "a file of this machine"),
        ('bus = "redis://k"', "inprocess (none) or kafka://… (Kafka)"),
        ('files = "s3://key:hidden@host/bucket"', "s3+http://… (an S3 server)"),
        ("token = 5", "token is 5 in mlife.toml, which is no text"),
        ("[personal]\ndms = 5", "is no table of lists"),
        ("store = ", "is no TOML"),
    ],
)
def test_a_wrong_setting_is_named_with_what_would_be_right(tmp_path: Path, text: str, said: str) -> None:
    config = tmp_path / "mlife.toml"
    config.write_text(text)
    with pytest.raises(Misconfigured) as refused:
        settings(tmp_path, config=config)
    assert said in str(refused.value)
    assert "hidden" not in str(refused.value)


def test_secrets_are_never_shown(tmp_path: Path) -> None:
    secret = "s3cr@t/?"
    chosen = settings(
        tmp_path,
        config=tmp_path / "no.toml",
        store=f"postgresql://mlife:{secret}@db:5432/mlife?sslmode=verify-full&sslpassword=hidden",
        bus=f"kafka://user:{secret}@k1:9092,k2:9092?sasl_mechanism=PLAIN",
        files="s3+https://key:hidden@host/bucket",
        token="hidden",
    )
    shown = [repr(chosen), *(chosen.shown(name) for name in ("store", "bus", "files"))]

    assert not [text for text in shown if "hidden" in text or "s3cr" in text]
    assert chosen.shown("bus") == "kafka://user:***@k1:9092,k2:9092?sasl_mechanism=PLAIN"
    assert without_secrets("can't reach postgresql://u:p@h/d and s3+http://k:q@h/b") == (
        "can't reach postgresql://u:***@h/d and s3+http://k:***@h/b"
    )


def test_a_configuration_that_is_named_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLIFE_CONFIG", str(tmp_path / "clutser.toml"))
    with pytest.raises(Misconfigured, match=r"clutser\.toml, and there is no such file"):
        settings(tmp_path)


def test_a_secret_with_a_blank_is_refused_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="has a blank or a quote") as refused:
        settings(tmp_path, config=tmp_path / "no.toml", store="postgresql://mlife:hid den@db/mlife")
    assert "den" not in str(refused.value).replace("hidden", "")
