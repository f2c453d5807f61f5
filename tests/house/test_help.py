"""Every command's `--help` can be followed: it has an example, and the example is one."""

import re
import shlex

import click
import pytest

from mlife.cli import root


def commands(command=root, path=("mlife",)):
    if not isinstance(command, click.Group):
        return [(" ".join(path), command)]
    with click.Context(command) as context:
        below = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
    return [found for name, sub in below for found in commands(sub, (*path, name))]


ALL = dict(commands())


def examples(name):
    """The lines of *name*'s help that begin with the command itself, and their options as the command reads them."""
    return [line for line in map(str.strip, ALL[name].help.split("\n")) if line.startswith(name + " ") or line == name]


@pytest.mark.parametrize("name", ALL)
def test_a_commands_help_has_an_example_of_it(name):
    piped = f"| {name} " in ALL[name].help
    assert examples(name) or piped
    assert "\\b" not in ALL[name].help


@pytest.mark.parametrize("name", ALL)
def test_an_example_names_options_that_exist_and_all_that_are_required(name):
    command = ALL[name]
    for example in examples(name):
        told = re.split(r" {4}| [<>] ", example)[0]
        words = shlex.split(told)[len(name.split()) :]
        given, left, _ = command.make_parser(click.Context(command)).parse_args(list(words))
        assert left == []
        for parameter in command.params:
            if parameter.required:
                assert given.get(parameter.name), f"{example}: {parameter.name} is missing"
