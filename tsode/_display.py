"""Tables for the people who read results: as text, and as HTML in a notebook."""

from collections.abc import Callable, Sequence
from html import escape

__all__ = ["Report", "Table", "html_columns", "html_table", "text_columns", "text_table"]


def text_table(title: str, rows: Sequence[tuple[str, object]]) -> str:
    """Return a title and aligned (label, value) lines as one string; a value may have several lines."""
    width = max(len(label) for label, _ in rows)
    lines = [title]
    for label, value in rows:
        first, *more = str(value).split("\n")
        lines.append(f"  {label:<{width}}  {first}".rstrip())
        lines.extend(" " * (width + 4) + line for line in more)
    return "\n".join(lines)


def html_table(title: str, rows: Sequence[tuple[str, object]]) -> str:
    """Return the same table as HTML, every value escaped."""
    cells = "".join(
        f"<tr><th style='text-align:left'>{escape(label)}</th>"
        f"<td style='text-align:left; white-space:pre'>{escape(str(value))}</td></tr>"
        for label, value in rows
    )
    return f"<table><caption style='text-align:left'><b>{escape(title)}</b></caption>{cells}</table>"


def text_columns(title: str, header: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """Return a title and a table with a header line, its columns aligned, as one string."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths)).rstrip() for row in cells]
    return "\n".join([title, *(f"  {line}" for line in lines)])


def html_columns(title: str, header: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """Return the same table as HTML, every cell escaped."""
    head = "".join(f"<th>{escape(str(cell))}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td style='text-align:left'>{escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    caption = f"<caption style='text-align:left'><b>{escape(title)}</b></caption>"
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


class Report:
    """Base of results that are shown as a title and labelled values: `_title()` and `_rows()`, pairs of text."""

    _title: Callable[[], str]
    _rows: Callable[[], Sequence[tuple[str, object]]]

    def __repr__(self) -> str:
        return text_table(self._title(), self._rows())

    def _repr_html_(self) -> str:
        return html_table(self._title(), self._rows())


class Table:
    """Base of results that are shown as a table: `_table()` gives title, header and rows; `_remarks()` what follows."""

    _table: Callable[[], tuple[str, Sequence[object], Sequence[Sequence[object]]]]

    def _remarks(self):
        return []

    def __repr__(self) -> str:
        return "\n  ".join([text_columns(*self._table()), *self._remarks()])

    def _repr_html_(self) -> str:
        return html_columns(*self._table()) + "".join(f"<p>{escape(remark)}</p>" for remark in self._remarks())
