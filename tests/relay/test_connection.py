"""The URL of the bus: what it may say, and one clear sentence for what it may not."""

import ssl
from pathlib import Path
from typing import Any

import pytest

from mlife.adapters.kafka_connection import connection
from mlife.core.errors import Misconfigured


def test_a_url_names_brokers_and_says_the_rest_by_defaults() -> None:
    there = connection("kafka://one:19092,two,[::1]:9")

    assert there.servers == ("one:19092", "two:9092", "[::1]:9")
    assert (there.protocol, there.prefix, there.partitions, there.replication) == ("PLAINTEXT", "", 8, 1)
    assert there.kafka_python() == {"bootstrap_servers": list(there.servers), "security_protocol": "PLAINTEXT"}
    assert there.faust() == {"broker": "kafka://one:19092;kafka://two:9092;kafka://[::1]:9"}


def test_a_user_logs_in_through_tls_unless_it_is_said_otherwise() -> None:
    there = connection("kafka://me:s%40cret@one?prefix=t7.&partitions=3&replication=2")
    told = there.kafka_python()

    assert there.topic("mlife.log") == "t7.mlife.log"
    assert (there.partitions, there.replication) == (3, 2)
    assert (told["security_protocol"], told["sasl_mechanism"]) == ("SASL_SSL", "SCRAM-SHA-512")
    assert (told["sasl_plain_username"], told["sasl_plain_password"]) == ("me", "s@cret")
    assert isinstance(told["ssl_context"], ssl.SSLContext)
    assert told["ssl_context"].verify_mode is ssl.CERT_REQUIRED


def test_faust_is_told_the_same(tmp_path: Path) -> None:
    open_text = connection("kafka://me:secret@one?security_protocol=SASL_PLAINTEXT&sasl_mechanism=PLAIN").faust()
    hidden = connection("kafka://one?security_protocol=SSL&ssl_check_hostname=false").faust()

    credentials = open_text["broker_credentials"]
    assert (credentials.username, credentials.password, credentials.mechanism.value) == ("me", "secret", "PLAIN")
    assert credentials.ssl_context is None
    assert hidden["broker_credentials"].context.check_hostname is False


def test_a_secret_is_never_shown() -> None:
    there = connection("kafka://me:hidden@one")

    assert "hidden" not in repr(there) + str(there) + there.shown


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("kafka://one?acks=0", "unknown parameters: acks: known are prefix, security_protocol, sasl_mechanism"),
        ("kafka://one?prefix=a&prefix=b", "says a parameter twice"),
        ("kafka://one?prefix=a/b", "has the prefix 'a/b'"),
        ("kafka://", "names a broker ''"),
        ("kafka://one:0", "names a broker 'one:0'"),
        ("kafka://one:99999", "names a broker 'one:99999'"),
        ("kafka://one,,two", "names a broker ''"),
        ("kafka://one:p", "names a broker 'one:p'"),
        ("kafka://me@one", "names a user without a secret"),
        ("kafka://me:hidden@one?security_protocol=PLAINTEXT", "says PLAINTEXT and names a user"),
        ("kafka://one?security_protocol=SASL_SSL", "says SASL_SSL and names no user"),
        ("kafka://one?security_protocol=TLS", "says security_protocol=TLS: say PLAINTEXT, SSL"),
        ("kafka://me:hidden@one?sasl_mechanism=GSSAPI", "says sasl_mechanism=GSSAPI: say PLAIN, SCRAM"),
        ("kafka://one?partitions=many", "says partitions=many: say a number from 1 to 1,000"),
        ("kafka://one?replication=0", "says replication=0"),
        ("kafka://one?ssl_cafile=/no/such.pem", "/no/such.pem, and there is no such file"),
        ("kafka://one?security_protocol=PLAINTEXT&ssl_check_hostname=false", "says how TLS is to be used"),
        ("amqp://one", "does not begin with kafka://"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(url: str, said: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        connection(url)

    assert said in str(caught.value)
    assert "hidden" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")

    def told() -> Any:
        return connection(f"kafka://one?ssl_cafile={tmp_path / 'ca.pem'}").kafka_python()

    with pytest.raises(Misconfigured, match=r"TLS files of kafka://one.*ca\.pem"):
        told()
