"""From stored cells and paired differences to tables, sentences, figures and one self-contained page.

Nothing here computes a result: a number shown is a stored `Number` or `Difference`, and figures bin, sort and count
stored records only to draw them, so a page can be rebuilt from a store at any time. The modules are imported by name,
because figures need matplotlib and tables do not.
"""
