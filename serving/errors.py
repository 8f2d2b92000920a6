"""The one exception of the client."""

from __future__ import annotations


class ServingError(Exception):
    """A request that the server, or the client on its behalf, refused.

    Attributes:
        code: name of the gRPC status code, such as `UNAVAILABLE` or `INVALID_ARGUMENT`.
        message: what went wrong and what to do, in one line.
    """

    def __init__(self, code: str, message: str):
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        # Without this a copy through pickle would call __init__ with one argument.
        return type(self), (self.code, self.message)
