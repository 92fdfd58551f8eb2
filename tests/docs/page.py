"""What the pages of the documentation hold: code to run, files to make, and what they need."""

import re
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]

RUN = ("python", "pycon", "console")
FREE = ("text",)
"""Languages of blocks that hold nothing to run: drawings, grammars and bytes."""

_NOT_RUN = re.compile(r"<!-- not run: (.+?) -->", re.DOTALL)
_NEEDS = re.compile(r"<!-- needs: (.+?) -->")
_CAPTION = re.compile(r":caption: (\S+)\n")
_INSTALL = re.compile(r"\$ pip install (.+)")


@dataclass(frozen=True)
class Block:
    """One block of code.

    Attributes
    ----------
    kind
        ``python``, ``pycon``, ``console``, ``file``, or the language of a block that is not run.
    line
        The number of the line before its text.
    name
        That of the file to make.
    reason
        Why it is not run, for a block that would be.
    """

    kind: str
    text: str
    line: int
    name: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Page:
    path: Path
    blocks: tuple[Block, ...]
    needs: tuple[str, ...]

    @property
    def name(self):
        return str(self.path.relative_to(ROOT))

    @property
    def to_run(self):
        return [b for b in self.blocks if b.kind in (*RUN, "file") and not b.reason]

    @property
    def installs(self):
        """The arguments of each `pip install`."""
        shown = "\n".join(block.text for block in self.to_run if block.kind == "console")
        return _INSTALL.findall(shown)


def read_page(path):
    return parse_page(path, path.read_text(encoding="utf-8"))


def parse_page(path, text):
    blocks, needs, reason = [], [], ""
    for token in MarkdownIt().parse(text):
        if token.type == "html_block":
            if found := _NEEDS.search(token.content):
                needs += found[1].split()
            if found := _NOT_RUN.search(token.content):
                reason = " ".join(found[1].split())
        elif token.type in ("fence", "code_block"):
            block = _make_block(token, reason)
            if block is not None:
                blocks.append(block)
            reason = ""
    return Page(path, tuple(blocks), tuple(needs))


def _make_block(token, reason):
    line = token.map[0] + 1
    if token.type == "code_block":
        return Block("indented", token.content, line, reason=reason)
    language, _, rest = token.info.strip().partition(" ")
    if language == "{code-block}":
        caption = _CAPTION.match(token.content)
        if caption is None:
            return Block(f"code-block {rest} without a caption", token.content, line)
        text = token.content[caption.end() :].removeprefix("\n")
        return Block("file", text, line, name=caption[1], reason=reason)
    if language.startswith("{"):
        return None
    if language == "python" and token.content.startswith(">>> "):
        language = "pycon"
    return Block(language, token.content, line, reason=reason)
