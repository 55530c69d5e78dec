"""Turn stored cells and paired differences into tables, sentences, figures and one self-contained page.

Nothing here computes a result: every number shown is a stored `Number` or `Difference`, and figures bin, sort and
count stored records only to draw them, so a page can be rebuilt from a store at any time. Import the modules by name:
figures need matplotlib, tables do not.
"""
