"""`python -m hf_sslgen` is the command `hf-sslgen`."""

from hf_sslgen.cli import main

if __name__ == "__main__":
    main()
