"""Where a metric has no value."""


class UndefinedError(ValueError):
    """A metric has no value on these codes and targets; the message says why, in words for a report.

    An evaluation lists the metric as omitted, with that reason.
    """
