"""Makes TensorFlow's error messages readable for people who never saw the graph."""

from __future__ import annotations

import re

_ROOT_ERROR = re.compile(r"\(0\)\s+[A-Z_ ]+:\s*(.*)")
_NODE = re.compile(r"\{\{(?:function_)?node [^}]*\}\}\s*")
_ASSERTION = re.compile(r"^assertion failed:\s*(\[.*\])$")


def clean_op_message(message: str) -> str:
    r"""Returns the line of an op's error that names the thing, without the graph's node names.

    Args:
        message: the message of a TensorFlow status.

    Returns:
        One line.

    Example:
        >>> clean_op_message("assertion failed: [unknown item: ] [i9]\n\t [[{{node Assert}}]]")
        'unknown item: i9'
    """
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    if not lines:
        return message
    root = next((match for match in map(_ROOT_ERROR.match, lines) if match), None)
    line = _NODE.sub("", root.group(1) if root else lines[0]).strip()
    assertion = _ASSERTION.match(line)
    if assertion:
        line = assertion.group(1)[1:-1].replace("] [", " ")
    return re.sub(r"\s+", " ", line).strip()
