"""What mkdocs needs to know of this repository; it calls the functions below by their names.

The README, CONTRIBUTING.md and CHANGELOG.md are pages of the site, too. Links from a page to a file outside of docs/
cannot be followed on the site: the file must exist, and its path is shown.
"""

import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.plugins import get_plugin_logger
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
PAGES = {"index.md": "README.md", "contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
"""Pages of the site -> files beside docs/."""
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")
RESULTS = "benchmarks/results"
"""Files that are on the site as they are, in results/."""
log = get_plugin_logger("legged_gym")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that lie beside docs/, as if they were in it."""
    for page, source in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        inside = re.sub(r"\]\((?:docs/)", "](", text)
        for other, name in PAGES.items():
            inside = inside.replace(f"]({name}", f"]({other}")
        files.append(File.generated(config, page, content=inside))
    for path in sorted((ROOT / RESULTS).glob("*.json")):
        files.append(File.generated(config, f"results/{path.name}", content=path.read_bytes()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Show links to files outside of docs/ as paths, and warn of those that lead nowhere."""
    beside = PurePosixPath(PAGES[page.file.src_uri]).parent if page.file.src_uri in PAGES else None
    folder = ROOT if beside is not None else ROOT / "docs" / PurePosixPath(page.file.src_uri).parent

    def shown(match: re.Match[str]) -> str:
        text, target = match[1], match[2]
        if files.get_file_from_path(str(PurePosixPath(page.file.src_uri).parent / target)) is not None:
            return match[0]  # a page, which mkdocs checks
        path = (folder / target).resolve()
        if path.is_relative_to(ROOT / "docs") and path.suffix != ".py":
            return match[0]
        if not path.exists() or not path.is_relative_to(ROOT):
            log.warning("%s: no such file: %s", page.file.src_uri, target)
            return match[0]
        name = str(path.relative_to(ROOT))
        if path.parent == ROOT / RESULTS:
            up = "../" * (len(PurePosixPath(page.file.src_uri).parts) - 1)
            return f"[{text}]({up}results/{path.name})"
        return f"`{name}`" if text.strip("`") in (name, target) else f"{text} (`{name}`)"

    return LINK.sub(shown, markdown)
