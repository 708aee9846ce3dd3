"""Signed session cookies."""

import base64
import json
import time

import pytest
from itsdangerous import TimestampSigner
from pydantic import ValidationError

from powerstrip_edge.domain.sessions import Session, SessionSeal
from powerstrip_edge.errors import SessionError
from powerstrip_edge.settings import EdgeSettings, SessionSettings

KEY = "the first key, with 32 characters"
OTHER_KEY = "another key, with 32 characters.."


@pytest.fixture
def sign_in(start):
    """A client over https with these session settings."""

    def do(**settings):
        return start({"session": {"secret_key": KEY, **settings}}, base_url="https://testserver")

    return do


def cookie_of(client):
    return client.cookies["session"]


def test_what_is_put_in_comes_back_with_the_next_request(sign_in):
    client = sign_in()

    client.post("/session/update", json={"cart": ["apple"]})

    assert client.get("/session/show").json() == {"cart": ["apple"]}


def test_the_cookie_is_guarded(sign_in):
    answer = sign_in().post("/session/update", json={"a": 1})

    attributes = answer.headers["set-cookie"].split("; ")[1:]
    assert attributes == ["Max-Age=1209600", "Path=/", "Secure", "HttpOnly", "SameSite=Lax"]


def test_attributes_can_be_set(sign_in):
    client = sign_in(
        cookie="id",
        max_age=60,
        same_site="strict",
        https_only=False,
        http_only=False,
        path="/session",
        domain="testserver",
    )

    cookie = client.post("/session/update", json={"a": 1}).headers["set-cookie"]

    assert cookie.startswith("id=")
    assert cookie.split("; ")[1:] == ["Max-Age=60", "Path=/session", "Domain=testserver", "SameSite=Strict"]


def test_a_request_that_does_not_use_the_session_sends_no_cookie(sign_in):
    client = sign_in()
    client.post("/session/update", json={"a": 1})

    answer = client.get("/plain")

    assert "set-cookie" not in answer.headers
    assert "vary" not in answer.headers


def test_a_session_that_is_only_read_is_not_sent_again(sign_in):
    client = sign_in()
    client.post("/session/update", json={"a": 1})

    answer = client.get("/session/show")

    assert "set-cookie" not in answer.headers
    assert answer.headers["vary"] == "Cookie"


def test_a_change_deep_inside_is_kept(sign_in):
    client = sign_in()
    client.post("/session/update", json={"list": []})

    client.post("/session/append")

    assert client.get("/session/show").json() == {"list": [1]}


def test_an_emptied_session_deletes_the_cookie(sign_in):
    client = sign_in()
    client.post("/session/update", json={"a": 1})

    answer = client.post("/session/clear")

    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert "session" not in client.cookies


def test_clearing_nothing_sends_nothing(sign_in):
    assert "set-cookie" not in sign_in().post("/session/clear").headers


def test_a_changed_cookie_is_worth_nothing(sign_in):
    client = sign_in()
    client.post("/session/update", json={"role": "guest"})
    payload, _, rest = cookie_of(client).partition(".")
    forged = base64.urlsafe_b64encode(json.dumps({"role": "admin"}).encode()).decode().rstrip("=")

    for cookie in (f"{forged}.{rest}", f"{payload}.", payload, "", "x", f"{cookie_of(client)}x", "é" * 10):
        answer = client.get("/session/show", headers=[(b"Cookie", f"session={cookie}".encode())])
        assert answer.json() == {}


def test_a_cookie_signed_with_another_key_is_worth_nothing(sign_in):
    stranger, ours = sign_in(secret_key=OTHER_KEY), sign_in()
    stranger.post("/session/update", json={"role": "admin"})

    answer = ours.get("/session/show", headers={"Cookie": f"session={cookie_of(stranger)}"})

    assert answer.json() == {}


def test_a_cookie_of_another_name_can_not_be_moved_over(sign_in):
    other, ours = sign_in(cookie="other"), sign_in()
    other.post("/session/update", json={"role": "admin"})

    answer = ours.get("/session/show", headers={"Cookie": f"session={other.cookies['other']}"})

    assert answer.json() == {}


