"""The health check `database`: critical, with facts that hold no secret."""

import httpx2
from sqlalchemy import text

from powerstrip_database import Database


def test_it_tells_what_the_database_is_and_how_quick(start, database_url):
    check = start(plugins={"health": True}).get("/health/detailed").json()["services"]["database"]
    facts = check["details"]

    assert (check["status"], check["critical"]) == ("healthy", True)
    assert facts["dialect"] == database_url.partition("+")[0]
    assert 0 < facts["latency_ms"] < 2_000
    assert facts["connections"]["in_use"] == 0
    assert "postgres:" not in str(check)


async def test_no_free_connection_turns_readiness_red_and_liveness_stays(compose, witness):
    settings = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.1}
    app = compose(settings, plugins={"health": {"cache_ttl": 0}, **witness.plugins}, extra=witness.extra)
    transport = httpx2.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
        async with witness.services[Database].reading() as session:
            await session.execute(text("SELECT 1"))
            held = [(await client.get(path)).status_code for path in ("/health/ready", "/health/live")]
        free = (await client.get("/health/ready")).status_code

    assert held == [503, 200]
    assert free == 200
