"""Print a script that lets a shell complete commands, options and their values.

It is generated from the commands: print it again after an update of edgekit.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

from edgekit.cli.console import Console

EXAMPLE = "edgekit completion bash"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=tuple(_SHELLS), help="bash, zsh or fish")


def run(args: argparse.Namespace, console: Console) -> int:
    console.write(_SHELLS[args.shell]())
    return 0


@dataclass(frozen=True)
class _Option:
    """An option, by all its names; what it takes, if those are some words; what it is for."""

    names: tuple[str, ...]
    values: tuple[str, ...]
    takes: bool
    help: str


@dataclass(frozen=True)
class _Command:
    """A command, or an action of one (``devices run``), with what its first argument may be."""

    name: str
    help: str
    options: tuple[_Option, ...]
    words: tuple[tuple[str, str], ...] = ()


def _commands() -> Iterator[_Command]:
    from edgekit.cli import COMMANDS, command

    for name, text in COMMANDS.items():
        yield from _of(name, text, command(name)[0])


def _top() -> Iterator[tuple[str, str]]:
    """The options that stand in place of a command, by name, with what they are for."""
    from edgekit.cli import top

    for action in top()._actions:
        for name in action.option_strings:
            yield name, action.help or ""


def _of(name: str, text: str, parser: argparse.ArgumentParser) -> Iterator[_Command]:
    words: tuple[tuple[str, str], ...] = ()
    options = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            told = {each.dest: each.help or "" for each in action._choices_actions}
            words = tuple(told.items())
            for inner, its in action.choices.items():
                yield from _of(f"{name} {inner}", told[inner], its)
        elif action.option_strings:
            values = tuple(map(str, action.choices or ()))
            about = (action.help or "").partition(" (default")[0] % {"prog": parser.prog}
            options.append(_Option(tuple(action.option_strings), values, action.nargs != 0, about))
        elif action.choices:
            words = tuple((str(choice), "") for choice in action.choices)
    yield _Command(name, text, tuple(options), words)


def _bash() -> str:
    commands = list(_commands())
    names = " ".join(each.name for each in commands if " " not in each.name)
    instead = " ".join(name for name, _ in _top())
    values, options, words = [], [], []
    for each in commands:
        pattern = f'"{each.name}"'
        options.append(f"        {pattern}) words={_quoted(' '.join(_all_names(each)))} ;;")
        if each.words:
            told = " ".join(word for word, _ in each.words)
            words.append(f"        {pattern}) words={_quoted(told)} ;;")
        for option in each.options:
            if option.takes:
                cases = "|".join(f'"{each.name} {name}"' for name in option.names)
                values.append(f"        {cases}) words={_quoted(' '.join(option.values))} ;;")
    lines = "\n".join
    return f"""\
# edgekit's commands for bash: eval "$(edgekit completion bash)"
_edgekit() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD - 1]}} name words=
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        words={_quoted(names)}
        [[ $current == -* ]] && words={_quoted(instead)}
        COMPREPLY=($(compgen -W "$words" -- "$current"))
        return
    fi
    name=${{COMP_WORDS[1]}}
    case "$name ${{COMP_WORDS[2]}}" in
        {"|".join(f'"{each.name}"' for each in commands if " " in each.name)}) ((COMP_CWORD > 2)) && name="$name ${{COMP_WORDS[2]}}" ;;
    esac
    # An option that takes something; where that is no list of words, it may be a file.
    case "$name $previous" in
{lines(values)}
        *) words=- ;;
    esac
    if [[ $words != - ]]; then
        [[ -n $words ]] && COMPREPLY=($(compgen -W "$words" -- "$current"))
        return
    fi
    words=
    if [[ $current == -* ]]; then
        case $name in
{lines(options)}
        esac
    elif [[ $previous == "${{name##* }}" ]]; then
        case $name in
{lines(words)}
        esac
    fi
    [[ -n $words ]] && COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _edgekit edgekit
"""


def _zsh() -> str:
    # zsh runs functions of bash's kind, its own module for that being part of it.
    return f"""\
# edgekit's commands for zsh: eval "$(edgekit completion zsh)"
autoload -U +X bashcompinit && bashcompinit
{_bash().partition(chr(10))[2]}"""


def _fish() -> str:
    lines = [
        "# edgekit's commands for fish: edgekit completion fish | source",
        "complete -c edgekit -n __fish_use_subcommand -f",
    ]
    for name, help in _top():
        lines.append(
            f"complete -c edgekit -n __fish_use_subcommand {_as_fish(name)} -d {_quoted(help)}"
        )
    for each in _commands():
        name, _, inner = each.name.partition(" ")
        seen = f"__fish_seen_subcommand_from {name}"
        if inner:
            seen += f"; and __fish_seen_subcommand_from {inner}"
        else:
            lines.append(
                f"complete -c edgekit -n __fish_use_subcommand -a {name} -d {_quoted(each.help)}"
            )
        for word, help in each.words:
            about = f" -d {_quoted(help)}" if help else ""
            lines.append(f"complete -c edgekit -n {_quoted(seen)} -f -a {_quoted(word)}{about}")
        for option in each.options:
            told = " ".join(map(_as_fish, option.names))
            if option.values:
                told += f" -x -a {_quoted(' '.join(option.values))}"
            elif option.takes:
                told += " -r"
            lines.append(f"complete -c edgekit -n {_quoted(seen)} {told} -d {_quoted(option.help)}")
    return "".join(f"{line}\n" for line in lines)


def _as_fish(name: str) -> str:
    return f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"


def _all_names(each: _Command) -> Iterator[str]:
    for option in each.options:
        yield from option.names


def _quoted(text: str) -> str:
    """One word of any of these shells, whatever is in it."""
    return "'" + text.replace("\\", "").replace("'", "’") + "'"


_SHELLS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
