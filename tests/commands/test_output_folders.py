"""Every command that writes looks at its output folder first: refused before anything is loaded or computed."""

from pathlib import Path

import pytest

from hf_sslgen.command_line import run_command

COMMANDS = {
    "finetune": ["--model_name_or_path", "no-such-model", "--dataset_name", "no-such-data", "--use_cpu"],
    "pretrain": ["--objective", "simclr", "--dataset_name", "no-such-data"],
    "analyze": ["--model_name_or_path", "no-such-model", "--dataset_name", "no-such-data"],
    "compare": ["--twin_set", "no-such-set", "--dataset_name", "no-such-data"],
    "study": ["no-such-study.yaml"],
    "demo": [],
}
"""What else is wrong would be said as well, were the folder not looked at first."""


@pytest.mark.parametrize("command", COMMANDS)
def test_what_can_not_be_written_is_said_before_anything_else(command, tmp_path: Path, capsys) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.txt").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    before = sorted(tmp_path.rglob("*"))
    for name in ("file", "file/below", "foreign", "dangling", "n" * 300):
        with pytest.raises(SystemExit) as stopped:
            run_command(f"hf_sslgen.commands.{command}", [*COMMANDS[command], "--output_dir", str(tmp_path / name)])
        assert stopped.value.code == 2
        said = capsys.readouterr().err.strip().splitlines()
        assert said[-1].startswith("error: output_dir ") and str(tmp_path) in said[-1]
        assert not [line for line in said if "Traceback" in line]
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("command", ["finetune", "pretrain", "analyze"])
def test_a_folder_in_use_is_refused_before_anything_else(command, tmp_path, capsys, subprocess_that_holds) -> None:
    holder = subprocess_that_holds(tmp_path / "used")
    with pytest.raises(SystemExit) as stopped:
        run_command(f"hf_sslgen.commands.{command}", [*COMMANDS[command], "--output_dir", str(tmp_path / "used")])
    assert stopped.value.code == 2
    assert f"is in use by process {holder.pid}" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "used").iterdir()] == [".claim.1.json"]
