"""The smallest difference that a design would probably have shown."""

from scipy import optimize, special

from hf_sslgen.metrics.inputs import open_unit_level

POWER = 0.8


def minimum_detectable_difference(half_width: float, standard_error: float, power: float = POWER) -> float:
    """Return the true difference whose 95% interval would exclude zero with this probability.

    The half width in standard errors is read as Student's quantile, which says how well the error is known; the power
    is that of the noncentral t with as many degrees of freedom.

    Args:
        half_width: of the 95% interval, on the side of zero.
        standard_error: of the same difference.
        power: probability of a verdict.

    Returns:
        The difference, in the same units; NaN where there is no interval or nothing varies.
    """
    power = open_unit_level(power, "power")
    if not (half_width > 0.0 and standard_error > 0.0):
        return float("nan")
    quantile = half_width / standard_error
    if quantile <= float(special.stdtrit(1e6, 0.975)):  # as good as known
        return standard_error * (quantile + float(special.ndtri(power)))
    if quantile >= float(special.stdtrit(1.0, 0.975)):
        degrees_of_freedom = 1.0
    else:
        degrees_of_freedom = float(optimize.brentq(lambda f: special.stdtrit(f, 0.975) - quantile, 1.0, 1e6))
    return standard_error * float(special.nctdtrinc(degrees_of_freedom, 1.0 - power, quantile))
