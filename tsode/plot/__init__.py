"""Figures of results. Each function takes ``ax=None`` and returns the Axes; nothing is shown or saved."""
