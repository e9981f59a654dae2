"""The command line: arguments in, files and a table out."""

from .main import main

__all__ = ["main"]
