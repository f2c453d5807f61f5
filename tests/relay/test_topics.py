"""The definition of the topics: what `infra/kafka/topics.sh` makes is what the relay makes."""

import subprocess
from pathlib import Path

import pytest

from mlife.core.events import registry
from mlife.core.schema_files import asyncapi, own_kinds
from mlife.core.topics import Topic, script, topics

SPY = '#!/bin/sh\necho "$@" >> "$SPIED"\n'


@pytest.fixture
def wanted() -> list[Topic]:
    return topics(own_kinds())


@pytest.mark.parametrize("copies", [1, 3])
def test_the_script_makes_the_topics_that_the_relay_makes(tmp_path: Path, wanted: list[Topic], copies: int) -> None:
    """Kafka's tool is not in what Maven brings; a stand-in writes down what it is asked for."""
    (tmp_path / "kafka-topics.sh").write_text(SPY)
    (tmp_path / "kafka-topics.sh").chmod(0o755)
    (tmp_path / "topics.sh").write_text(script(wanted))
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SPIED": str(tmp_path / "asked"), "COPIES": str(copies)}

    subprocess.run(
        ["/bin/sh", tmp_path / "topics.sh", "one:9092", "t7.", "--command-config", "a"], check=True, env=environment
    )

    asked = [line.split() for line in (tmp_path / "asked").read_text().splitlines()]
    assert [option(words, "--topic") for words in asked] == [f"t7.{t.name}" for t in wanted]
    for words, topic in zip(asked, wanted, strict=True):
        assert option(words, "--bootstrap-server") == "one:9092"
        assert option(words, "--command-config") == "a"
        assert "--if-not-exists" in words
        assert option(words, "--partitions") == str(topic.partitions)
        assert option(words, "--replication-factor") == str(copies)
        told = dict(words[n + 1].split("=") for n, word in enumerate(words) if word == "--config")
        assert told == topic.options(copies)


def option(words: list[str], name: str) -> str:
    return words[words.index(name) + 1]


def test_a_feature_of_a_plug_in_has_a_topic_too() -> None:
    names = {t.name for t in topics(registry)}

    assert {k.topic for k in registry} < names
    assert names - {k.topic for k in registry} == {"mlife.log", "mlife.feedback", "mlife.feedback.dlq"}


def test_subscribers_are_told_how_many_partitions_there_are_and_what_is_kept(wanted: list[Topic]) -> None:
    channels = asyncapi(own_kinds())["channels"]

    for topic in wanted[:-3]:
        told = channels[topic.name]["bindings"]["kafka"]
        assert (told["partitions"], told["topicConfiguration"]["retention.ms"]) == (8, -1)
