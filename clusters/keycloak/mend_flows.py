"""Mends sign-in flows in place: they are in use while it happens, and a flow that lost its steps lets nobody in."""

from typing import Any

from clusters.keycloak.state import Json
from clusters.keycloak.work import Work


def flow(work: Work) -> None:
    """Give a flow its steps. A flow inside another comes and goes with the step that it is."""
    if work.wanted is None:
        if work.found and work.found["topLevel"]:
            work.admin.delete_authentication_flow(_flow_id(work))
        return
    if work.found is None:
        if not work.wanted["topLevel"]:
            return
        plain = {key: value for key, value in work.wanted.items() if key != "steps"}
        work.admin.create_authentication_flow({"alias": work.name, **plain})
    held = _steps(work)
    if [_does(step) for step in held] != [(step["does"], step["flow"]) for step in work.wanted["steps"]]:
        for step in held:
            work.call("delete", f"authentication/executions/{step['id']}")
        for step in work.wanted["steps"]:
            _add(work, step)
        held = _steps(work)
    for step, wanted in zip(held, work.wanted["steps"], strict=True):
        _set(work, step, wanted)


def _flow_id(work: Work) -> str:
    return next(str(f["id"]) for f in work.admin.get_authentication_flows() if f["alias"] == work.name)


def _steps(work: Work) -> list[Json]:
    """The flow's own steps in order, without those of flows inside."""
    return [step for step in work.admin.get_authentication_flow_executions(work.name) if step["level"] == 0]


def _does(step: Json) -> tuple[str, bool]:
    inside = bool(step.get("authenticationFlow"))
    return (step["displayName"] if inside else step["providerId"]), inside


def _add(work: Work, step: Json) -> None:
    if not step["flow"]:
        work.admin.create_authentication_flow_execution({"provider": step["does"]}, work.name)
        return
    inside = work.expected["flow", step["does"]]
    made: dict[str, Any] = {"alias": step["does"], "type": inside["providerId"], "provider": "registration-page-form"}
    work.admin.create_authentication_flow_subflow({**made, "description": inside.get("description", "")}, work.name)


def _set(work: Work, step: Json, wanted: Json) -> None:
    if step["requirement"] != wanted["requirement"]:
        changed = {**step, "requirement": wanted["requirement"]}
        work.admin.update_authentication_flow_executions(changed, work.name)
    config, held = wanted.get("config"), step.get("authenticationConfig")
    if config is None:
        if held:
            work.admin.delete_authenticator_config(held)
        return
    body = {"alias": config["alias"], "config": {k: v for k, v in config.items() if k != "alias"}}
    if held:
        work.admin.update_authenticator_config({"id": held, **body}, held)
    else:
        work.admin.create_execution_config(step["id"], body)
