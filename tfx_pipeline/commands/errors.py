"""The exception that ends a command with one line."""

FAILURE = 1
USAGE = 2


class CommandError(Exception):
    """Ends a command; the message is printed as it is, without a traceback.

    Args:
        message: What is wrong, what was received and what to do.
        exit_code: `FAILURE`, or `USAGE` where the command line is at fault.
    """

    def __init__(self, message: str, exit_code: int = FAILURE):
        super().__init__(message)
        self.exit_code = exit_code
