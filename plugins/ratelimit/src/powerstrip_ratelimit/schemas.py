"""What the endpoints of ratelimit answer."""

from collections.abc import Sequence

from pydantic import BaseModel, Field

from powerstrip_ratelimit.domain.policies import SECOND, Algorithm
from powerstrip_ratelimit.standings import Standing


class PolicyStanding(BaseModel):
    """One policy, and what is left of it."""

    name: str = Field(examples=["default"])
    client: str = Field(description="Who is counted.", examples=["address:203.0.113.7"])
    algorithm: Algorithm
    limit: int = Field(description="Units per window, or requests at a time.", examples=[60])
    window: int | None = Field(description="Seconds; null for requests at a time.", examples=[60])
    burst: int | None = Field(description="Units that may come at once, where these are fewer.", examples=[None])
    remaining: int = Field(description="Units that are left now.", examples=[59])
    retry_after: float = Field(description="Seconds until one more is possible; 0 if it is now.", examples=[0.0])
    reset_after: float = Field(description="Seconds until nothing is counted any more.", examples=[60.0])
    routes: list[str] = Field(description="The routes it is about; all when empty.")
    methods: list[str] = Field(description="The methods it is about; all when empty.")
    tags: list[str] = Field(description="The tags it is about; all when empty.")
    plugins: list[str] = Field(description="The plugins it is about; all when empty.")


class StandingsResponse(BaseModel):
    """A client's policies."""

    policies: list[PolicyStanding]

    @classmethod
    def of(cls, standings: Sequence[Standing]) -> "StandingsResponse":
        """The answer that tells these standings."""
        return cls(policies=[described(standing) for standing in standings])


class ResetResponse(BaseModel):
    """What was forgotten."""

    client: str = Field(examples=["address:203.0.113.7"])
    policies_reset: int = Field(description="Under how many policies anything was counted.", examples=[1])


def described(standing: Standing) -> PolicyStanding:
    """One standing, for people and programs."""
    rule, verdict = standing.rule, standing.verdict
    policy = rule.policy
    return PolicyStanding(
        name=rule.label.title,
        client=standing.subject,
        algorithm=policy.algorithm,
        limit=policy.limit,
        window=None if policy.algorithm is Algorithm.CONCURRENT else policy.period // SECOND,
        burst=policy.burst if policy.algorithm is Algorithm.GCRA else None,
        remaining=verdict.remaining,
        retry_after=verdict.retry_after / SECOND,
        reset_after=verdict.reset_after / SECOND,
        routes=[str(pattern) for pattern in rule.routes],
        methods=sorted(rule.methods),
        tags=sorted(rule.tags),
        plugins=sorted(rule.plugins),
    )
