"""A module for each command, with its options and its `main`.

What takes torch, transformers or datasets to do is in a module `run_...` of its own, which `main` imports once the
options are read: these libraries take seconds and a gigabyte, and neither `--help` nor a misspelt option should wait
for them.
"""
