"""Who can write, read, follow and delete what."""

from uuid import UUID, uuid4

import pytest

from powerstrip import Identity
from powerstrip.testing import signed_in

SOMEONE = UUID(int=1)


def test_a_post_can_be_read_by_anyone(client, ada):
    post = ada.write("  Hello, world!  ").json()

    assert post["text"] == "Hello, world!"
    assert post["author_id"] == ada.id
    assert post["written_at"].endswith("Z")
    assert client.get(f"/api/v1/posts/{post['id']}").json() == post
    assert client.get("/api/v1/posts").json() == {"items": [post], "next": None}


def test_a_post_that_says_nothing_or_too_much_is_refused(ada):
    texts = ("", "   ", "x" * 501, "a\0b", None)

    assert [ada.call("POST", "/posts", json={"text": text}).status_code for text in texts] == [422] * len(texts)


def test_a_stranger_has_to_sign_in(client):
    one = f"/posts/{SOMEONE}"
    asked = (("POST", "/posts"), ("GET", "/posts/feed"), ("PUT", f"/follows/{SOMEONE}"), ("DELETE", one))
    answers = {
        (method, path): client.request(method, f"/api/v1{path}", json={"text": "Hello"}).status_code
        for method, path in asked
    }

    assert answers == dict.fromkeys(asked, 401)


def test_pages_lead_through_all_posts_from_the_newest_to_the_oldest(ada):
    for number in range(5):
        ada.write(str(number))

    pages, before = [], None
    while True:
        page = ada.call("GET", "/posts", params={"limit": 2, **({"before": before} if before else {})}).json()
        pages.append([post["text"] for post in page["items"]])
        if (before := page["next"]) is None:
            break
    assert pages == [["4", "3"], ["2", "1"], ["0"]]


def test_the_posts_of_one_person_can_be_asked_for(ada, grace):
    ada.write("from Ada")
    grace.write("from Grace")

    assert ada.texts(f"/posts?author={grace.id}") == ["from Grace"]


def test_the_feed_has_what_those_wrote_whom_one_follows(ada, grace):
    grace.write("from Grace")
    ada.write("from Ada")
    before = ada.texts("/posts/feed")
    ada.follow(grace)

    assert before == []
    assert ada.texts("/posts/feed") == ["from Grace"]
    assert grace.texts("/posts/feed") == []


def test_following_twice_is_following_once(ada, grace):
    assert [ada.follow(grace).status_code for _ in range(2)] == [204, 204]
    assert grace.numbers()["followers_count"] == 1


def test_who_is_followed_no_longer_leaves_the_feed(ada, grace):
    grace.write("from Grace")
    ada.follow(grace)

    assert [ada.call("DELETE", f"/follows/{grace.id}").status_code for _ in range(2)] == [204, 204]
    assert ada.texts("/posts/feed") == []


def test_nobody_follows_oneself(ada):
    answer = ada.follow(ada)

    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "SelfFollow"


def test_following_does_not_tell_who_has_an_account(ada):
    assert ada.call("PUT", f"/follows/{uuid4()}").status_code == 204


def test_an_author_deletes_a_post_and_nobody_else_does(ada, grace):
    post = ada.write("Hello").json()["id"]

    refused = grace.call("DELETE", f"/posts/{post}")
    assert (refused.status_code, refused.json()["error"]["type"]) == (403, "NotYourPost")
    assert ada.call("DELETE", f"/posts/{post}").status_code == 204
    assert ada.call("DELETE", f"/posts/{post}").status_code == 404


@pytest.mark.parametrize("permission", ["social:moderate", "social:*", "*"])
def test_a_moderator_deletes_any_post(powerstrip_client, sqlite_url, permission):
    moderator = Identity("b6a4d4a1-21a4-4dcb-8d0f-2a0fd9d5f7d1", permissions=frozenset({permission}))
    author = Identity("0a5a1f0e-5f5c-4a53-9a46-6f1b9f0a7a10")
    plugins = {"database": {"url": sqlite_url}, "users": True, "social": True}
    with powerstrip_client(plugins, identity=author) as client:
        post = client.post("/api/v1/posts", json={"text": "Hello"}).json()["id"]

        assert client.delete(f"/api/v1/posts/{post}", headers=signed_in(moderator)).status_code == 204


def test_a_program_with_an_api_key_is_no_person(powerstrip_client, database_url):
    plugins = {"database": {"url": database_url}, "users": True, "social": True}
    with powerstrip_client(plugins, identity=Identity("apikey:reporting")) as client:
        answer = client.post("/api/v1/posts", json={"text": "Hello"})

    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "NotAPerson")


def test_the_numbers_are_in_the_profile(ada, grace):
    for text in ("one", "two"):
        ada.write(text)
    ada.follow(grace)

    assert ada.numbers() == {"posts_count": 2, "followers_count": 0, "following_count": 1}
    assert grace.numbers() == {"posts_count": 0, "followers_count": 1, "following_count": 0}


def test_the_numbers_are_0_again_while_the_plugin_is_off_and_back_when_it_is_on(powerstrip_client, plugins, ada):
    ada.write("Hello")
    for switched, expected in ((False, 0), (True, 1)):
        with powerstrip_client({**plugins, "social": switched}) as client:
            ada._client = client
            assert ada.numbers()["posts_count"] == expected


def test_the_permission_of_moderators_is_known_to_users(powerstrip_client, plugins, caplog):
    with powerstrip_client(plugins):
        assert "social:moderate" not in caplog.text  # users warns of permissions that nobody declares
    with powerstrip_client({**plugins, "social": False}):
        assert "social:moderate" in caplog.text
