"""Fine-tune a backbone on a target domain and measure it.

    accelerate launch recipes/finetune.py --config recipes/configs/finetune/twin_digits.yaml --learning_rate 1e-3

Any option in the YAML file can be overridden on the command line. To resume an interrupted run from its last
checkpoint, run the same command again.
"""

from hf_sslgen.command_line import run_command

if __name__ == "__main__":
    run_command("hf_sslgen.commands.finetune")
