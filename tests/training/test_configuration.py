"""Arguments from YAML and the command line."""

from dataclasses import dataclass, field

import pytest

from hf_sslgen.errors import InputError
from hf_sslgen.training.arguments import FineTuningArguments, ModelArguments
from hf_sslgen.training.configuration import parse_arguments


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
    with pytest.raises(InputError, match="trainable is 'everything'; it has to be one of all, last_stage, head"):
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