def test_a_planted_cookie_of_the_same_name_does_not_hide_ours(sign_in):
    client = sign_in()
    client.post("/session/update", json={"a": 1})

    answer = client.get("/session/show", headers={"Cookie": f"session=planted; session={cookie_of(client)}"})

    assert answer.json() == {"a": 1}


def test_an_earlier_key_still_opens_and_the_new_one_signs(sign_in):
    before = sign_in()
    before.post("/session/update", json={"a": 1})
    after = sign_in(secret_key=OTHER_KEY, old_secret_keys=[KEY])
    after.cookies.set("session", cookie_of(before), domain="testserver.local")

    assert after.get("/session/show").json() == {"a": 1}
    signed_now = after.post("/session/update", json={"b": 2}).headers["set-cookie"].partition("=")[2].partition(";")[0]
    assert SessionSeal((OTHER_KEY,), "session", 60).open(signed_now) == {"a": 1, "b": 2}


class Yesterday(TimestampSigner):
    def get_timestamp(self):
        return int(time.time()) - 24 * 3600


def test_an_old_session_has_ended(monkeypatch):
    seal = SessionSeal((KEY,), "session", 3600)
    monkeypatch.setattr(TimestampSigner, "get_timestamp", Yesterday.get_timestamp)
    cookie = seal.sign({"a": 1})
    monkeypatch.undo()

    assert seal.open(cookie) is None
    assert SessionSeal((KEY,), "session", 25 * 3600).open(cookie) == {"a": 1}


def test_too_much_for_a_cookie_is_an_error_that_says_so():
    with pytest.raises(SessionError, match="a cookie holds"):
        SessionSeal((KEY,), "session", 60).sign({"noise": "".join(chr(number) for number in range(33, 6000))})


@pytest.mark.parametrize("path", ["/session/unstorable"])
def test_what_a_cookie_can_not_hold_is_a_server_error_with_all_headers(sign_in, path, caplog):
    answer = sign_in().post(path)

    assert answer.status_code == 500
    assert "set-cookie" not in answer.headers
    assert answer.headers["x-request-id"]
    assert "can only hold JSON values" in caplog.text


def test_websockets_can_read_the_session(sign_in):
    client = sign_in()
    client.post("/session/update", json={"seen": 5})

    with client.websocket_connect("wss://testserver/ws", headers={"Cookie": f"session={cookie_of(client)}"}) as socket:
        assert socket.receive_json()["seen"] == 5


def test_without_a_key_there_are_no_sessions(start):
    assert start().get("/session/show").status_code == 500


def test_a_session_does_not_show_what_it_holds():
    session = Session(SessionSeal((KEY,), "session", 60), ())
    session["card"] = "4111"

    assert "4111" not in repr(session)
    assert session == {"card": "4111"}


def test_keys_are_not_shown():
    settings = EdgeSettings.model_validate({"session": {"secret_key": KEY, "old_secret_keys": [OTHER_KEY]}})

    assert KEY not in f"{settings!r} {settings.model_dump_json()}"
    assert OTHER_KEY not in f"{settings!r} {settings.model_dump_json()}"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"secret_key": "short"}, "at least 32"),
        ({"secret_key": KEY, "old_secret_keys": ["short"]}, "at least 32"),
        ({"secret_key": KEY, "same_site": "none", "https_only": False}, "https_only"),
        ({"secret_key": KEY, "cookie": "a=b"}, "cookie"),
        ({"secret_key": KEY, "cookie": "a; Domain=evil"}, "cookie"),
        ({"secret_key": KEY, "path": "/; Domain=evil"}, "path"),
        ({"secret_key": KEY, "domain": "a; b"}, "domain"),
        ({"secret_key": KEY, "max_age": 0}, "max_age"),
    ],
)
def test_weak_or_broken_settings_are_refused(settings, reason):
    with pytest.raises(ValidationError, match=reason):
        SessionSettings.model_validate(settings)
