"""The list of sources, and a stream of each."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, create_model

from powerstrip import (
    ExportContext,
    ExportSource,
    Identity,
    Routes,
    current_identity,
    require,
    responses,
    service,
    services_of,
)
from powerstrip_exports.callers import asker_of
from powerstrip_exports.catalog import Catalog, OfferedSource, filters_of
from powerstrip_exports.domain import DOCUMENTED_CONTENT
from powerstrip_exports.encoders import installed_formats
from powerstrip_exports.errors import ColumnNotKnown, ExportsBusy, ExportTooLarge, FormatNotInstalled, TooManyStreams
from powerstrip_exports.job_routes import job_router
from powerstrip_exports.reading import Wanted
from powerstrip_exports.schemas import ExportOptions, SourceList, SourceResponse
from powerstrip_exports.streams import Streams

StreamsService = Annotated[Streams, Depends(service(Streams))]


class ExportRoutes:
    """The routes of the sources: below `/exports`, and where a source has an address of its own also there.

    Sources come and go with reloads. Those of each are made once, and what does not depend on them too.
    """

    def __init__(self) -> None:
        self.catalog: Catalog | None = None
        """The sources that are offered now."""
        self._common: Sequence[Routes] = ()
        self._made: Sequence[tuple[OfferedSource, Sequence[Routes]]] = ()

    def of(self, catalog: Catalog) -> Sequence[Routes]:
        """The routes of a catalog that is offered now, or will be."""
        if not self._common:
            self._common = [Routes(self._list_router()), Routes(job_router(self._current))]
        made_before = self._made
        self._made = [(offered, _again(made_before, offered) or _made_of(catalog, offered)) for offered in catalog]
        return [*self._common, *(routes for _, own in self._made for routes in own)]

    def _current(self) -> Catalog:
        if self.catalog is None:
            raise RuntimeError("nobody is answered before the plugin has started")
        return self.catalog

    def _list_router(self) -> APIRouter:
        router = APIRouter(prefix="/exports", tags=["exports"])
        lister = _lister(self._current)
        router.add_api_route("", lister, methods=["GET"], summary="List what can be exported", name="sources")
        return router


def _again(made: Sequence[tuple[OfferedSource, Sequence[Routes]]], offered: OfferedSource) -> Sequence[Routes] | None:
    return next((routes for source, routes in made if source == offered), None)


def _made_of(catalog: Catalog, offered: OfferedSource) -> Sequence[Routes]:
    source = offered.source
    router = APIRouter(prefix="/exports", tags=["exports"])
    _add(router, f"/{source.name}", catalog, source, name=f"stream-{source.name}")
    routes = [Routes(router)]
    if source.path is not None:
        own = APIRouter(tags=["exports"])
        _add(own, source.path, catalog, source, name=f"stream-{source.name}-here")
        routes.append(Routes(own, version=source.version))
    return routes


def _add(router: APIRouter, path: str, catalog: Catalog, source: ExportSource, *, name: str) -> None:
    router.add_api_route(
        path,
        _streamer(catalog, source),
        methods=["GET"],
        name=name,
        summary=f"Export {source.title or source.name}",
        response_class=Response,
        response_model=None,
        responses={
            200: {"description": "The file.", "content": dict(DOCUMENTED_CONTENT)},
            **responses(ColumnNotKnown, FormatNotInstalled, ExportTooLarge, ExportsBusy, TooManyStreams),
        },
    )


def _lister(current: Callable[[], Catalog]) -> Callable[..., Any]:
    async def sources(caller: Annotated[Identity, Depends(current_identity)], request: Request) -> SourceList:
        """What the caller may export, with columns, filters and formats."""
        base, catalog = request.url.path.rstrip("/"), current()
        return SourceList(
            items=[
                SourceResponse.of(
                    source, catalog.select(source, None, caller).masked, installed_formats(), f"{base}/{source.name}"
                )
                for source in catalog.visible_to(caller)
            ]
        )

    return sources


def _streamer(catalog: Catalog, source: ExportSource) -> Callable[..., Any]:
    request_model = request_model_of(source)
    known = current_identity if source.permission is None else require(permission=source.permission)

    async def stream(
        wanted: Annotated[request_model, Query()],  # type: ignore[valid-type]
        caller: Annotated[Identity, Depends(known)],
        streams: StreamsService,
        request: Request,
    ) -> Response:
        """All rows that match the filters, as the list endpoint would show them, at one moment.

        A connection that breaks off means an export that failed: nothing less than the whole file ends properly.
        """
        options: Any = wanted
        context = ExportContext(services_of(request), filters_of(source, wanted), caller)
        selection = catalog.select(source, options.column_names, caller)
        export = Wanted(selection, context, options.format, options.bom)
        if request.method == "HEAD":
            return Response(headers=streams.headers(export, options.compression))
        return await streams.open(export, options.compression, catalog.budget_of(caller), asker_of(request, caller))

    return stream


def request_model_of(source: ExportSource) -> type[BaseModel]:
    """The query parameters of an export: the source's filters, and how it is written."""
    bases = (ExportOptions, source.filters) if source.filters else ExportOptions
    return create_model(f"Export{source.name.title().replace('-', '').replace('_', '')}", __base__=bases)
