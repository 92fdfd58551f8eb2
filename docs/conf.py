"""How the site is built: `sphinx-build -W --keep-going -n docs site`."""

from ipldstore.version import __version__

project = "ipldstore"
author = "the ipldstore authors"
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"ipldstore {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False

myst_heading_anchors = 4
pygments_style = "friendly"
# a name in backticks becomes a link where there is something of the name, as in numpydoc
default_role = "autolink"

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
numpydoc_show_class_members = False

nitpick_ignore_regex = [
    # the pages of others: the site is built without a network
    (
        "py:.*",
        r"(asyncio|collections|datetime|os|pathlib|typing|fsspec|multiformats|xarray|zarr)\..*",
    ),
    # types that only type checkers import, and words of docstrings in the place of a type
    ("py:class", r"[\w ]+|archive\.Source|xr\.Dataset"),
    # types of fields with a default value, which Sphinx cuts at their commas
    ("py:class", r"(dict|tuple)\[.*"),
    ("py:class", r"ipldstore\.(cid\.Link|contentstore\.StoredBlock|store\..*|backends\..*)"),
    # methods of a base class, which are described there, and parameters
    ("py:obj", r"[a-z_]\w*"),
]
