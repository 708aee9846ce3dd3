"""serve: how things are and what has become of a reload, as JSON values for `powerstrip status` and `reload`."""

import os
from dataclasses import asdict
from typing import Any

from powerstrip.contract.errors import FindingsError
from powerstrip.contract.health import ReloadOutcome
from powerstrip.host.planning import ReloadPlan
from powerstrip.host.supervisor import Supervisor

Report = dict[str, Any]


def success(generation: int, plan: ReloadPlan | None) -> Report:
    """A reload that made a generation, or a plan for one."""
    return {"ok": True, "generation": generation, "plan": plan.to_dict() if plan else None}


def failure(error: BaseException, generation: int | None) -> Report:
    """A reload that left the generation as it was."""
    findings = error.findings if isinstance(error, FindingsError) else ()
    return {
        "ok": False,
        "generation": generation,
        "error": type(error).__name__,
        "reason": str(error),
        "findings": [{**finding.to_dict(), "excerpt": finding.excerpt} for finding in findings],
    }


def status(supervisor: Supervisor) -> Report:
    """The generation that serves, its plugins, and how the last reload ended."""
    generation = supervisor.current
    if generation is None:
        return {"pid": os.getpid(), "generation": None, "step": "starting"}
    composition = generation.composition
    plugins = [
        {
            "plugin": member.name,
            "version": member.installed.version,
            "state": "running" if (running := generation.running.get(member.name)) and running.is_up else "ended",
            "reason": None,
        }
        for member in composition.members
    ]
    plugins += [
        {"plugin": name, "version": None, "state": "skipped", "reason": reason}
        for name, reason in generation.unavailable.items()
    ]
    return {
        "pid": os.getpid(),
        "generation": generation.generation,
        "step": generation.step,
        "since": generation.started_at.isoformat(),
        "calls": len(generation.leases),
        "retiring": supervisor.is_retiring,
        "reload": composition.config.server.reload,
        "files": sorted(map(str, composition.config.files)),
        "plugins": plugins,
        "last_reload": outcome(supervisor.last_reload),
    }


def outcome(ended: ReloadOutcome | None) -> Report | None:
    """How a reload ended."""
    return {**asdict(ended), "ended_at": ended.ended_at.isoformat()} if ended else None
