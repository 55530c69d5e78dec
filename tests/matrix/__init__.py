"""Layouts x encodings x labels x processors, each run through the real command: right, or refused with a sentence."""
