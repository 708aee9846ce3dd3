"""Asking about limits over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from powerstrip import Identity, RateLimitExceeded, optional_identity, public, require, responses, service
from powerstrip_ratelimit.schemas import ResetResponse, StandingsResponse
from powerstrip_ratelimit.standings import Standings

router = APIRouter(prefix="/ratelimits", responses=responses(RateLimitExceeded))

StandingsService = Annotated[Standings, Depends(service(Standings))]
Client = Annotated[
    str,
    Query(
        min_length=1,
        max_length=1000,
        description="An address, `identity:ID`, `api-key:VALUE`, `header:NAME:VALUE` or `KEY:VALUE`.",
        examples=["203.0.113.7", "identity:5b2c6a2e-6b6f-4b7e-9d37-2f4a3b8c1d10"],
    ),
]


@router.get("/me", name="me", summary="What the caller has left", dependencies=[Depends(public)])
async def read_own_standings(
    request: Request,
    response: Response,
    identity: Annotated[Identity | None, Depends(optional_identity)],
    standings: StandingsService,
) -> StandingsResponse:
    """Every policy that may concern the caller. This request counts as well."""
    response.headers["Cache-Control"] = "no-store"
    return StandingsResponse.of(await standings.of_caller(request.scope, identity))


def admin_router(role: str) -> APIRouter:
    """Routes for those who have the role."""
    router = APIRouter(
        prefix="/ratelimits", responses=responses(RateLimitExceeded), dependencies=[Depends(require(role))]
    )

    @router.get("", name="read", summary="What a client has left")
    async def read_standings(client: Client, response: Response, standings: StandingsService) -> StandingsResponse:
        """Every policy, and what one client has left of it. With counters in memory, in the process that answers."""
        response.headers["Cache-Control"] = "no-store"
        return StandingsResponse.of(await standings.of_subject(client))

    @router.delete("", name="reset", summary="Forget what a client used")
    async def reset_client(client: Client, standings: StandingsService) -> ResetResponse:
        """Let a client begin anew under every policy. With counters in memory, in the process that answers."""
        return ResetResponse(client=standings.subject(client), policies_reset=await standings.reset(client))

    return router
