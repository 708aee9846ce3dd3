"""Stands in for curl on machines without it: as much of it as the documentation uses."""

import argparse
import signal
import sys
from pathlib import Path
from urllib.parse import quote

import httpx2


def main() -> None:
    """Send one request and print the answer, as curl would."""
    options = _options()
    headers = dict(header.split(": ", 1) for header in options.H)
    body = "&".join((*options.d, *map(_encoded, options.data_urlencode)))
    fields = (field.split("=@", 1) for field in options.F)
    files = {name: (Path(path).name, Path(path).read_bytes()) for name, path in fields}
    if body and not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    method = options.X or ("POST" if body or files else "GET")
    url = options.url if "://" in options.url else f"http://{options.url}"
    if options.max_time is not None:
        signal.signal(signal.SIGALRM, lambda *_: sys.exit(28))
        signal.setitimer(signal.ITIMER_REAL, options.max_time)
    content = {"content": body or None, "files": files or None}
    with httpx2.stream(method, url, headers=headers, timeout=None, **content) as answer:
        if options.i:
            head = [f"HTTP/1.1 {answer.status_code} {answer.reason_phrase}"]
            head += [f"{name}: {value}" for name, value in answer.headers.items()]
            sys.stdout.write("\n".join([*head, "", ""]))
        for text in answer.iter_text():
            sys.stdout.write(text)
            sys.stdout.flush()


def _encoded(field: str) -> str:
    name, _, value = field.partition("=")
    return f"{name}={quote(value)}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="curl")
    parser.add_argument("-i", action="store_true")
    parser.add_argument("-s", action="store_true")
    parser.add_argument("-N", action="store_true")
    parser.add_argument("--max-time", type=float)
    parser.add_argument("-H", action="append", default=[])
    parser.add_argument("-X")
    parser.add_argument("-d", action="append", default=[])
    parser.add_argument("--data-urlencode", action="append", default=[])
    parser.add_argument("-F", action="append", default=[])
    parser.add_argument("url")
    return parser.parse_args()


if __name__ == "__main__":
    main()
