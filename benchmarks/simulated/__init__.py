"""Data whose truth is known, and how far estimates and intervals are from it."""
