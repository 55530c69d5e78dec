"""Run a study: a matrix of backbones, domains, protocols, label budgets and seeds from a YAML file.

    python recipes/study.py recipes/configs/study/twins_embedded.yaml --output_dir runs/twins

This is the same as `hf-sslgen study`. Any number of such processes may share one folder, and any may be interrupted.
"""

from hf_sslgen.command_line import run_command

if __name__ == "__main__":
    run_command("hf_sslgen.commands.study")
