"""Makes TensorFlow's error messages readable for people who never saw the graph."""

from __future__ import annotations

import re

_ROOT_ERROR = re.compile(r"^\(0\)\s+[A-Z_ ]+:\s*")
_NODE = re.compile(r"\{\{(?:function_)?node [^}]*\}\}\s*")
_ASSERTION = re.compile(r"^assertion failed:\s*\[(.*)\]$")


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
    # The op's own words stand right above the first node of its trace; what comes before them
    # ("Graph execution error", "Detected at node ...") is about the graph.
    trace = next((n for n, line in enumerate(lines) if line.startswith("[[{{node")), 0)
    line = lines[trace - 1] if trace else (lines or [message])[0]
    line = _NODE.sub("", _ROOT_ERROR.sub("", line)).strip()
    assertion = _ASSERTION.match(line)
    if assertion:
        line = assertion.group(1).replace("] [", " ")
    return re.sub(r"\s+", " ", line).strip()
