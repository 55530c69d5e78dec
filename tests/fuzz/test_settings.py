"""Generated configurations, studies and command lines: each is read as exactly what was written, or refused.

An independent rule says which values a field can't take at all (`unfit`), and another what a value that was taken has
to have become (`is_same`); anything else than these two, and any other exception than InputError, is a failure.
"""

import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml
from command_arguments import COMMANDS

from hf_sslgen.errors import InputError
from hf_sslgen.study.config import StudyConfig, read_study
from hf_sslgen.study.plan import expand
from hf_sslgen.training.configuration import parse_arguments

DRAWN = [command for command in COMMANDS if command not in ("convert", "demo")]
"""Those two have too few settings to draw from."""

COMPLETED = {
    "report_to",
    "debug",
    "metric_for_best_model",
    "optim_args",
    "lr_scheduler_kwargs",
    "dataloader_pin_memory",
    "disable_tqdm",
}
"""Options that get another form: a list, or with what follows from others."""

TEXTS = ("", "abc", "010", "0x1F", "1_000", "1:30", "2024-01-01", "nan", ".inf", "1e-3", "1e999", "yes", "no", "off")
TEXTS += ("true", "None", "null", "none", "similar", "quick", "linear", "epoch", "=", "<<", "a/b", "é", "٣", "-", "~")
TEXTS += (
    "a\nb",
    "-1",
    "+3",
    "0.5",
    " 5",
    "5 ",
    "1e5",
    "99999999999999999999",
    "%s",
    "{}",
    "{a: 1}",
    "[1]",
    "*",
    "&a",
    "!!int 3",
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, 2, 3, 5, 7, 64, -1, -3, 10**6, 10**18, 2**32, 0.0, 0.1, 0.35, 0.5, 1.0, 1.5, 1.7, 35.0),
    *(-0.5, 1e-9, 1e300, [], [1], [0.1, 0.2], ["linear"], ["linear", "finetune"], ["a", 5], [[1]], [None], {}),
    *({"a": 1}, {"a": {"b": [1, 2]}}, *TEXTS),
)
DECIMAL = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
TRUE, FALSE = {"true", "yes", "on", "t", "y", "1"}, {"false", "no", "off", "f", "n", "0"}


def is_same(written: Any, read: Any) -> bool:
    """Whether a value that was taken is the one that was written."""
    if isinstance(read, Enum):
        return bool(written == read.value)
    if isinstance(read, list | tuple):
        items = written if isinstance(written, list) else [written]
        return len(items) == len(read) and all(map(is_same, items, read))
    if isinstance(read, Mapping):
        if isinstance(written, str):
            written = yaml.safe_load(written)
        return (
            isinstance(written, dict)
            and written.keys() == read.keys()
            and all(map(is_same, written.values(), read.values()))
        )
    if isinstance(written, str) and not isinstance(read, str):
        if read is None:
            return written in ("None", "null")
        if isinstance(read, bool):
            return written.lower() in (TRUE if read else FALSE)
        if isinstance(read, int):
            return re.fullmatch(r"[-+]?(0|[1-9]\d*)", written, re.ASCII) is not None and int(written) == read
        return DECIMAL.fullmatch(written) is not None and float(written) == read
    if isinstance(read, float) and isinstance(written, int) and not isinstance(written, bool):
        return float(written) == read
    return type(written) is type(read) and bool(written == read)


def unfit(hint: Any, value: Any) -> bool:
    """Whether no value of this kind can be meant by a field with this annotation."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is bool:
        return not isinstance(value, bool) and not (isinstance(value, str) and value.lower() in TRUE | FALSE)
    if hint in (int, int | None):
        return isinstance(value, bool | float | list | dict) or (hint is int and value is None)
    if hint in (float, float | None):
        return isinstance(value, bool | list | dict) or (hint is float and value is None)
    if hint in (str, str | None):
        return is_number or isinstance(value, bool | list | dict) or value == "" or (hint is str and value is None)
    return False


def kinds_of(command: str) -> dict[str, Any]:
    return {
        name: hint
        for kind in COMMANDS[command][0]
        for name, hint in get_type_hints(kind).items()
        if not name.startswith("_")
    }


def settable(command: str) -> list[str]:
    return [field.name for kind in COMMANDS[command][0] for field in fields(kind)]


class Tally:
    """Runs cases, and counts what became of them."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def run(self, kind: str, read: Callable[[], Any], case: object) -> Any:
        """What was read, or None where it was refused with a sentence."""
        started = time.process_time()
        try:
            found = read()
        except InputError as error:
            message = str(error)
            assert message and "Traceback" not in message and len(message) < 2000, (case, message)
            self.counts[f"{kind} refused"] += 1
            return None
        finally:
            assert time.process_time() - started < 20, case
        self.counts[f"{kind} read"] += 1
        return found


def values_of(instances: tuple[Any, ...]) -> dict[str, Any]:
    return {name: value for instance in instances for name, value in vars(instance).items()}


