"""The one exception that tells a person what is wrong with their data."""


class DataError(ValueError):
    """Raised when input data is missing, damaged or not in the form that was asked for.

    The message says what is wrong, what was received and what to do; a command line can print it
    without a traceback.
    """
