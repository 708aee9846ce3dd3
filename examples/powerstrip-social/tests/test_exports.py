"""The list of posts as a file, where exports is on."""

import csv

import pytest


@pytest.fixture
def plugins(plugins):
    return {**plugins, "exports": True}


def rows(answer):
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(answer.text.splitlines()))


def test_what_is_exported_is_what_the_list_shows(client, ada, grace):
    ada.write("from Ada")
    grace.write("=1+1")

    for author in ("", f"?author={ada.id}", f"?author={grace.id}"):
        listed = client.get(f"/api/v1/posts{author}").json()["items"]
        form = f"{author}&format=json" if author else "?format=json"
        exported = grace.call("GET", f"/posts/export{form}").json()
        assert sorted(exported, key=lambda post: post["id"], reverse=True) == listed
    by_name = rows(ada.call("GET", f"/exports/posts?columns=text&author={grace.id}"))
    assert by_name == [{"text": "'=1+1"}]


def test_whoever_is_signed_in_may_export_the_public_list_and_nobody_else(client, ada):
    sources = ada.call("GET", "/exports").json()["items"]

    assert [(source["name"], source["permission"]) for source in sources] == [("posts", None)]
    assert set(sources[0]["filters"]["properties"]) == {"author"}
    assert client.get("/api/v1/posts/export").status_code == 401
    assert ada.call("GET", "/posts/export?writer=ada").status_code == 422


def test_posts_become_a_file_by_a_job(ada):
    queued = ada.call("POST", "/exports", json={"source": "posts", "filters": {"author": ada.id}})

    assert (queued.status_code, queued.json()["source"]) == (202, "posts")


def test_without_exports_there_is_no_such_address(powerstrip_client, plugins, ada):
    post = ada.write("Hello").json()
    with powerstrip_client({**plugins, "exports": False}) as client:
        ada._client = client
        gone = ada.call("GET", "/posts/export")
        still = client.get(f"/api/v1/posts/{post['id']}")

    assert gone.status_code == 422  # `export` is no id of a post
    assert still.json() == post
