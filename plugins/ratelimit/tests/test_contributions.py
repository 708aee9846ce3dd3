"""What other plugins tell ratelimit: keys, quotas, and who wants to know of decisions."""

import pytest

from powerstrip import Identity, Plugin, PluginSettings, StartError, hookimpl
from powerstrip.testing import signed_in
from powerstrip_ratelimit import RateLimitKey, RateLimitQuota

THINGS = "/api/v1/things"
ANN, BEN = Identity("ann", claims={"tenant": "acme"}), Identity("ben", claims={"tenant": "acme"})


def teller(**told):
    """A plugin that tells ratelimit something: `teller(keys=[...])`."""

    class Teller(Plugin[PluginSettings]):
        @hookimpl
        def register_rate_limit_keys(self):
            return told.get("keys", ())

        @hookimpl
        def register_rate_limit_quotas(self):
            return told.get("quotas", ())

        @hookimpl
        def register_rate_limit_observers(self):
            return told.get("observers", ())

    return {"teller": Teller}


def tenant_of(connection):
    identity = connection.scope["state"].get("identity")
    return identity.claims.get("tenant") if identity else None


def statuses(client, times, identity=None):
    return [client.get(THINGS, headers=signed_in(identity)).status_code for _ in range(times)]


def test_requests_are_counted_by_a_plugins_key_where_they_have_one(start):
    settings = {"default": None, "policies": {"tenants": {"rate": "2/minute", "key": "tenant"}}}
    told = teller(keys=[RateLimitKey("tenant", tenant_of)])
    client = start(settings, extra=told, plugins={"fake_identity": True})

    assert statuses(client, 1, ANN) + statuses(client, 2, BEN) == [200, 200, 429]
    assert statuses(client, 5) == [200] * 5


def test_a_key_that_no_plugin_brings_stops_the_start(start):
    settings = {"policies": {"tenants": {"rate": "2/minute", "key": "tenant"}}}

    with pytest.raises(StartError, match="policy 'tenants' counts by 'tenant', a key that no plugin brings"):
        start(settings)


def test_a_plan_gives_callers_a_rate_of_their_own(start):
    asked = []

    async def plan_of(identity):
        asked.append(identity.id)
        return {"ann": "3/minute"}.get(identity.id)

    told = teller(quotas=[RateLimitQuota("default", plan_of)])
    client = start({"default": "1/minute"}, extra=told, plugins={"fake_identity": True})

    assert statuses(client, 4, ANN) == [200, 200, 200, 429]
    assert statuses(client, 2, BEN) == [200, 429]
    assert statuses(client, 2) == [200, 429]
    assert asked == ["ann", "ben"]


def test_a_plan_is_asked_again_after_a_while_and_counts_on(start, clock):
    plans = ["1/hour", "3/hour"]

    async def plan_of(_identity):
        return plans.pop(0)

    told = teller(quotas=[RateLimitQuota("default", plan_of)])
    client = start({"quota_ttl": 30}, extra=told, plugins={"fake_identity": True})

    assert statuses(client, 2, ANN) == [200, 429]
    clock.advance(30)
    assert statuses(client, 3, ANN) == [200, 200, 429]


@pytest.mark.parametrize("plan", ["a lot", None])
def test_a_plan_that_fails_leaves_the_policys_own_rate(start, plan):
    async def plan_of(_identity):
        if plan is None:
            raise ConnectionError
        return plan

    told = teller(quotas=[RateLimitQuota("default", plan_of)])
    client = start({"default": "1/minute"}, extra=told, plugins={"fake_identity": True})

    assert statuses(client, 2, ANN) == [200, 429]


class Meter:
    def __init__(self, *, fails=False):
        self.seen = []
        self.fails = fails

    def decided(self, policy, outcome):
        self.seen.append((policy, outcome))
        if self.fails:
            raise RuntimeError("full")

    def store_changed(self, *, is_available):
        self.seen.append(is_available)


def test_observers_are_told_each_decision(start):
    meter = Meter()
    settings = {"default": "2/minute", "policies": {"tried": {"rate": "1/minute", "mode": "observe"}}}
    client = start(settings, extra=teller(observers=[meter]))

    statuses(client, 3)

    assert meter.seen == [
        ("default", "allowed"),
        ("tried", "allowed"),
        ("default", "allowed"),
        ("tried", "observed"),
        ("default", "refused"),
        ("tried", "observed"),
    ]


def test_an_observer_that_fails_is_told_no_more_and_harms_nobody(start):
    broken, sound = Meter(fails=True), Meter()
    client = start({"default": "2/minute"}, extra=teller(observers=[broken, sound]))

    assert statuses(client, 3) == [200, 200, 429]
    assert (len(broken.seen), len(sound.seen)) == (1, 3)


async def test_contributions_come_and_go_with_reloads_and_counts_stay(powerstrip_reloading, sample, clock):
    async def plan_of(_identity):
        return "3/minute"

    ann = {name.replace("-", "_"): value for name, value in signed_in(ANN).items()}
    extra = {"sample": sample, **teller(quotas=[RateLimitQuota("default", plan_of)])}
    plugins = {"ratelimit": {"default": "1/minute"}, "sample": True, "fake_identity": True}
    async with powerstrip_reloading(plugins, extra=extra, clock=clock) as app:

        async def status():
            code, _ = await app.get(THINGS, **ann).answer()
            return code

        assert [await status(), await status()] == [200, 429]
        changes = await app.reload({**plugins, "teller": True})
        assert changes["ratelimit"] == "reconfigured"
        assert [await status(), await status(), await status()] == [200, 200, 429]
        await app.reload(plugins)
        assert await status() == 429
