"""What the linear probe is fitted with where nothing else is said."""

import numpy as np

INVERSE_REGULARISATION_GRID = tuple(float(value) for value in np.logspace(-5, 2, 15))
"""Candidate values of C, the same for every backbone; selected by validation likelihood."""

TOLERANCE = 1e-6
"""Largest gradient at which a fit counts as converged. With scikit-learn's 1e-4, weakly regularised fits stop early,
near their starting point, and another C is selected."""
