"""Access tokens: what is accepted, and every known way of forging one."""

import base64
import json
import time

import jwt
import pytest

from powerstrip import SystemClock
from powerstrip_database import new_id
from powerstrip_users.domain import Role
from powerstrip_users.errors import InvalidToken
from powerstrip_users.keys import KeyRing
from powerstrip_users.settings import TokenSettings
from powerstrip_users.tokens import AccessClaims, AccessTokens, RefreshTokens, SignedClaims

SECRET = "a secret that is long enough for tests"
SETTINGS = TokenSettings()


def key() -> tuple[str, bytes]:
    return next(iter(KeyRing(SECRET).keys("at+jwt").items()))


def forged(claims=None, headers=None, *, signed_with=None, algorithm="HS256", without=()) -> str:
    """A token that is right in every way but the stated ones."""
    key_id, right_key = key()
    now = int(time.time())
    right = {
        "iss": "powerstrip",
        "aud": "powerstrip",
        "iat": now,
        "nbf": now,
        "exp": now + 900,
        "jti": "x",
        "sub": str(new_id()),
        "sid": str(new_id()),
        "ver": 1,
        "role": "admin",
        "name": "ada",
        "auth_time": now,
    }
    stated = {name: value for name, value in {**right, **(claims or {})}.items() if name not in without}
    return jwt.encode(stated, signed_with or right_key, algorithm, {"kid": key_id, "typ": "at+jwt", **(headers or {})})


@pytest.fixture
def tokens() -> AccessTokens:
    return AccessTokens(KeyRing(SECRET), SETTINGS, SystemClock())


def segments(header: object, claims: object, signature: str = "") -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims)]
    return ".".join([*parts, signature])


def test_what_is_right_in_every_way_is_accepted(tokens):
    assert tokens.read(forged()).role is Role.ADMIN


NOW = int(time.time())
RSA_LIKE = "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAK\n-----END PUBLIC KEY-----"

FORGED = {
    "no algorithm": lambda: segments({"alg": "none", "typ": "at+jwt", "kid": key()[0]}, {"sub": "x"}),
    "no algorithm in capitals": lambda: segments({"alg": "NoNe", "typ": "at+jwt", "kid": key()[0]}, {"sub": "x"}),
    "another algorithm of the same kind": lambda: forged(algorithm="HS512", signed_with=key()[1] * 2),
    "the header says another algorithm": lambda: forged(
        headers={"alg": "HS384"}, algorithm="HS384", signed_with=key()[1] * 2
    ),
    "another key": lambda: forged(signed_with=b"another key of thirty-two bytes!!"),
    "an empty key": lambda: segments({"alg": "HS256", "typ": "at+jwt", "kid": key()[0]}, {"sub": "x"}, "AAAA"),
    "the secret itself as the key": lambda: forged(signed_with=SECRET.encode()),
    "the key of another purpose": lambda: forged(signed_with=next(iter(KeyRing(SECRET).keys("reset+jwt").values()))),
    "a kid that is a path": lambda: forged(headers={"kid": "../../../../dev/null"}, signed_with=b"\0" * 32),
    "a kid that is SQL": lambda: forged(headers={"kid": "x' UNION SELECT 'key"}),
    "a kid that is unknown": lambda: forged(headers={"kid": "unknown"}),
    "a kid that is no text": lambda: segments({"alg": "HS256", "typ": "at+jwt", "kid": {"a": 1}}, {}, "AAAA"),
    "no kid": lambda: jwt.encode({"sub": "x"}, key()[1], "HS256", {"typ": "at+jwt"}),
    "a key in the header": lambda: forged(headers={"jwk": {"kty": "oct", "k": "AAAA"}}, signed_with=b"\0" * 32),
    "an address of keys in the header": lambda: forged(headers={"jku": "https://evil.example"}, signed_with=b"\0" * 32),
    "an unknown critical header": lambda: forged(headers={"crit": ["x"], "x": 1}),
    "a type that is another token's": lambda: forged(headers={"typ": "JWT"}),
    "a link's type": lambda: forged(headers={"typ": "reset+jwt"}),
    "another audience": lambda: forged({"aud": "somebody else"}),
    "one audience among several": lambda: forged({"aud": ["powerstrip", "somebody else"]}),
    "another issuer": lambda: forged({"iss": "somebody else"}),
    "expired": lambda: forged({"exp": NOW - 1}),
    "expired in the year of a billion": lambda: forged({"exp": 10**20}),
    "not yet valid": lambda: forged({"nbf": NOW + 3600}),
    "issued in the future": lambda: forged({"iat": NOW + 3600}),
    "an expiry that is no number": lambda: forged({"exp": "tomorrow"}),
    "a role that there is not": lambda: forged({"role": "god"}),
    "a role that is a list": lambda: forged({"role": ["admin"]}),
    "a subject that is no id": lambda: forged({"sub": "admin"}),
    "a session that is no id": lambda: forged({"sid": 7}),
    "a version that is no number": lambda: forged({"ver": "newest"}),
    "text": lambda: "abc",
    "nothing": lambda: "",
    "two dots": lambda: "..",
    "four parts": lambda: forged() + ".AAAA",
    "a header of lists in lists": lambda: base64.urlsafe_b64encode(b"[" * 1200).decode() + ".AAAA.AAAA",
    "a header that is no object": lambda: segments([], {}, "AAAA"),
    "claims that are no object": lambda: segments({"alg": "HS256", "typ": "at+jwt", "kid": key()[0]}, [], "AAAA"),
    "far too long": lambda: forged({"name": "a" * 4000}),
    "the signature's last bits changed": lambda: forged()[:-2] + "zz",
    **{
        f"no {name}": lambda name=name: forged(without=(name,))
        for name in ("iss", "aud", "exp", "nbf", "iat", "sub", "sid", "ver", "role", "jti", "auth_time")
    },
}


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED.keys())
def test_a_token_is_refused_with(tokens, token):
    with pytest.raises(InvalidToken):
        tokens.read(token())


