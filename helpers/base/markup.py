"""Text for a page, so that it says there what it says here.

For: everything that a notebook shows as HTML or Markdown. A page's MathJax takes what stands
between two dollar signs for a formula, "$5 in, $11" for instance; a sign in an element of its
own is none. Not for: attributes of elements, see `html.escape`; plain text needs nothing.

    html_text("<b> costs $5")         # '&lt;b&gt; costs <span>$</span>5'
    cell(html_text("words"))          # '<td style="text-align:left">words</td>'
    code_html("`a` < b")              # '<code>a</code> &lt; b'
    markdown_text("`$5` is $5")       # '`$5` is <span>&#36;</span>5'
"""

from __future__ import annotations

import html
import re

# A fence or code between backticks; what stands there is no formula.
CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)


def html_text(text: object) -> str:
    """Text as HTML: escaped, each dollar sign by itself."""
    return lone_dollars(html.escape(str(text)))


def lone_dollars(markup: str) -> str:
    """The same for HTML that somebody else made; its tags must hold no dollar sign."""
    return markup.replace("$", "<span>$</span>")


def cell(markup: str, tag: str = "td") -> str:
    """A table's cell of words: notebooks set cells at the right, which suits numbers alone."""
    return f'<{tag} style="text-align:left">{markup}</{tag}>'


def code_html(text: str) -> str:
    """Text as HTML, with what stands between `backticks` as code."""
    parts = html_text(text).split("`")
    # Every second part lies between two backticks.
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))


def markdown_text(text: str) -> str:
    """Markdown without formulas; code stays as it is."""
    parts = CODE.split(text)
    # JupyterLab looks for formulas before it reads the Markdown, so no sign may be left there.
    return "".join(
        part if i % 2 else part.replace("$", "<span>&#36;</span>") for i, part in enumerate(parts)
    )
