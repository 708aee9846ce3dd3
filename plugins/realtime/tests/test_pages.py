"""The browser client and the demo page: there in debug mode, and bound to nothing foreign."""

import re


async def test_the_demo_is_there_while_debugging(start):
    async with start(app={"debug": True}) as api:
        page = await api.http.get("/realtime/demo")
        script = re.search(r'<script type="module" src="([^"]+)">', page.text)

        assert page.status_code == 200
        assert script is not None
        assert 'data-socket="/ws"' in page.text
        assert 'data-tickets="/api/v1/realtime/tickets"' in page.text
        assert (await api.http.get(script[1])).headers["content-type"].startswith("text/javascript")


async def test_otherwise_it_is_not(start):
    async with start() as api:
        assert [(await api.http.get(f"/realtime/{name}")).status_code for name in ("demo", "demo.js")] == [404, 404]


async def test_it_can_be_switched_off(start):
    async with start(app={"debug": True}, demo=False) as api:
        assert (await api.http.get("/realtime/demo")).status_code == 404


async def test_nothing_comes_from_a_foreign_host_and_no_script_is_inline(start):
    async with start(app={"debug": True}) as api:
        page = await api.http.get("/realtime/demo")

        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert not re.search(r"https?://|<script(?![^>]*src=)", page.text)


async def test_the_client_module_is_always_there_and_depends_on_nothing(api):
    module = await api.http.get("/realtime/client.js")

    assert module.status_code == 200
    assert not re.search(r"^import ", module.text, re.MULTILINE)
    assert "export class RealtimeClient" in module.text
