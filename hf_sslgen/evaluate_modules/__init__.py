"""Modules for `evaluate.load`, a folder each; `hf_sslgen.metric_path` gives a folder's path.

They are thin: how inputs arrive is decided here, every number is computed by `hf_sslgen.metrics`. What they import of
ours is published with them as a copy (`spaces.py`), so only NumPy, SciPy, `evaluate` and `datasets` may be needed.
"""
