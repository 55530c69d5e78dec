"""Arguments from YAML and the command line."""

import json
from dataclasses import dataclass, field, fields

import pytest
from command_arguments import COMMANDS

from hf_sslgen.commands.demo import DemoArguments
from hf_sslgen.commands.push_study import PushStudyArguments
from hf_sslgen.commands.study import StudyArguments
from hf_sslgen.errors import InputError
from hf_sslgen.training.configuration import parse_arguments
from hf_sslgen.training.finetuning_arguments import FineTuningArguments, ModelArguments
from hf_sslgen.training.trainer_options import REFUSED


@dataclass(frozen=True)
class Settings:
    name: str = field(metadata={"help": "required"})
    learning_rate: float = 0.1
    steps: int = 5
    verbose: bool = False
    rates: list[float] = field(default_factory=lambda: [1.0])


def parse(tmp_path, yaml_text, *options):
    path = tmp_path / "config.yaml"
    path.write_text(yaml_text)
    (settings,) = parse_arguments((Settings,), "test", ["--config", str(path), *options])
    return settings


def test_the_file_sets_defaults_and_the_command_line_overrides_them(tmp_path):
    settings = parse(
        tmp_path, "name: a\nlearning_rate: 1e-3\nsteps: 7\nverbose: true\nrates: [0.1, 0.2]", "--steps", "9"
    )
    assert settings == Settings("a", 1e-3, 9, True, [0.1, 0.2])


def test_an_integer_in_the_file_is_a_float_where_a_float_is_wanted(tmp_path):
    value = parse(tmp_path, "name: a\nlearning_rate: 1").learning_rate
    assert value == 1.0
    assert isinstance(value, float)


