"""How Sphinx makes a website of these pages: `make site`.

The source folder is the root of the repository, so that a link such as `../CONTRIBUTING.md` leads
to the same place here, on the website and where the repository is shown.
"""

from __future__ import annotations

import re
from importlib.metadata import version as version_of

from sphinx.application import Sphinx

project = "napari-sam-annotator"
author = "napari-sam-annotator contributors"
copyright = f"2026, {author}"
version = release = version_of(project)

root_doc = "docs/index"
include_patterns = [
    "docs/*.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "src/napari_sam/weights/README.md",
    "web/README.md",
]
exclude_patterns = [".*", "**/.*", "build", "demo", "dist", "runs", "site", "tests"]
html_extra_path = ["front/index.html"]  # from the site's root to the first page

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
napoleon_google_docstring = False
add_module_names = False
nitpicky = False

html_theme = "furo"
html_title = "napari-sam-annotator"
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#00695c", "color-brand-content": "#00796b"},
    "dark_css_variables": {"color-brand-primary": "#4db6ac", "color-brand-content": "#80cbc4"},
}


def add_sidebar(app: Sphinx, page: str, source: list[str]) -> None:
    """Give the first page a table of contents: its own lists of links, section by section."""
    if page != root_doc:
        return
    for section in re.split(r"^## ", source[0], flags=re.MULTILINE)[1:]:
        caption = section.partition("\n")[0]
        pages = re.findall(r"^- \[[^]]+\]\(([^)]+\.md)\)", section, flags=re.MULTILINE)
        if pages:
            entries = "\n".join(pages)
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{entries}\n```\n"


def setup(app: Sphinx) -> None:
    """What Sphinx calls first."""
    app.connect("source-read", add_sidebar)
