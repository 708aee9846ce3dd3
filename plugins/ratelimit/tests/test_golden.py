"""Every store answers what `golden/vectors.json` says."""

import json
from pathlib import Path

import pytest

from powerstrip_ratelimit.domain.decisions import Count, Verdict
from powerstrip_ratelimit.domain.policies import Algorithm, Policy

SCENARIOS = json.loads((Path(__file__).parent / "golden" / "vectors.json").read_text(encoding="utf-8"))


def policies_of(described):
    return {
        name: Policy(name, Algorithm(fields["algorithm"]), **{key: fields[key] for key in fields if key != "algorithm"})
        for name, fields in described.items()
    }


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario["name"].replace(" ", "-") for scenario in SCENARIOS])
async def test_a_store_answers_what_the_vectors_say(store, moment, scenario):
    policies = policies_of(scenario["policies"])
    for step in scenario["steps"]:
        moment.at = step["at"]
        policies |= policies_of(step.get("policies", {}))
        verb = next((verb for verb in ("decide", "peek", "renew", "release", "reset") if verb in step), None)
        if verb is None:
            continue
        counts = [Count(policies[name], *rest) for name, *rest in step[verb]]

        answer = await getattr(store, verb)(counts)

        if verb == "decide":
            assert (answer.allowed, list(answer.verdicts)) == (step["allowed"], verdicts_of(step)), step
        elif verb == "peek":
            assert list(answer) == verdicts_of(step), step
        elif verb == "reset":
            assert answer == step["had"], step


def verdicts_of(step):
    return [Verdict(*fields) for fields in step["verdicts"]]
