"""`hf-sslgen completion`: print a script with which a shell completes commands, options, choices and known names.

The script holds all words, so that a shell needs no Python to complete them; print it again after an update.
"""

import argparse
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hf_sslgen.settings import settings_of
from hf_sslgen.typed_values import choices_of

SHELLS = ("bash", "zsh", "fish")

NAMES_OF = {
    "twin_set": "twin sets",
    "dataset_name": "domains",
    "registered_as": "domains",
    "backbones": "backbones",
    "model_name_or_path": "backbones",
}
"""Options whose values are names of a registry."""


@dataclass(frozen=True)
class Words:
    """What can follow a command.

    Attributes:
        options: the words that can follow each option; None where it takes a file or any other text.
        positional: the words that the command takes without an option.
    """

    description: str
    options: Mapping[str, Sequence[str] | None]
    positional: Sequence[str] = ()


def known_names() -> dict[str, list[str]]:
    """Return the names of each registry."""
    from hf_sslgen.domains.domain_registry import domain_entries
    from hf_sslgen.study.published_claims import published_claims
    from hf_sslgen.zoo.backbone_registry import known_backbone_ids, twin_sets

    return {
        "twin sets": list(twin_sets()),
        "backbones": list(known_backbone_ids()),
        "domains": list(domain_entries()),
        "claims": list(published_claims()),
    }


def settings_of_commands() -> dict[str, tuple[Any, ...]]:
    """Return the dataclasses that hold the options of each command."""
    from hf_sslgen.commands.analyze import AnalyzeArguments
    from hf_sslgen.commands.app import AppArguments
    from hf_sslgen.commands.compare import CompareArguments
    from hf_sslgen.commands.convert import ConvertArguments
    from hf_sslgen.commands.demo import DemoArguments
    from hf_sslgen.commands.push_study import PushStudyArguments
    from hf_sslgen.commands.report import ReportArguments
    from hf_sslgen.commands.status import StatusArguments
    from hf_sslgen.commands.study import StudyArguments
    from hf_sslgen.commands.zoo_check import ZooCheckArguments
    from hf_sslgen.commands.zoo_convert import ZooConvertArguments
    from hf_sslgen.domains.domain_arguments import DomainArguments, SharedDomainArguments
    from hf_sslgen.training.tracking import TrackingArguments

    return {
        "compare": (CompareArguments, SharedDomainArguments, TrackingArguments),
        "study": (StudyArguments, TrackingArguments),
        "status": (StatusArguments,),
        "report": (ReportArguments,),
        "push-study": (PushStudyArguments,),
        "analyze": (AnalyzeArguments, DomainArguments),
        "convert": (ConvertArguments,),
        "app": (AppArguments,),
        "demo": (DemoArguments,),
        "zoo": (ZooConvertArguments, ZooCheckArguments, SharedDomainArguments),
    }


def words_of_commands(descriptions: Mapping[str, str]) -> dict[str, Words]:
    """Return what can follow each command.

    Args:
        descriptions: of every command.
    """
    from hf_sslgen.commands.zoo import SUBCOMMANDS

    names, kinds = known_names(), settings_of_commands()
    listings = {
        "zoo": [*SUBCOMMANDS, *names["twin sets"], *names["backbones"]],
        "domains": names["domains"],
        "claims": names["claims"],
        "completion": list(SHELLS),
    }
    found = {}
    for command, description in descriptions.items():
        options: dict[str, Sequence[str] | None] = {}
        for kind in kinds.get(command, ()):
            for name, each in settings_of(kind).items():
                options[name] = names[NAMES_OF[name]] if name in NAMES_OF else _choices(each.hint)
        options |= {"config": None} if command in kinds else {}
        found[command] = Words(description, options, listings.get(command, ()))
    return found


def _choices(hint: Any) -> Sequence[str] | None:
    words = choices_of(hint)
    return list(words) if words else ["true", "false"] if hint in (bool, bool | None) else None


def bash_script(commands: Mapping[str, Words]) -> str:
    """Return the script for bash."""
    of_commands = [
        f"      {command}) words={_quoted([f'--{name}' for name in (*words.options, 'help')])} ;;"
        for command, words in commands.items()
    ]
    of_values = [
        f"      {f'{command} --{name}'!r}) words={_quoted(values)} ;;"
        for command, words in commands.items()
        for name, values in words.options.items()
        if values is not None
    ]
    of_values += [
        f"      {f'{command} '!r}) words={_quoted(words.positional)} ;;"
        for command, words in commands.items()
        if words.positional
    ]
    return "\n".join(
        [
            "_hf_sslgen() {",
            '  local current="${COMP_WORDS[COMP_CWORD]}" command="${COMP_WORDS[1]}" option="" words="" index',
            "  for ((index = COMP_CWORD - 1; index > 1; index--)); do",
            '    case "${COMP_WORDS[index]}" in --*) option="${COMP_WORDS[index]}"; break ;; esac',
            "  done",
            "  if ((COMP_CWORD == 1)); then",
            f"    words={_quoted([*commands, '--help', '--version'])}",
            '  elif [[ "$current" == -* ]]; then',
            '    case "$command" in',
            *of_commands,
            "    esac",
            "  else",
            '    case "$command $option" in',
            *of_values,
            "    esac",
            "  fi",
            '  COMPREPLY=($(compgen -W "$words" -- "$current"))',
            "}",
            "complete -o bashdefault -o default -F _hf_sslgen hf-sslgen",
        ]
    )


def zsh_script(commands: Mapping[str, Words]) -> str:
    """Return the script for zsh, which runs that for bash."""
    return f"autoload -U +X bashcompinit && bashcompinit\n{bash_script(commands)}"


def fish_script(commands: Mapping[str, Words]) -> str:
    """Return the script for fish, with descriptions of the commands."""
    lines = []
    for command, words in commands.items():
        seen = f"'__fish_seen_subcommand_from {command}'"
        described = words.description.replace("\\", "\\\\").replace("'", "\\'")
        lines.append(f"complete -c hf-sslgen -f -n __fish_use_subcommand -a {command} -d '{described}'")
        for name, values in words.options.items():
            takes = "-r" if values is None or name in NAMES_OF else "-x"
            choices = "" if values is None else f" -a {_quoted(values)}"
            lines.append(f"complete -c hf-sslgen -n {seen} -l {name} {takes}{choices}")
        if words.positional:
            lines.append(f"complete -c hf-sslgen -f -n {seen} -a {_quoted(words.positional)}")
    return "\n".join(lines)


def _quoted(words: Sequence[str]) -> str:
    return shlex.quote(" ".join(words))


SCRIPTS = {"bash": bash_script, "zsh": zsh_script, "fish": fish_script}


def main(command_line: Sequence[str] | None = None) -> None:
    """Print the script for a shell."""
    from hf_sslgen.cli import COMMANDS

    parser = argparse.ArgumentParser(
        prog="hf-sslgen completion",
        description="Print a script with which a shell completes commands, options, choices and known names. For bash "
        'and zsh, add `eval "$(hf-sslgen completion SHELL)"` to ~/.bashrc or ~/.zshrc.',
    )
    parser.add_argument("shell", choices=SHELLS)
    shell = parser.parse_args(command_line).shell
    print(SCRIPTS[shell](words_of_commands(COMMANDS)))
