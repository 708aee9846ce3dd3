"""Who is let in, and what the others are told."""

from hashlib import sha256

import pytest
from starlette.testclient import WebSocketDenialResponse

from powerstrip import Identity
from powerstrip.testing import signed_in

UNKNOWN = "nobody-" + "n" * 32
MISSING = 'Bearer realm="api"'
INVALID = 'Bearer realm="api", error="invalid_token"'


def own_header(key):
    return {"X-API-Key": key}


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


each_way = pytest.mark.parametrize("sent", [own_header, bearer])


@each_way
def test_the_holder_of_a_key_is_known(client, reader_key, sent):
    answer = client.get("/me", headers=sent(reader_key))

    assert answer.json() == {"id": "apikey:reader", "name": "The reader", "roles": []}


@each_way
def test_a_key_whose_digest_is_configured_is_as_good(client, deploy_key, sent):
    answer = client.get("/me", headers=sent(deploy_key))

    assert answer.json() == {"id": "apikey:deploy", "name": "deploy", "roles": ["admin"]}


def test_a_digest_may_be_written_in_capitals(start, deploy_key):
    digest = sha256(deploy_key.encode()).hexdigest().upper()
    client = start(keys=[{"id": "loud", "key": f"sha256:{digest}"}])

    assert client.get("/me", headers=own_header(deploy_key)).json()["name"] == "loud"


def test_the_bearer_scheme_is_known_in_any_case(client, reader_key):
    assert client.get("/me", headers={"Authorization": f"bEARER  {reader_key}"}).status_code == 200


def test_a_stranger_is_asked_for_a_key(client):
    answer = client.get("/me")

    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, MISSING)
    assert answer.json()["error"]["type"] == "Unauthorized"


@each_way
@pytest.mark.parametrize(
    "key",
    [UNKNOWN, UNKNOWN.encode() + b"\xff\xfe", "x" * 30_000],
    ids=["unknown", "not ASCII", "very long"],
)
def test_a_key_that_nobody_holds_is_refused_by_that_name(client, key, sent):
    text = key if isinstance(key, str) else key.decode("latin-1")
    headers = {name: value.encode("latin-1") for name, value in sent(text).items()}

    answer = client.get("/me", headers=headers)

    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, INVALID)
    assert answer.json()["error"]["type"] == "InvalidApiKey"


@each_way
def test_a_part_of_a_key_is_no_key(client, reader_key, sent):
    for wrong in (reader_key[:-1], f"{reader_key}x", reader_key.upper()):
        assert client.get("/me", headers=sent(wrong)).status_code == 401


@each_way
def test_the_digest_of_a_key_is_no_key(client, deploy_key, sent):
    digest = sha256(deploy_key.encode()).hexdigest()

    for wrong in (digest, f"sha256:{digest}"):
        assert client.get("/me", headers=sent(wrong)).status_code == 401


@pytest.mark.parametrize("headers", [{"X-API-Key": ""}, {"Authorization": "Bearer"}, {"Authorization": "Bearer "}])
def test_an_empty_key_is_no_key_at_all(client, headers):
    assert client.get("/me", headers=headers).headers["WWW-Authenticate"] == MISSING


def test_another_scheme_is_nobodys_key(client, reader_key):
    answer = client.get("/me", headers={"Authorization": f"Basic {reader_key}"})

    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, MISSING)


def test_a_key_in_the_address_is_not_read(client, reader_key):
    assert client.get("/me", params={"X-API-Key": reader_key, "access_token": reader_key}).status_code == 401


def test_of_two_keys_the_one_in_the_own_header_counts(client, reader_key, deploy_key):
    answer = client.get("/me", headers={**own_header(reader_key), **bearer(deploy_key)})

    assert answer.json()["id"] == "apikey:reader"


def test_routes_for_anyone_answer_whatever_the_key(client, reader_key):
    assert client.get("/title", headers=own_header(UNKNOWN)).json() == "Reports"
    assert client.get("/greeting", headers=own_header(UNKNOWN)).json() == "Hello, stranger"
    assert client.get("/greeting", headers=own_header(reader_key)).json() == "Hello, The reader"


