"""A database that goes away while a mail is on its way."""

import asyncio

import pytest


@pytest.fixture
def outage(postgresql_server):
    """Stops the server, and has it running again after the test, whatever happens."""

    class Outage:
        begin = postgresql_server.stop
        end = postgresql_server.start

    yield Outage
    postgresql_server.start()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("reply", "attempts"), [(None, 1), ("451 later", 2)], ids=["sent", "refused"])
async def test_what_became_of_a_mail_is_written_down_when_the_database_is_back(
    start, post_office, outage, reply, attempts
):
    """Not forgotten until the lease is over: it would be sent twice, or far too late."""
    is_away = asyncio.Event()

    async def lose_the_database(_server):
        await asyncio.to_thread(outage.begin)
        is_away.set()
        return reply

    async def is_sent():
        return await api.rows("SELECT attempts FROM users_outbox WHERE status = 'sent'")

    post_office.mischief.append(lose_the_database)
    async with start(mail=post_office.settings()) as api:
        await api.sign_up()
        async with asyncio.timeout(20):
            await is_away.wait()
        await asyncio.to_thread(outage.end)

        assert await api.until(is_sent) == [(attempts,)]
        assert len(post_office.mails) == 1
