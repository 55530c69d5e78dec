"""Completion knows every option, and what a shell proposes is taken by the commands."""

import importlib
import re
import shlex
import subprocess

import pytest

from hf_sslgen.cli import COMMANDS, usage
from hf_sslgen.command_examples import EXAMPLES, GROUPS, START, examples_text
from hf_sslgen.commands.completion import (
    SCRIPTS,
    bash_script,
    fish_script,
    known_names,
    settings_of_commands,
    words_of_commands,
)
from hf_sslgen.commands.zoo import SUBCOMMANDS


@pytest.mark.parametrize("command", sorted(settings_of_commands()))
def test_every_option_of_a_command_is_completed(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    main = importlib.import_module(f"hf_sslgen.commands.{command.replace('-', '_')}").main
    for words in [[each] for each in SUBCOMMANDS] if command == "zoo" else [[]]:
        with pytest.raises(SystemExit):
            main([*words, "--help"])
    listed = set(re.findall(r"^  --([a-z_0-9]+)", capsys.readouterr().out, re.MULTILINE))
    assert listed <= set(words_of_commands(COMMANDS)[command].options)
    assert len(listed) > 1


@pytest.mark.parametrize(
    ("line", "proposed"),
    [
        (["hf-sslgen", "com"], {"compare", "completion"}),
        (["hf-sslgen", "compare", "--twin_s"], {"--twin_set"}),
        (["hf-sslgen", "compare", "--twin_set", "vit_small"], {"vit_small_patch16-in1k"}),
        (["hf-sslgen", "compare", "--dataset_name", "digits", "photo"], {"photo-patches"}),
        (["hf-sslgen", "compare", "--protocol", "linear", "fine"], {"finetune"}),
        (["hf-sslgen", "study", "a.yaml", "--dry_run", ""], {"true", "false"}),
        (["hf-sslgen", "domains", "euro"], {"eurosat"}),
        (["hf-sslgen", "zoo", "twin-resnet18-s"], {"twin-resnet18-simclr", "twin-resnet18-supervised"}),
        (["hf-sslgen", "completion", "f"], {"fish"}),
        (["hf-sslgen", "report", ""], set()),
    ],
)
def test_what_bash_proposes(line: list[str], proposed: set[str]) -> None:
    script = bash_script(words_of_commands(COMMANDS))
    words = " ".join(map(shlex.quote, line))
    asked = (
        f'{script}\nCOMP_WORDS=({words}); COMP_CWORD={len(line) - 1}; _hf_sslgen; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    ended = subprocess.run(["bash", "-c", asked], capture_output=True, text=True)
    assert ended.stderr == "" and set(ended.stdout.split()) == proposed


def test_fish_knows_the_same_words() -> None:
    lines = fish_script(words_of_commands(COMMANDS)).splitlines()
    assert all(line.startswith("complete -c hf-sslgen ") for line in lines)
    twin_sets = next(line for line in lines if "from compare'" in line and "-l twin_set " in line)
    assert shlex.split(twin_sets)[-1].split() == known_names()["twin sets"]
    assert set(SCRIPTS) == {"bash", "zsh", "fish"}


def test_help_has_every_command_in_one_group_with_examples() -> None:
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(COMMANDS) == sorted(EXAMPLES)
    assert all(f"  {name}" in usage() for name in COMMANDS)
    for command in COMMANDS:
        assert f"hf-sslgen {command}" in examples_text(command)


def test_examples_name_options_that_exist() -> None:
    examples = [example for shown in EXAMPLES.values() for example in shown] + [command for command, _ in START]
    words = {name: set(each.options) for name, each in words_of_commands(COMMANDS).items()}
    for example in examples:
        command, *options = shlex.split(example.removeprefix('eval "$(').removesuffix(')"'))[1:]
        given = {word.removeprefix("--") for word in options if word.startswith("--")}
        assert given <= words[command], example
