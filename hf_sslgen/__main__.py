"""Run the command `hf-sslgen` as `python -m hf_sslgen`."""

from hf_sslgen.cli import main

if __name__ == "__main__":
    main()
