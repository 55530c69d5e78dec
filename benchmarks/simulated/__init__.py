"""Data with known truth, and the errors of estimates and intervals on it."""
