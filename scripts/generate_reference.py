"""Write docs/reference out of the code; with `--check`, say which page is not what the code says."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import reference_commands
import reference_contract
import reference_findings
import reference_settings

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "reference"
NOTICE = "<!-- Generated from the code by `make docs`: change it there. -->\n\n"
PAGES: Mapping[str, Callable[[], str]] = {
    "commands.md": reference_commands.page,
    "findings.md": reference_findings.page,
    "hooks.md": reference_contract.hooks_page,
    "problems.md": reference_contract.problems_page,
    "settings.md": reference_settings.page,
}


def pages() -> dict[str, str]:
    """The name and the text of every page."""
    texts = {name: NOTICE + make() for name, make in PAGES.items()}
    links = [f"- [{text.splitlines()[2].removeprefix('# ')}]({name})" for name, text in texts.items()]
    return {"README.md": NOTICE + "\n".join(["# Reference", "", *links, ""]), **texts}


def main() -> int:
    stale = [name for name, text in pages().items() if _current(FOLDER / name) != text]
    if "--check" in sys.argv:
        for name in stale:
            print(f"docs/reference/{name} is not what the code says: run `make docs`")
        return 1 if stale else 0
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


def _current(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