def compare(written: Mapping[str, Any], found: Mapping[str, Any], hints: Mapping[str, Any], case: object) -> None:
    for name, value in written.items():
        assert not unfit(hints[name], value), ("accepted", name, case)
        if name not in COMPLETED:
            assert is_same(value, found[name]), ("changed", name, found[name], case)


def a_value(rng: random.Random, hint: Any) -> Any:
    """Half the time of a kind that may fit."""
    if rng.random() < 0.5:
        return rng.choice(VALUES)
    if hint is bool:
        return rng.random() < 0.5
    if hint in (int, int | None):
        return rng.choice((0, 1, 2, 3, 8, 50, 1000))
    if hint in (float, float | None):
        return rng.choice((1e-4, 0.1, 0.5, 1, 2.5, "3e-4"))
    return rng.choice(("abc", "epoch", "steps", "quick", "different", "grad_cam", "bf16", "predicted", "logit", "ray"))


def config_case(rng: random.Random, tally: Tally, path: Path) -> None:
    """A YAML --config of a command, with one to three keys of hostile values."""
    command = rng.choice(DRAWN)
    kinds, needed = COMMANDS[command]
    hints = kinds_of(command)
    written = {name: a_value(rng, hints[name]) for name in rng.sample(settable(command), rng.choice((1, 1, 1, 2, 3)))}
    content = {**needed, **written}
    path.write_text(json.dumps(content, ensure_ascii=rng.random() < 0.5), encoding="utf-8")
    found = tally.run(f"{command} config", lambda: parse_arguments(kinds, "", ["--config", str(path)]), content)
    if found is not None:
        compare(written, values_of(found), hints, content)


def command_line_case(rng: random.Random, tally: Tally, path: Path) -> None:
    """A command line with one or two options of hostile text, which a file with the same text is read like."""
    command = rng.choice(DRAWN)
    kinds, needed = COMMANDS[command]
    hints = kinds_of(command)
    names = rng.sample(settable(command), rng.choice((1, 2)))
    written = {name: text for name in names if isinstance(text := a_value(rng, hints[name]), str)}
    if not written:
        written = {names[0]: rng.choice(TEXTS)}
    given = {**needed, **written}
    texts = {name: value[0] if isinstance(value, list) else str(value) for name, value in given.items()}
    command_line = [f"--{name}={text}" for name, text in texts.items()]
    found = tally.run(f"{command} command line", lambda: parse_arguments(kinds, "", command_line), command_line)
    path.write_text(json.dumps(given), encoding="utf-8")
    from_file = tally.run(f"{command} config", lambda: parse_arguments(kinds, "", ["--config", str(path)]), given)
    assert (found is None) == (from_file is None), command_line
    if found is not None and from_file is not None:
        compare(written, values_of(found), hints, command_line)
        both = [{name: values_of(each)[name] for name in settable(command)} for each in (found, from_file)]
        assert both[0] == both[1], command_line


STUDY: dict[str, Any] = {
    "title": "Small",
    "untrained_control": True,
    "backbones": [
        {"twin_set": "resnet18-tiny-imagenet-100"},
        {"location": "some/where", "name": "mine", "objective": "simclr", "source": "noise", "pretraining_seed": 1},
    ],
    "domains": ["photo-patches", {"dataset_name": "digits", "group": "different", "max_test_samples": 30}],
    "protocols": [
        "linear",
        {"preset": "dino-knn", "name": "knn", "neighbours": [5, 20], "temperature": 0.1},
        {"preset": "finetune", "learning_rates": [1e-3], "max_steps": 10, "grid": {"batch_size": [8, 16]}},
    ],
    "label_fractions": [0.5, 1.0],
    "samples_per_class": [4],
    "seeds": [0, 1],
    "exclude": [{"protocol": "knn", "seed": 1}],
    "pairs": [["twin-resnet18-simclr", "twin-resnet18-supervised"]],
    "claims": ["accuracy", "small-targets"],
    "analysis": {"transforms": "quick", "max_subset": 10, "seed": 3, "reinitialised_control": True},
    "geometry": {"image_size": 32, "crop_pct": 0.9, "interpolation": "bicubic"},
    "num_threads": 1,
}


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to everything in a tree."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(place for key, each in inner for place in places(each, (*path, key)))][0 if path else 1 :]


def changed(rng: random.Random, tree: dict[str, Any]) -> tuple[tuple[Any, ...], Any]:
    """Change one place of a tree, in place; returns where, and what stands there now (KeyError where nothing does)."""
    *above, last = place = rng.choice(places(tree))
    node: Any = tree
    for key in above:
        node = node[key]
    way = rng.random()
    if way < 0.7 or isinstance(node, list):
        near = {bool: [True, False], int: [1, 2, 9], float: [0.25, 1], str: ["abc", "digits"]}.get(
            type(node[last]), []
        )
        node[last] = rng.choice([*VALUES, *near * 4])
        return tuple(place), node[last]
    if way < 0.85:
        del node[last]
        return tuple(place), KeyError
    node[rng.choice((*TEXTS, "seed", "name", "grid", "group", "preset"))] = rng.choice(VALUES)
    return (), None


