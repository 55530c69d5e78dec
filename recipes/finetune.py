"""Fine-tune a backbone on a target domain and measure it.

    accelerate launch recipes/finetune.py --config recipes/configs/finetune/twin_digits.yaml --learning_rate 1e-3

Any option of the YAML file can be overridden on the command line. Run again with the same options, an interrupted run
goes on from its last checkpoint.
"""

from hf_sslgen.command_line import run_command

if __name__ == "__main__":
    run_command("hf_sslgen.commands.finetune")
