"""Who may connect, and how a client says who it is."""

import asyncio
import json

import pytest
import websockets

from powerstrip.testing import signed_in, token_of


async def refused(api, path="/ws", **options):
    """The status and the error type of a handshake that is refused."""
    with pytest.raises(websockets.InvalidStatus) as refusal:
        async with api.socket(options.pop("identity", None), path, **options):
            pass
    body = json.loads(refusal.value.response.body)
    return refusal.value.response.status_code, body["error"]["type"]


async def ticket(api, identity):
    answer = await api.http.post("/api/v1/realtime/tickets", headers=signed_in(identity))
    assert answer.status_code == 201, answer.text
    return answer.json()["ticket"]


async def test_a_stranger_is_refused_before_anything_is_accepted(api):
    assert await refused(api) == (401, "SignInRequired")


async def test_a_stream_wants_to_know_who_listens_too(api):
    answer = await api.http.get("/api/v1/events/stream")

    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "SignInRequired")


async def test_the_address_of_a_user_is_for_that_user(api):
    async with api.socket(api.ann, "/ws/ann") as client:
        assert client.hello["data"]["user_id"] == "ann"


async def test_the_address_of_another_user_is_refused_even_to_admins(api):
    assert await refused(api, "/ws/ann", identity=api.root) == (403, "NotYourConnection")


async def test_a_token_can_come_as_a_subprotocol_that_is_never_echoed(api):
    offered = [f"powerstrip.token.{token_of(api.ann)}", "powerstrip.v1"]
    async with api.socket(None, subprotocols=offered) as client:
        assert client.hello["data"]["user_id"] == "ann"
        assert client.connection.subprotocol == "powerstrip.v1"


async def test_a_wrong_token_is_refused(api):
    offered = ["powerstrip.v1", "powerstrip.token.nonsense"]

    assert await refused(api, subprotocols=offered) == (401, "Unauthorized")


@pytest.mark.parametrize("way", ["query", "subprotocol", "stream"])
async def test_a_ticket_lets_in_once(api, way):
    one_time = await ticket(api, api.ann)
    if way == "query":
        connection = api.socket(None, f"/ws?ticket={one_time}")
    elif way == "subprotocol":
        connection = api.socket(None, subprotocols=["powerstrip.v1", f"powerstrip.ticket.{one_time}"])
    else:
        connection = api.stream(None, f"?ticket={one_time}")
    async with connection as client:
        assert client.hello["data"]["user_id"] == "ann"

    assert await refused(api, f"/ws?ticket={one_time}") == (401, "InvalidTicket")


async def test_of_many_who_use_one_ticket_at_once_one_gets_in(api):
    one_time = await ticket(api, api.ann)

    async def attempt():
        try:
            async with api.socket(None, f"/ws?ticket={one_time}"):
                return True
        except websockets.InvalidStatus:
            return False

    assert sum(await asyncio.gather(*(attempt() for _ in range(20)))) == 1


async def test_a_ticket_expires(start, fake_clock):
    async with start(clock=fake_clock) as api:
        one_time = await ticket(api, api.ann)
        fake_clock.advance(30.1)

        assert await refused(api, f"/ws?ticket={one_time}") == (401, "InvalidTicket")


@pytest.mark.parametrize("made_up", ["x", "A" * 43, "ü" * 43, "A" * 4_000])
async def test_a_made_up_ticket_is_refused(api, made_up):
    answer = await api.http.get("/api/v1/events/stream", params={"ticket": made_up})

    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "InvalidTicket")


async def test_a_ticket_dies_with_its_session(api):
    one_time = await ticket(api, api.ann)
    await api.publish("session.revoked", {"user_id": "ann", "session_ids": ["ann-1"], "access_changed": True})

    assert await refused(api, f"/ws?ticket={one_time}") == (401, "InvalidTicket")


async def test_a_user_has_so_many_unused_tickets(start):
    async with start(sign_in={"tickets_per_user": 2}) as api:
        await ticket(api, api.ann)
        await ticket(api, api.ann)
        answer = await api.http.post("/api/v1/realtime/tickets", headers=signed_in(api.ann))

        assert (answer.status_code, answer.json()["error"]["type"]) == (429, "TooManyTickets")
        assert await ticket(api, api.bob)