def test_changed_claims_under_the_same_signature_are_refused(tokens):
    header, claims, signature = forged({"role": "user"}).split(".")
    decoded = json.loads(base64.urlsafe_b64decode(claims + "=="))
    changed = base64.urlsafe_b64encode(json.dumps({**decoded, "role": "admin"}).encode()).rstrip(b"=").decode()

    with pytest.raises(InvalidToken):
        tokens.read(f"{header}.{changed}.{signature}")


def claims() -> AccessClaims:
    return AccessClaims(new_id(), "ada", Role.USER, new_id(), 3, SystemClock().now().replace(microsecond=0))


def test_what_is_issued_is_what_is_read(tokens):
    issued = claims()

    assert tokens.read(tokens.issue(issued)) == issued


def test_a_token_is_valid_until_it_expires(clock):
    tokens = AccessTokens(KeyRing(SECRET), SETTINGS, clock)
    token = tokens.issue(claims())

    clock.advance(SETTINGS.access_lifetime - 1)
    tokens.read(token)
    clock.advance(1)

    with pytest.raises(InvalidToken):
        tokens.read(token)


def test_a_retired_key_still_checks_and_no_longer_signs():
    old = AccessTokens(KeyRing("o" * 32), SETTINGS, SystemClock())
    new = AccessTokens(KeyRing("n" * 32, ["o" * 32]), SETTINGS, SystemClock())
    only_new = AccessTokens(KeyRing("n" * 32), SETTINGS, SystemClock())
    token = old.issue(claims())

    new.read(token)
    only_new.read(new.issue(claims()))
    with pytest.raises(InvalidToken):
        only_new.read(token)


def test_a_kid_tells_nothing_about_the_key():
    ids = [next(iter(KeyRing(secret).keys("at+jwt"))) for secret in ("a" * 32, "a" * 31 + "b")]

    assert ids[0] != ids[1]
    assert all(len(key_id) == 12 for key_id in ids)


@pytest.mark.parametrize(("one", "other"), [("at+jwt", "reset+jwt"), ("verify+jwt", "reset+jwt")])
def test_a_token_is_worth_nothing_for_another_purpose(one, other):
    first, second = (SignedClaims(KeyRing(SECRET), kind, SETTINGS, SystemClock()) for kind in (one, other))

    with pytest.raises(InvalidToken):
        second.decode(first.encode({"sub": "x"}, 60), ())


def test_a_refresh_token_leads_to_its_session_and_to_one_successor():
    tokens = RefreshTokens(KeyRing(SECRET))
    first = tokens.first(session_id := new_id())
    read = tokens.read(first.text)

    assert read == first
    assert read.session_id == session_id
    assert tokens.successor(first) == tokens.successor(read) != first


def test_a_successor_is_found_again_after_the_key_was_rotated():
    first = RefreshTokens(KeyRing("o" * 32)).first(new_id())
    successor = RefreshTokens(KeyRing("o" * 32)).successor(first)
    rotated = RefreshTokens(KeyRing("n" * 32, ["o" * 32]))

    found = rotated.successor_with_hash(first, successor.hash)

    assert found is not None
    assert found.hash == successor.hash
    assert rotated.successor_with_hash(first, b"x" * 32) is None


@pytest.mark.parametrize("text", ["", "abc", "=", "é", "A" * 86, "A" * 4000])
def test_made_up_text_is_no_refresh_token(text):
    assert RefreshTokens(KeyRing(SECRET)).read(text) is None


def test_a_refresh_token_of_another_key_or_session_is_none():
    tokens = RefreshTokens(KeyRing(SECRET))
    raw = bytearray(base64.urlsafe_b64decode(tokens.first(new_id()).text + "=="))
    raw[0] ^= 1

    assert tokens.read(base64.urlsafe_b64encode(raw).rstrip(b"=").decode()) is None
    assert tokens.read(RefreshTokens(KeyRing("x" * 32)).first(new_id()).text) is None


async def test_no_forged_token_gets_in_over_http(start_on_sqlite):
    """The right one does: it is what is wrong with the others that keeps them out. Anyone is still answered."""
    async with start_on_sqlite(secret_key=SECRET) as api:
        right = await api.get("/users/me/permissions", headers=api.bearer(forged()))
        wrong = {}
        for name, token in FORGED.items():
            headers = api.bearer(token())
            refused = await api.get("/users/me/permissions", headers=headers)
            public = await api.post("/auth/forgot-password", {"email": "a@example.com"}, headers=headers)
            challenge = 'error="invalid_token"' in refused.headers.get("WWW-Authenticate", "")
            if (refused.status_code, challenge, public.status_code) != (401, True, 202):
                wrong[name] = refused.status_code, public.status_code

    assert (right.status_code, right.json()["roles"]) == (200, ["admin"])
    assert wrong == {}
