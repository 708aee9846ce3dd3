"""What clients of jobs do."""

import asyncio

from powerstrip import Identity
from powerstrip.testing import signed_in

OWNER = Identity("owner", "Owner", frozenset(("user",)), frozenset(("things:*",)))
OTHER = Identity("other", "Other", frozenset(("user",)), frozenset(("things:*",)))
ADMIN = Identity("root", "Root", frozenset(("admin",)), frozenset(("*",)))
ENDED = ("done", "failed", "cancelled", "expired")
QUICK = {"jobs": {"poll_interval": 0.05}}


async def submit(api, caller=OWNER, **request):
    answer = await api.post("/exports", {"source": "things", **request}, caller)
    assert answer.status_code == 202, answer.text
    return answer


async def job_of(api, answer, caller=OWNER):
    return (await api.http.get(answer.headers["Location"], headers=signed_in(caller))).json()


async def ended(api, answer, caller=OWNER):
    async with asyncio.timeout(60):
        while (job := await job_of(api, answer, caller))["status"] not in ENDED:  # noqa: ASYNC110 - as clients do
            await asyncio.sleep(0.05)
    return job


async def fetch(api, job, caller=OWNER, **headers):
    return await api.http.get(job["file"], headers={**signed_in(caller), **headers})