def found_in(config: StudyConfig, place: tuple[Any, ...]) -> Any:
    """What a configuration holds of a place in its file; KeyError where it has another form there."""
    match place:
        case ("title" | "seeds" | "samples_per_class" | "label_fractions" | "num_threads" as key, *rest):
            value = vars(config)[key]
            return value[rest[0]] if rest else value
        case ("analysis" | "geometry" as key, name):
            return vars(vars(config)[key])[name]
        case ("domains", 1, name):
            return vars(config.domains[1])[name]
        case ("protocols", 1, "name"):
            return config.protocols[1].name
        case ("protocols", 1, "neighbours" | "temperature" as name):
            return vars(config.protocols[1].protocol)[name]
        case ("protocols", 2, "learning_rates" | "max_steps" as name):
            return vars(config.protocols[2].protocol)[name]
        case ("backbones", 1, "location" | "name" | "objective" | "source" | "pretraining_seed" as name):
            backbone = next(each for each in reversed(config.backbones) if each.objective != "untrained")
            return vars(backbone)[name]
    return KeyError


def study_case(rng: random.Random, tally: Tally, path: Path) -> None:
    """A study's file with one or two places changed, through its plan."""
    content = json.loads(json.dumps(STUDY))
    changes = dict(changed(rng, content) for _ in range(rng.choice((1, 1, 2))))
    path.write_text(json.dumps(content), encoding="utf-8")

    def read() -> StudyConfig:
        config = read_study(path)
        assert len({spec.key for spec in expand(config)}) > 0
        return config

    config = tally.run("study", read, content)
    if config is None or len(changes) > 1:
        return
    ((place, value),) = changes.items()
    if value is not KeyError and (found := found_in(config, place)) is not KeyError:
        if place[0] in ("seeds", "label_fractions", "samples_per_class") and found == () and value == []:
            return
        assert value is None or is_same(value, found), ("changed", place, value, found)


SNIPPETS = ("\t", "\0", ": ", "- ", "&a ", "*a", "!!python/object:os.system ", "!!int ", "[", "{", "]", "}", "'", '"')
SNIPPETS += ("010", ".nan", "#", "\n---\n", "...", "%YAML 1.2\n", "<<: ", "? ", "| \n", "> ", "\ufeff", "\u2028", "é")
SNIPPETS += ("[" * 500, "- " * 300, "&b [*b]", '"\\ud800"', "\x07", "1" * 5000, "true", "~", ",", "\n  ", "@", "`")


def text_case(rng: random.Random, tally: Tally, path: Path) -> None:
    """A file's text with pieces cut out, put in or doubled."""
    is_study = rng.random() < 0.5
    command = rng.choice(DRAWN)
    content = STUDY if is_study else {**COMMANDS[command][1], "seed": 3}
    text = yaml.safe_dump(content, default_flow_style=rng.choice((None, False)), sort_keys=False)
    for _ in range(rng.randint(1, 3)):
        start = rng.randrange(len(text))
        end = start + rng.choice((0, 0, 1, 3, 20))
        text = text[:start] + rng.choice((*SNIPPETS, text[start : start + 40], "")) + text[end:]
    path.write_bytes(text.encode(rng.choice(("utf-8",) * 9 + ("utf-16",)), errors="surrogatepass"))

    def read() -> Any:
        if is_study:
            return expand(read_study(path))
        return parse_arguments(COMMANDS[command][0], "", ["--config", str(path)])

    tally.run("study text" if is_study else "config text", read, text)


CASES = (config_case, command_line_case, study_case, text_case)


def run_cases(seed: int, count: int, path: Path) -> Counter[str]:
    """`count` cases of each kind."""
    tally = Tally()
    for case in CASES:
        for index in range(count):
            case(random.Random(f"{case.__name__} {seed} {index}"), tally, path)
    return tally.counts


def test_a_few_are_read_as_written_or_refused(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(json.dumps(STUDY), encoding="utf-8")
    assert len(expand(read_study(tmp_path / "study.yaml"))) > 50  # what the changes start from is right
    counts = run_cases(0, 25, tmp_path / "file.yaml")
    assert counts.total() == 25 * (len(CASES) + 1)
    assert (
        min(sum(number for name, number in counts.items() if name.endswith(end)) for end in ("read", "refused")) > 10
    )


@pytest.mark.slow
def test_thousands_are_read_as_written_or_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = run_cases(1, 700, tmp_path / "file.yaml")
    assert counts.total() == 700 * (len(CASES) + 1)
    with capsys.disabled():
        print()
        for name, number in sorted(counts.items()):
            print(f"{name:32} {number:5}")
        print(f"{'all':32} {counts.total():5}")
