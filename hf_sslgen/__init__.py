"""Does a self-supervised backbone generalise better than its supervised twin, on your images?"""

__version__ = "0.1.0"
