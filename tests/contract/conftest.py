"""Lets the tests of this folder import its helpers, the tiny model and the tiny server."""

import sys
from pathlib import Path

# pytest's importlib mode leaves sys.path alone, and the name `tests` belongs to another package
# of the environment.
sys.path.insert(0, str(Path(__file__).parent))
