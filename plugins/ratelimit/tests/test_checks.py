"""What `powerstrip check --strict` says of limits that are not what they seem."""

import pytest

from powerstrip import FindingsError


def findings(start, settings):
    app = start(settings).app
    return [
        (finding.code.removeprefix("ratelimit."), finding.message, finding.hint)
        for finding in app.state.powerstrip.strict_findings()
        if finding.plugin == "ratelimit"
    ]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"routes": {"POST /api/v1/thing": "1/hour"}}, "is about 'POST /api/v1/thing', which is no route"),
        ({"policies": {"p": {"rate": "1/hour", "routes": ["/nowhere/*"]}}}, "policy 'p' is about '/nowhere/*'"),
        ({"policies": {"p": {"rate": "1/hour", "tags": ["tings"]}}}, "the tag 'tings', which no route has"),
        ({"policies": {"p": {"rate": "1/hour", "plugins": ["users"]}}}, "the plugin 'users', which no route has"),
        ({"exempt": {"paths": ["/health"]}}, "'costs' or 'exempt.paths' is about '/health'"),
        ({"costs": {"/nowhere": 3}}, "is about '/nowhere', which is no route"),
    ],
)
def test_limits_of_nothing(start, settings, said):
    ((code, message, _),) = findings(start, settings)

    assert code == "limits-nothing"
    assert said in message


def test_a_wrong_method_is_told_which_there_are(start):
    ((_, _, hint),) = findings(start, {"routes": {"PUT /api/v1/things/": "1/hour"}})

    assert hint == "there is GET, POST for it"


def test_a_key_that_anybody_can_make_up_and_that_replaces_what_holds(start):
    forgeable = {"rate": "100/hour", "key": "header:X-Tenant"}

    assert findings(start, {"policies": {"p": forgeable}}) == []
    ((code, _, _),) = findings(start, {"policies": {"p": {**forgeable, "replaces": ["default"]}}})
    assert code == "forgeable-key"


def test_a_cost_that_no_limit_can_pay(start):
    ((code, message, _),) = findings(start, {"policies": {"p": {"rate": "5/hour", "cost": 9}}})

    assert (code, message) == ("cost-above-limit", "a request costs 9 under policy 'p', which has 5 at most")


def test_sound_limits_are_not_doubted(start):
    settings = {
        "routes": {"GET /api/v1/things/{any_name}": "5/minute", "WEBSOCKET /api/v1/echo": "3/minute"},
        "policies": {"p": {"rate": "5/hour", "tags": ["things"], "plugins": ["sample"], "routes": ["/api/v1/*"]}},
        "costs": {"POST /api/v1/things": 2},
    }

    assert findings(start, settings) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"default": "60"}, "'60' is no rate: write a number per period"),
        ({"policies": {"p": {}}}, "a policy has a 'rate' or is 'concurrent'"),
        ({"policies": {"p": {"rate": "1/hour", "concurrent": 3}}}, "a policy has a 'rate' or is 'concurrent'"),
        ({"policies": {"p": {"concurrent": 3, "cost": 3}}}, "go with a rate, not with 'concurrent'"),
        ({"policies": {"default": "1/hour"}}, "'default' is the policy of 'default'"),
        ({"policies": {"p": {"rate": "1/hour", "replaces": ["q"]}}}, "'p' replaces 'q', which is no policy"),
        ({"routes": {"post /x": "1/hour"}}, "the key 'post /x' is not one that can stand here"),
        ({"policies": {"p": {"rate": "1/hour", "rolls": ["admin"]}}}, "did you mean 'roles'"),
        ({"policies": {"p": "1/fortnight"}}, "'1/fortnight' is no rate"),
    ],
)
def test_settings_that_make_no_sense_are_refused(start, settings, said):
    with pytest.raises(FindingsError) as caught:
        start(settings)

    assert said in str(caught.value)