@pytest.mark.parametrize(
    ("yaml_text", "options", "fragments"),
    [
        ("name: a\nlearning_rat: 1", (), ["unknown key 'learning_rat'", "learning_rate"]),
        ("name: a", ("--learning_rat", "1"), ["unknown option '--learning_rat'", "learning_rate"]),
        ("name: a", ("stray",), ["'stray'"]),
        ("name: a\nlearning_rate: fast", (), ["learning_rate", "'fast'"]),
        ("name: a", ("--steps", "many"), ["steps", "many"]),
        ("steps: 3", (), ["name"]),
        ("- a\n- b", (), ["config", "list"]),
        ("name: [", (), ["config", "can't be read"]),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, yaml_text, options, fragments):
    with pytest.raises(InputError) as raised:
        parse(tmp_path, yaml_text, *options)
    for fragment in fragments:
        assert fragment in str(raised.value)


def test_a_missing_file_is_named():
    with pytest.raises(InputError, match=r"nowhere\.yaml"):
        parse_arguments((Settings,), "test", ["--config", "nowhere.yaml"])


def test_a_choice_in_the_file_is_checked(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("model_name_or_path: a\ntrainable: everything\n")
    with pytest.raises(InputError, match="trainable is 'everything'; it must be one of all, last_stage, head"):
        parse_arguments((ModelArguments,), "test", ["--config", str(path)])


def test_fine_tuning_selects_by_validation_likelihood_by_default(tmp_path):
    _, arguments = parse_arguments(
        (ModelArguments, FineTuningArguments),
        "test",
        ["--model_name_or_path", "a", "--output_dir", str(tmp_path), "--learning_rate", "3e-3"],
    )
    assert arguments.metric_for_best_model == "negative_log_likelihood"
    assert arguments.greater_is_better is False
    assert arguments.load_best_model_at_end
    assert arguments.learning_rate == 3e-3


BOOLEANS = [
    (command, field.name, field.default)
    for command, (kinds, _) in COMMANDS.items()
    for kind in kinds
    for field in fields(kind)
    if field.type in (bool, "bool") and field.name not in REFUSED
]


def read_file(tmp_path, command, settings):
    kinds, needed = COMMANDS[command]
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps({**needed, **settings}), encoding="utf-8")
    instances = parse_arguments(kinds, "", ["--config", str(path)])
    return {name: value for instance in instances for name, value in vars(instance).items()}


def test_there_are_booleans_true_by_default_in_many_commands():
    assert {command for command, _, default in BOOLEANS if default} >= {"finetune", "analyze", "compare", "push-study"}


@pytest.mark.parametrize(("command", "name", "default"), BOOLEANS)
def test_a_boolean_in_a_file_is_what_it_says(command, name, default, tmp_path):
    together = {"dataloader_num_workers": 1} if name == "dataloader_persistent_workers" else {}
    for value in (True, False):
        if not (value and name in ("fp16", "dataloader_pin_memory")):  # which need a GPU
            assert read_file(tmp_path, command, {name: value, **together})[name] is value
    for wrong in (0, 1, 1.0, "maybe", None, [True], "2024-01-01"):
        with pytest.raises(InputError, match=f"config '.*config.yaml': {name} is .*; it must be true or false"):
            read_file(tmp_path, command, {name: wrong})


@pytest.mark.parametrize(("command", "name", "default"), BOOLEANS)
def test_a_flag_without_a_value_means_true(command, name, default):
    if name in ("fp16", "tf32", "dataloader_pin_memory", "dataloader_persistent_workers"):  # need a GPU, or workers
        return
    kinds, needed = COMMANDS[command]
    before = [f"--{key}={each[0] if isinstance(each, list) else each}" for key, each in needed.items()]
    if name == "push_demo_space":
        before.append("--push_to_hub")

    def read(*options):
        instances = parse_arguments(kinds, "", [*before, *options])
        return {key: value for instance in instances for key, value in vars(instance).items()}[name]

    assert read(f"--{name}") is read(f"--{name}", "True") is True
    if not (command == "finetune" and name == "use_cpu"):
        assert read(f"--{name}", "false") is False


def test_a_flag_may_stand_before_the_words_without_an_option():
    for options in (["--dry_run", "a.yaml"], ["a.yaml", "--dry_run"], ["--dry_run", "true", "a.yaml"]):
        (arguments,) = parse_arguments((StudyArguments,), "", [*options, "--output_dir", "z"], "study")
        assert (arguments.study, arguments.dry_run) == ("a.yaml", True)
    positional = ("study_dir", "repository")
    for options in (["a", "--private", "b/c"], ["--private", "a", "b/c"], ["--private", "yes", "a", "b/c"]):
        (pushed,) = parse_arguments((PushStudyArguments,), "", options, positional=positional)
        assert (pushed.study_dir, pushed.repository, pushed.private) == ("a", "b/c", True)
    with pytest.raises(InputError, match="dry_run is 'maybe'; it must be true or false"):
        parse_arguments((StudyArguments,), "", ["a.yaml", "--dry_run", "maybe", "--output_dir", "z"], "study")


@pytest.mark.parametrize("name", ["protocol", "dataset_name"])
def test_lists_in_a_file_may_be_one_value_or_several(name, tmp_path):
    values = ["linear", "finetune"]
    assert read_file(tmp_path, "compare", {name: values})[name] == values
    assert read_file(tmp_path, "compare", {name: "linear"})[name] == ["linear"]
    with pytest.raises(InputError, match=f"{name} is"):
        read_file(tmp_path, "compare", {name: 5})


WRONG = [
    ("finetune", "image_size", [True, 0, 10**6, 1.7, "big", [3]]),
    ("finetune", "split_seed", [1.7, -1, True, "010", "2024-01-01"]),
    ("finetune", "minimum_crop_area", [35, 0, ".nan"]),
    ("finetune", "weight_decay", [-1, "1e999"]),
    ("finetune", "early_stopping_patience", [-3, 0, 1.5]),
    ("finetune", "learning_rate", [[1e-3], ".inf", -1, True]),
    ("finetune", "seed", [1.5, -1, 2**32]),
    ("finetune", "group", ["diferent", True]),
    ("finetune", "train_val_split", [0, 1, "half"]),
    ("finetune", "label_fraction", [0, 2]),
    ("analyze", "max_subset", [0, True, 2.5]),
    ("analyze", "batch_size", [0]),
    ("pretrain", "temperature", [0]),
    ("pretrain", "num_train_epochs", [0, 1.5]),
    ("compare", "label_fraction", [2]),
    ("compare", "group", ["diferent"]),
    ("study", "workers", [0, 1.5, 10**6]),
    ("demo", "seed", [-1, 0.5]),
]


@pytest.mark.parametrize(
    ("command", "name", "value"), [(command, name, value) for command, name, values in WRONG for value in values]
)
def test_file_and_command_line_refuse_alike(command, name, value, tmp_path):
    with pytest.raises(InputError, match=name) as from_file:
        read_file(tmp_path, command, {name: value})
    if isinstance(value, list):
        return
    kinds, needed = COMMANDS[command]
    options = {**needed, name: value}.items()
    command_line = [f"--{key}={each[0] if isinstance(each, list) else each}" for key, each in options]
    with pytest.raises(InputError, match=name) as from_command_line:
        parse_arguments(kinds, "", command_line)
    wanted = [str(each.value).partition("; it must be ")[2] for each in (from_file, from_command_line)]
    assert wanted[0] == wanted[1] != ""


def test_only_settings_can_be_set(tmp_path):
    for key in ("config", "help"):
        with pytest.raises(InputError, match=f"unknown key '{key}'"):
            read_file(tmp_path, "demo", {key: "x"})


def test_no_file_beside_the_script_is_read(tmp_path, monkeypatch):
    (tmp_path / "script.args").write_text("--seed 9", encoding="utf-8")
    monkeypatch.setattr("sys.argv", [str(tmp_path / "script.py")])
    (arguments,) = parse_arguments((DemoArguments,), "", [])
    assert arguments.seed == 0
