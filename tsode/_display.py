"""Two-column tables for the people who read results: as text, and as HTML in a notebook."""

from html import escape

__all__ = ["html_table", "text_table"]


def text_table(title, rows):
    """Return a title and aligned (label, value) lines as one string; a value may have several lines."""
    width = max(len(label) for label, _ in rows)
    lines = [title]
    for label, value in rows:
        first, *more = str(value).split("\n")
        lines.append(f"  {label:<{width}}  {first}".rstrip())
        lines.extend(" " * (width + 4) + line for line in more)
    return "\n".join(lines)


def html_table(title, rows):
    """Return the same table as HTML, every value escaped."""
    cells = "".join(
        f"<tr><th style='text-align:left'>{escape(label)}</th>"
        f"<td style='text-align:left; white-space:pre'>{escape(str(value))}</td></tr>"
        for label, value in rows
    )
    return f"<table><caption style='text-align:left'><b>{escape(title)}</b></caption>{cells}</table>"
