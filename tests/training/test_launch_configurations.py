"""The shipped configurations of `accelerate launch`: each is read, and fine-tunes on this machine's CPU."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.utils import DistributedType

ROOT = Path(__file__).parents[2]
CONFIGURATIONS = sorted((ROOT / "recipes" / "accelerate_configs").glob("*.yaml"))
KINDS = {"ddp": "MULTI_GPU", "fsdp2": "FSDP", "multi_node": "MULTI_GPU"}
SMALL = (
    *("--config", "recipes/configs/finetune/twin_digits.yaml", "--use_cpu", "true", "--max_steps", "2"),
    *("--save_strategy", "no", "--eval_strategy", "no", "--load_best_model_at_end", "false"),
    *("--max_train_samples", "32", "--max_eval_samples", "20", "--max_test_samples", "20"),
    *("--per_device_train_batch_size", "8"),
)


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_accelerate_reads_it(path: Path) -> None:
    configuration = load_config_from_file(str(path))
    assert configuration.distributed_type == DistributedType(KINDS[path.stem])
    assert configuration.num_processes > 1
    assert configuration.num_machines == (2 if path.stem == "multi_node" else 1)
    if path.stem == "fsdp2":
        assert configuration.fsdp_config["fsdp_version"] == 2


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


@pytest.mark.slow
@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_two_processes_fine_tune_with_it(path: Path, tmp_path: Path) -> None:
    """On a CPU, where Accelerate shares out no parameters: FSDP's configuration is launched, not its sharding."""
    machines = 2 if path.stem == "multi_node" else 1
    launched = [
        *(sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(path), "--mixed_precision", "no"),
        *("--num_processes", "2", "--main_process_port", str(free_port())),
    ]
    recipe = ["recipes/finetune.py", *SMALL, "--output_dir", str(tmp_path / "run")]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [*launched, "--machine_rank", str(rank), *recipe],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(machines)
    ]
    said = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * machines, said
    assert sum(text.count("\ntest: accuracy ") for text in said) == 1
    assert json.loads((tmp_path / "run" / "results.json").read_text())
