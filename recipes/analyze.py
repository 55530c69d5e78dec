"""Measure one checkpoint on one domain: accuracy, confidence, attribution of the final stage, invariance.

    python recipes/analyze.py --model_name_or_path runs/finetune --dataset_name digits --output_dir runs/analysis

This is the same as `hf-sslgen analyze`.
"""

from hf_sslgen.command_line import run_command

if __name__ == "__main__":
    run_command("hf_sslgen.commands.analyze")
