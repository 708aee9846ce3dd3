"""Messages are counted while a plugin that counts is on, and never otherwise."""


async def test_messages_over_the_limit_are_refused_and_told_when_to_go_on(start):
    async with start(plugins={"ratelimit": True}, limits={"messages": "3/minute"}) as api, api.socket() as client:
        answers = [await client.ask(type="ping") for _ in range(5)]

        assert [answer["ok"] for answer in answers] == [True, True, True, False, False]
        assert answers[-1]["error"]["type"] == "RateLimitExceeded"
        assert answers[-1]["error"]["retry_after"] > 0


async def test_who_goes_on_all_the_same_has_to_go(start):
    limits = {"messages": "1/minute", "errors": 3}
    async with start(plugins={"ratelimit": True}, limits=limits) as api, api.socket() as client:
        for _ in range(5):
            await client.say({"type": "ping"})

        assert (await client.closed()).code == 4508


async def test_the_bare_ping_is_free(start):
    async with start(plugins={"ratelimit": True}, limits={"messages": "1/minute"}) as api, api.socket() as client:
        for _ in range(5):
            await client.say("ping")
            assert await client.text() == "pong"


async def test_without_one_that_counts_nothing_is_counted(start):
    async with start(limits={"messages": "1/minute"}) as api, api.socket() as client:
        assert all([(await client.ask(type="ping"))["ok"] for _ in range(5)])
