"""Modules for `evaluate.load`, one folder each; `hf_sslgen.metric_path` returns a folder's path.

They are thin: they only handle inputs, and `hf_sslgen.metrics` computes every number. The parts of this package that
they import are published with them as copies, so they may depend only on NumPy, SciPy, `evaluate` and `datasets`.
"""
