"""Requests at a given rate over kept-alive connections, whatever the server does meanwhile."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from statistics import quantiles
from time import perf_counter


@dataclass
class Answer:
    """What came back; `status` is 0 when nothing did."""

    path: str
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Traffic:
    """What became of the requests of one stretch of time."""

    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, other: "Traffic") -> None:
        self.latencies += other.latencies
        self.statuses += other.statuses
        self.failures += other.failures

    @property
    def p50(self) -> float:
        return quantiles(self.latencies, n=100)[49] * 1000

    @property
    def p99(self) -> float:
        return quantiles(self.latencies, n=100)[98] * 1000


# So many are under way at most: a machine that does something else for a moment is not buried by what piles up.
_AT_ONCE = 64

Judge = Callable[[Answer], str | None]


class Client:
    """A pool of connections to one server."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._token = token
        self._idle: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()

    async def get(self, path: str) -> Answer:
        """One request. A kept-alive connection that the server has closed in time is replaced, once, as clients do."""
        for is_last in (False, True):
            is_fresh = not self._idle
            try:
                reader, writer = (
                    await asyncio.open_connection("127.0.0.1", self._port) if is_fresh else self._idle.popleft()
                )
                answer = await self._exchange(reader, writer, path)
            except (OSError, asyncio.IncompleteReadError) as error:
                if is_fresh or is_last:
                    return Answer(path, 0, {}, repr(error).encode())
            else:
                self._idle.append((reader, writer))
                return answer
        raise AssertionError("unreachable")

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> Answer:
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self._token}\r\n\r\n"
        writer.write(head.encode())
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Answer(path, int(lines[0].split()[1]), headers, body)

    def close(self) -> None:
        while self._idle:
            _, writer = self._idle.pop()
            writer.close()


async def drive(client: Client, paths: Sequence[str], rate: float, seconds: float, judge: Judge) -> Traffic:
    """Ask for these paths in turn, so many times a second as long as the server keeps up at all."""
    traffic = Traffic()
    tasks: set[asyncio.Task[None]] = set()

    async def ask(path: str) -> None:
        sent = perf_counter()
        answer = await client.get(path)
        traffic.latencies.append(perf_counter() - sent)
        traffic.statuses[answer.status] += 1
        complaint = judge(answer)
        if complaint:
            traffic.failures.append(f"GET {path}: {complaint}")

    started = perf_counter()
    for number, path in enumerate(cycle(paths)):
        due = started + number / rate
        if due - started > seconds:
            break
        delay = due - perf_counter()
        if delay > 0:
            await asyncio.sleep(delay)
        elif perf_counter() - started > seconds:
            break
        while len(tasks) >= _AT_ONCE:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.create_task(ask(path))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    if tasks:
        await asyncio.wait(tasks)
    return traffic


async def sustained(client: Client, paths: Sequence[str], connections: int, seconds: float) -> float:
    """Requests a second that are answered when each connection asks again at once."""
    answered = 0
    until = perf_counter() + seconds
    turn = cycle(paths)

    async def ask() -> None:
        nonlocal answered
        while perf_counter() < until:
            await client.get(next(turn))
            answered += 1

    await asyncio.gather(*(ask() for _ in range(connections)))
    return answered / seconds
