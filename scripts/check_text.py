"""What no file of the project may hold: notes to self, paths and hosts of one machine, words outside the glossary."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from sources import Complaint, report, text_files

# The patterns are written so that they don't match themselves.
RULES = (
    (r"\b(TO[D]O|FIX[M]E|X[X]X)\b", "unfinished business belongs in an issue, not in a file"),
    (
        r"(?<![\w.}])/(wor[k]|roo[t]|hom[e]/\w+|Use[r]s/\w+|tm[p]/bash_jobs|op[t]/(pypi|wheels))/",
        "a path of one machine",
    ),
    (r"\b(pyp[i]\.org|pythonhoste[d]\.org)", "a registry's host: name the tool that knows it instead"),
    (r"(?i)\b(add-?[o]ns?|plug-[i]ns?)\b", "the word is plugin"),
    (r"(?i)\blifecycle phas[e]s?\b", "the word is step; in the request path it is stage"),
    (r"(?i)\b(white|black)lis[t]", "say allowed and refused"),
    (r"(?i)\bservice (locato[r]|containe[r])\b", "the word is services"),
    (r"(?i)\bhot[ -](reloa[d]|restar[t])\b", "the word is reload"),
)


def check(root: Path) -> Iterator[Complaint]:
    rules = [(re.compile(pattern), reason) for pattern, reason in RULES]
    for path, text in text_files(root):
        for number, line in enumerate(text.splitlines(), start=1):
            for pattern, reason in rules:
                if found := pattern.search(line):
                    yield Complaint(path, number, f"'{found.group()}': {reason}")


if __name__ == "__main__":
    sys.exit(report(check))