async def test_the_first_message_can_sign_in_and_say_what_is_wanted(api):
    async with api.socket(hello=True) as before:
        since = before.hello["id"]
    await api.publish("room:tea", 1)
    async with api.socket(None, subprotocols=["powerstrip.v1"], hello=False) as client:
        await client.say({"type": "authenticate", "token": token_of(api.ann), "topics": ["room:tea"], "since": since})
        hello = await client.until("connected")

        assert hello["data"]["recovered"] is True
        assert await client.events(1) == [1]


async def test_a_first_message_with_a_ticket_signs_in(api):
    one_time = await ticket(api, api.ann)
    async with api.socket(None, subprotocols=["powerstrip.v1"], hello=False) as client:
        await client.say({"type": "authenticate", "ticket": one_time})

        assert (await client.until("connected"))["data"]["user_id"] == "ann"


@pytest.mark.parametrize(
    "first", ['{"type": "authenticate", "token": "nonsense"}', '{"type": "ping"}', "ping", "{", "[]"]
)
async def test_a_first_message_that_does_not_sign_in_ends_the_connection(api, first):
    async with api.socket(None, subprotocols=["powerstrip.v1"], hello=False) as client:
        await client.say(first)

        assert (await client.closed()).code == 4500


async def test_whoever_does_not_sign_in_in_time_has_to_go(start):
    async with (
        start(sign_in={"first_message_timeout": 0.1}) as api,
        api.socket(None, subprotocols=["powerstrip.v1"], hello=False) as client,
    ):
        assert (await client.closed()).code == 4501


async def test_a_first_message_of_another_user_is_not_let_in(api):
    async with api.socket(None, "/ws/bob", subprotocols=["powerstrip.v1"], hello=False) as client:
        await client.say({"type": "authenticate", "token": token_of(api.ann)})

        assert (await client.closed()).code == 4503


async def test_signing_in_by_the_first_message_can_be_switched_off(start):
    async with start(sign_in={"first_message": False}) as api:
        assert await refused(api, subprotocols=["powerstrip.v1"]) == (401, "SignInRequired")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1", "https://127.0.0.1.evil"])
async def test_pages_of_foreign_origins_may_not_connect(api, origin):
    options = {"identity": api.ann, "headers": {"Origin": origin}}

    assert await refused(api, **options) == (403, "OriginNotAllowed")


async def test_a_foreign_origin_is_logged_once(api, caplog):
    for _ in range(3):
        await refused(api, identity=api.ann, headers={"Origin": "https://evil.example"})

    told = [record.origin for record in caplog.records if record.name == "powerstrip_realtime.admission"]
    assert told == ["https://evil.example"]


async def test_a_page_of_a_foreign_origin_may_not_listen_to_a_stream(api):
    headers = {**signed_in(api.ann), "Origin": "https://evil.example"}
    answer = await api.http.get("/api/v1/events/stream", headers=headers)

    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "OriginNotAllowed")


async def test_own_pages_and_those_of_allowed_origins_may_connect(start):
    async with start(origins=["https://app.example.com"]) as api:
        for origin in ("https://app.example.com", api.url):
            async with api.socket(headers={"Origin": origin}) as client:
                assert client.hello


async def test_a_session_ends_unless_it_is_renewed(start, fake_clock):
    async with (
        start(clock=fake_clock, sign_in={"session_lifetime": 60}) as api,
        api.socket() as renewed,
        api.socket() as forgotten,
    ):
        fake_clock.advance(50)
        answer = await renewed.ask(type="authenticate", token=token_of(api.ann))
        assert answer["ok"] is True
        fake_clock.advance(20)

        assert (await forgotten.closed()).code == 4001
        await renewed.say("ping")
        assert await renewed.text() == "pong"


async def test_a_session_can_not_be_renewed_by_another_user(api):
    async with api.socket() as client:
        answer = await client.ask(type="authenticate", token=token_of(api.bob))

        assert answer["error"]["type"] == "NotYourConnection"
