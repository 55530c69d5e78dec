"""Talking to the Hub: which fault an error is, what is tried again, and the sentence where nothing helps."""
