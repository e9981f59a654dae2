"""A study as one page for a browser: its table, what is to be known of it, and the figure inside."""

from __future__ import annotations

import base64
import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .result import Study

__all__ = ["page"]

LOOK = """
body { font-family: sans-serif; max-width: 75em; margin: 2em auto; padding: 0 1em; color: #222; background: #fff }
table { border-collapse: collapse; margin: 1em 0 }
th, td { padding: .2em .8em; border-bottom: 1px solid #ddd; text-align: left }
img { width: 100% }
"""


def page(study: Study, picture: bytes) -> str:
    """Return a complete HTML document that needs no other file; `picture` is the figure as PNG."""
    found = study._repr_html_()
    image = base64.b64encode(picture).decode()
    title = html.escape(repr(study).split("\n")[0])
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{LOOK}</style></head>\n"
        f'<body>{found}<img alt="SGD beside its ODE" src="data:image/png;base64,{image}"></body></html>\n'
    )
