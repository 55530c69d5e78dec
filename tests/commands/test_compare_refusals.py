"""What `compare` refuses before it loads anything, and where it writes."""

from pathlib import Path

import pytest

from hf_sslgen.command_line import run_command


def refused(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    with pytest.raises(SystemExit) as ended:
        run_command("hf_sslgen.commands.compare", list(options))
    assert ended.value.code == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (["--dataset_name", "digitz", "--twin_set", "resnet18-tiny-imagenet-100"], "did you mean 'digits'?"),
        (["--dataset_name", "digits", "--twin_set", "resnet18-tiny-imagenet"], "'resnet18-tiny-imagenet-100'?"),
        (["--dataset_name", "digits", "--backbones", "twin-resnet18-simcl"], "did you mean 'twin-resnet18-simclr'"),
    ],
)
def test_misspelt_names_are_refused_at_once(
    options: list[str], hint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hint in refused(capsys, *options, "--output_dir", str(tmp_path / "out"))
    assert not (tmp_path / "out" / "cells").exists()


def test_a_study_is_not_overwritten_by_a_comparison(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cells").mkdir()
    (tmp_path / "study.yaml").write_text("title: mine\n")
    options = ["--dataset_name", "digits", "--twin_set", "resnet18-tiny-imagenet-100", "--output_dir", str(tmp_path)]
    assert "holds a study (study.yaml), whose tables and page a comparison would replace" in refused(capsys, *options)
    assert {path.name for path in tmp_path.iterdir()} == {"cells", "study.yaml"}
