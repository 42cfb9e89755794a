"""Settings of the documentation: ``python -m sphinx -W -b html docs docs/_build/html``."""

from __future__ import annotations

import importlib.metadata
import shutil
from pathlib import Path

DOCS = Path(__file__).parent
# notebooks of examples/ serve the readers of the repository, the tests and these pages
NOTEBOOKS = {
    "01_quickstart": "quickstart",
    "02_osse": "tutorials/osse",
    "03_tropical_pacific": "tutorials/tropical_pacific",
}
for source, page in NOTEBOOKS.items():
    target = DOCS / f"{page}.ipynb"
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(DOCS.parent / "examples" / f"{source}.ipynb", target)

project = "xdeepda"
author = "The xdeepda developers"
copyright = "2026, The xdeepda developers"
release = importlib.metadata.version("xdeepda")

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build", "figures", "jupyter_execute"]
templates_path = ["_templates"]

# notebooks and examples are run at every build; an error in one fails the build
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 900  # of a cell; one trains for some seconds, more where cores are shared
nb_merge_streams = True

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say it in words
numpydoc_show_class_members = False

html_theme = "pydata_sphinx_theme"
html_title = f"xdeepda {release}"
html_static_path = ["_static"]
html_theme_options = {
    "navbar_center": [],  # the pages stand in the sidebar, under their captions
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": False,
}
html_sidebars = {"**": ["contents.html"]}
