"""Settings of the documentation: ``make docs`` builds it into out/docs."""

import sys
from importlib.metadata import version as _version
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from pages import write_gallery, write_reference  # noqa: E402

write_reference(HERE / "reference")
write_gallery(HERE / "gallery")

project = "tsode"
author = "The tsode developers"
release = version = _version("tsode")

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx-mathjax-offline", "numpydoc", "myst_nb"]
root_doc = "index"
templates_path = ["docs/templates"]  # of autosummary, which looks from the folder of the sources
exclude_patterns = ["docs/templates", "pictures"]

nb_execution_mode = "off"  # notebooks keep their figures: `make pictures`
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autodoc_preserve_defaults = True
autodoc_typehints = "none"  # the docstrings say more
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

nitpicky = True  # every reference has to be found
nitpick_ignore_regex = [("py:.*", r"(scipy|numpy)\..*")]

html_theme = "pydata_sphinx_theme"
html_static_path, html_css_files = ["static"], ["wide.css"]
html_title = "tsode"
html_theme_options = {"secondary_sidebar_items": ["page-toc"], "navigation_with_keys": False}
html_sourcelink_suffix = ""
