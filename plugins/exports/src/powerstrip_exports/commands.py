"""`powerstrip export`: an export at the machine, for operators."""

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from powerstrip import CommandRunner, ExportContext, ExportSource, Problem, Services
from powerstrip_exports.audit import Asker, Audit, facts_of
from powerstrip_exports.catalog import Catalog
from powerstrip_exports.domain import Compression, Format, Tally
from powerstrip_exports.encoders import check_format
from powerstrip_exports.pipeline import chunks, packer_for
from powerstrip_exports.reading import Reading, Wanted
from powerstrip_exports.settings import Budget
from powerstrip_exports.threads import Threads

_STDOUT = Path("-")

Source = Annotated[str, typer.Argument(metavar="SOURCE", help="What to export; without it, what there is.")]
FormatOption = Annotated[Format, typer.Option("--format", help="What to write.")]
Output = Annotated[
    Path, typer.Option("--output", "-o", help="File to write; it appears when it is whole. `-`: stdout.")
]
Columns = Annotated[str | None, typer.Option(help="Names with commas between them; all by default.")]
Filters = Annotated[
    list[str], typer.Option("--filter", metavar="NAME=VALUE", help="A filter of the source. Repeatable.")
]
Bom = Annotated[bool, typer.Option("--bom", help="Begin CSV with a byte order mark.")]
CompressionOption = Annotated[Compression, typer.Option("--compression", help="Pack the file itself.")]


@dataclass(frozen=True, slots=True)
class Order:
    """What was typed."""

    source: str
    format: Format
    output: Path
    columns: Sequence[str] | None
    filters: Mapping[str, str]
    bom: bool
    compression: Compression


def export_commands(runner: CommandRunner) -> typer.Typer:
    """The command `export`."""
    commands = typer.Typer()

    @commands.command("export")
    def export(
        *,
        source: Source = "",
        output: Output = _STDOUT,
        format_: FormatOption = Format.CSV,
        columns: Columns = None,
        filters: Filters = [],  # noqa: B006 - typer makes a new one each time
        bom: Bom = False,
        compression: CompressionOption = Compression.NONE,
    ) -> None:
        """Export what a plugin offers, with all its columns and without limits."""
        sources = runner.run(_offered)
        if not source:
            for name, (title, plugin) in sorted(sources.items()):
                typer.echo(f"{name}\t{title}\t({plugin})")
            return
        if source not in sources:
            raise typer.BadParameter(f"there is no source '{source}': it is one of {', '.join(sorted(sources))}")
        names = [name.strip() for name in columns.split(",")] if columns else None
        order = Order(source, format_, output, names, _pairs(filters), bom, compression)

        async def work(services: Services) -> Tally:
            return await _export(services, order)

        # The plugin that offers it may have to run for it.
        tally = runner.run(work, beside=[sources[source][1]])
        typer.echo(f"{tally.rows} rows, {tally.bytes} bytes", err=True)

    return commands


async def _offered(services: Services) -> dict[str, tuple[str, str]]:
    """Title and plugin of each source."""
    return {
        offered.source.name: (offered.source.title or offered.source.name, offered.plugin)
        for offered in services[Catalog]
    }


async def _export(services: Services, order: Order) -> Tally:
    catalog, reading, threads = services[Catalog], services[Reading], services[Threads]
    offered = catalog.find(order.source)
    if offered is None:
        raise typer.BadParameter(f"there is no source '{order.source}'")
    try:
        check_format(order.format)
        packer = packer_for(order.compression)
        selection = catalog.select(offered.source, order.columns, None)
    except Problem as problem:
        raise typer.BadParameter(f"{problem.message} {_details(problem)}".strip()) from None
    context = ExportContext(services, _filters(offered.source, order.filters), None)
    wanted = Wanted(selection, context, order.format, order.bom)
    audit, tally = Audit(services), Tally()
    facts = facts_of(wanted, order.compression)
    await audit.note("export.started", Asker(None), facts)
    body = chunks(reading.pieces(wanted), packer, threads, tally, Budget())
    with _opened(order.output) as file, _progress(tally, await reading.count(wanted)) as advance:
        await _write(body, file, advance)
    await audit.note("export.ended", Asker(None), {**facts, "rows": tally.rows, "outcome": "complete"})
    return tally


async def _write(body: Any, file: IO[bytes], advance: Any) -> None:
    source: AsyncIterator[bytes]
    async with aclosing(body) as source:
        async for chunk in source:
            file.write(chunk)
            advance()


@contextmanager
def _opened(path: Path) -> Any:
    """The file to write, which appears when this is left; nothing is left of one that failed."""
    if path == _STDOUT:
        yield sys.stdout.buffer
        return
    draft = path.with_name(f"{path.name}.part")
    try:
        with draft.open("wb") as file:
            yield file
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _progress(tally: Tally, total: int | None) -> AbstractContextManager[Any]:
    """Shows how far it is where somebody looks; gives what shows the next state."""
    console = Console(stderr=True)
    return _bar(console, tally, total) if console.is_terminal else nullcontext(lambda: None)


@contextmanager
def _bar(console: Console, tally: Tally, total: int | None) -> Any:
    columns = (TextColumn("rows"), BarColumn(), MofNCompleteColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("rows", total=total)
        yield lambda: progress.update(task, completed=tally.rows)


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    wrong = [name for name, equals, _ in pairs if not equals]
    if wrong:
        raise typer.BadParameter(f"'{wrong[0]}' is no filter: it looks like NAME=VALUE")
    return {name: value for name, _, value in pairs}


def _filters(source: ExportSource, stated: Mapping[str, str]) -> Any:
    if source.filters is None:
        if stated:
            raise typer.BadParameter(f"'{source.name}' has no filters")
        return None
    try:
        return source.filters.model_validate(stated)
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, entry['loc']))}: {entry['msg']}" for entry in error.errors())
        raise typer.BadParameter("; ".join(faults)) from None


def _details(problem: Problem) -> str:
    return "; ".join(", ".join(f"{name}: {value}" for name, value in detail.items()) for detail in problem.details)
