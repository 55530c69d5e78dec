# /// script
# requires-python = ">=3.11"
# dependencies = ["hf-sslgen"]
#
# [tool.hf-jobs]
# flavor = "a10g-small"
# timeout = "6h"
# secrets = ["HF_TOKEN"]
# ///
"""Run a study on a rented GPU of the Hub, and publish its cells while it runs.

    hf jobs uv run recipes/study_job.py study.yaml my-org/study

`--dry-run` before the script shows what would be rented, and `--flavor` and `--timeout` change it. The token is passed
as a secret. If the time runs out, run the same command again: what was published is not computed again.
"""

from hf_sslgen.command_line import run_command

if __name__ == "__main__":
    run_command("hf_sslgen.commands.study_job")
