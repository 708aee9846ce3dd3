"""The AsyncAPI document says what is sent and received, from the topics' own models."""

import jsonschema
import pytest


@pytest.fixture
async def document(start):
    async with start(app={"docs": True, "title": "Shop", "version": "2.1"}) as api:
        answer = await api.http.get("/api/v1/realtime/asyncapi.json")
        assert answer.status_code == 200
        return answer.json()


async def test_it_names_the_topics_of_plugins_with_their_events(document):
    channel = document["channels"]["orders"]

    assert document["asyncapi"] == "3.0.0"
    assert (document["info"]["title"], document["info"]["version"]) == ("Shop", "2.1")
    assert channel["address"] == "orders:{order_id}"
    assert list(channel["parameters"]) == ["order_id"]
    assert list(channel["messages"]) == ["order.moved"]


async def test_every_reference_leads_somewhere(document):
    def references(node):
        if isinstance(node, dict):
            if "$ref" in node:
                yield node["$ref"]
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    found = set(references(document))
    for reference in found:
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
    assert len(found) > 10


async def test_an_event_fits_the_schema_that_is_stated(start):
    async with start(app={"docs": True}) as api, api.socket(api.ann, "/ws?topics=orders:ann-7") as ann:
        document = (await api.http.get("/api/v1/realtime/asyncapi.json")).json()
        payload = document["components"]["messages"]["orders.order.moved"]["payload"]
        schema = {**payload, "components": document["components"]}
        await api.publish("orders:ann-7", {"where": "Rome"}, "order.moved")
        jsonschema.validate(await ann.next(), schema)

        await api.publish("orders:ann-7", {"where": 7}, "order.moved")
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(await ann.next(), schema)


async def test_it_is_only_there_where_the_docs_are(api):
    answer = await api.http.get("/api/v1/realtime/asyncapi.json")

    assert answer.status_code == 404