def test_one_request_knows_nothing_of_the_last(client, reader_key):
    client.get("/me", headers=own_header(reader_key))

    assert client.get("/me").status_code == 401


def test_permissions_are_those_of_the_key(client, reader_key, deploy_key):
    assert client.get("/reports", headers=own_header(reader_key)).json() == "for apikey:reader"
    assert client.get("/reports", headers=own_header(deploy_key)).json() == "for apikey:deploy"


def test_without_the_permission_the_answer_names_it(start, reader_key):
    client = start(keys=[{"id": "reader", "key": reader_key}])

    answer = client.get("/reports", headers=own_header(reader_key))

    assert answer.status_code == 403
    assert answer.headers["WWW-Authenticate"] == f'{MISSING}, error="insufficient_scope", scope="reports:read"'


def test_roles_are_those_of_the_key(client, reader_key, deploy_key):
    assert client.delete("/reports", headers=own_header(deploy_key)).status_code == 204
    assert client.delete("/reports", headers=own_header(reader_key)).status_code == 403
    assert client.delete("/reports").status_code == 401


def test_the_header_can_have_another_name(start, reader_key):
    client = start(header="X-Secret-Name")

    assert client.get("/me", headers={"x-secret-name": reader_key}).status_code == 200
    assert client.get("/me", headers=bearer(reader_key)).status_code == 200
    assert client.get("/me", headers=own_header(reader_key)).status_code == 401


@pytest.mark.parametrize("headers", [{}, own_header(UNKNOWN)])
def test_shared_caches_are_told_that_answers_depend_on_the_header(client, headers):
    assert "X-API-Key" in client.get("/title", headers=headers).headers["Vary"]


@each_way
def test_a_websocket_opens_for_the_holder_of_a_key(client, reader_key, sent):
    with client.websocket_connect("/live", headers=sent(reader_key)) as websocket:
        assert websocket.receive_text() == "apikey:reader"


@pytest.mark.parametrize(("headers", "challenge"), [({}, MISSING), (own_header(UNKNOWN), INVALID)])
def test_a_websocket_is_refused_at_the_handshake_otherwise(client, headers, challenge):
    with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect("/live", headers=headers):
        raise AssertionError("the handshake was accepted")

    assert (refused.value.status_code, refused.value.headers["WWW-Authenticate"]) == (401, challenge)


def test_a_plugin_can_not_tell_it_from_another_provider(powerstrip_client, reports, start, reader_key):
    """Every route of a plugin that requires `identity` answers alike, whoever provides it."""
    reader = Identity("apikey:reader", "The reader", permissions=frozenset({"reports:read"}))
    calls = [(method, path) for path in ("/title", "/greeting", "/me", "/reports") for method in ("GET", "DELETE")]

    def outcome(client, headers):
        answers = [client.request(method, path, headers=headers) for method, path in calls]
        return [(answer.status_code, answer.headers.get("WWW-Authenticate"), answer.content) for answer in answers]

    with powerstrip_client({"reports": True}, extra=reports, identity=reader) as other:
        known, stranger = outcome(other, {}), outcome(other, signed_in(None))

    client = start()
    assert outcome(client, own_header(reader_key)) == known
    assert outcome(client, {}) == stranger


def test_callers_whom_another_provider_knows_may_send_a_key_that_nobody_holds(start):
    client = start(beside={"fake_identity": True})
    ada = signed_in(Identity("ada", "Ada"))

    assert client.get("/greeting", headers=ada).json() == "Hello, Ada"
    assert client.get("/me", headers={**ada, **bearer("a token of the other provider")}).json()["id"] == "ada"


def test_the_openapi_document_tells_how_to_send_a_key(start):
    document = start(header="X-Key").app.openapi()

    assert document["components"]["securitySchemes"] == {
        "apiKey": {"type": "apiKey", "in": "header", "name": "X-Key"},
        "bearer": {"type": "http", "scheme": "bearer"},
    }
    assert document["paths"]["/me"]["get"]["security"] == [{"apiKey": []}, {"bearer": []}]
    assert "security" not in document["paths"]["/title"]["get"]
