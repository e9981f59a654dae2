"""Runs a notebook as a process of its own: python notebook_run.py NOTEBOOK FOLDER EXECUTED.

The warnings of Jupyter's event loop and sockets, which are none of tsode's, stay in that process.
"""

import sys

import nbformat
from nbclient import NotebookClient

if __name__ == "__main__":
    source, folder, executed = sys.argv[1:]
    notebook = nbformat.read(source, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": folder}}).execute()
    nbformat.write(notebook, executed)
