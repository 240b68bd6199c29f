"""The load test: users and the chosen shape, and at its end the verdict that sets the exit code.

SHAPE=smoke|everyday|monday_morning|surge; ONEDOOR_URL and ISSUER_URL say where the door and the issuer are.
"""

import logging
import os
from typing import Any

from locust import LoadTestShape, events
from locust.env import Environment

from loadtests import picture, promises, verdict
from loadtests.users import TASKS_PER_USER_S, BusinessOwner, Citizen, Inspector, Officer, Visitor

__all__ = ["BusinessOwner", "Citizen", "Inspector", "Officer", "Shape"]

FASTEST_CHANGE = 100.0  # users per second that come or go; Locust warns above
LOG = logging.getLogger("loadtests")
PROMISES = promises.read()
SHAPE = os.environ.get("SHAPE", "smoke")
STAGES = PROMISES.stages(SHAPE)
Visitor.host = os.environ.get("ONEDOOR_URL", Visitor.host)


class Shape(LoadTestShape):
    """Turns the stages' rates into numbers of users."""

    def tick(self) -> tuple[int, float] | None:
        now = self.get_run_time()
        stage = next((s for s in STAGES if now < s.until_s), None)
        if stage is None:
            return None
        users = max(1, round(stage.rate / TASKS_PER_USER_S))
        change = abs(users - self.get_current_user_count())
        return users, max(1.0, min(change / 2, FASTEST_CHANGE))


@events.init.add_listener
def watch_the_generator(environment: Environment, **_: Any) -> None:
    """Keep the highest processor share that the generator, or any worker of it, has had."""
    environment.generator_cpu_percent = 0.0  # type: ignore[attr-defined] # the run's own note, read at the end

    def note(cpu_usage: float, **_: Any) -> None:
        environment.generator_cpu_percent = max(environment.generator_cpu_percent, cpu_usage)  # type: ignore[attr-defined]

    def report(data: dict[str, Any], **_: Any) -> None:
        data["generator_cpu_percent"] = environment.generator_cpu_percent  # type: ignore[attr-defined]

    def hear(data: dict[str, Any], **_: Any) -> None:
        note(data["generator_cpu_percent"])

    events.usage_monitor.add_listener(note)
    events.report_to_master.add_listener(report)
    events.worker_report.add_listener(hear)


@events.quitting.add_listener
def judge(environment: Environment, **_: Any) -> None:
    """Print the verdict, draw the picture, set the exit code. Workers leave that to their master."""
    if environment.parsed_options and environment.parsed_options.worker:
        return
    measured = [
        verdict.Measured(e.name, e.num_requests, e.num_failures, float(e.get_response_time_percentile(0.95) or 0))
        for e in environment.stats.entries.values()
    ]
    raised = environment.runner.exceptions.values() if environment.runner else ()
    if broken_off := sum(
        one["count"] for one in raised
    ):  # a sign-in that is refused, most likely: no request was counted
        measured.append(verdict.Measured("a task that broke off", broken_off, broken_off, 0.0))
    busiest = environment.generator_cpu_percent  # type: ignore[attr-defined]
    outcome = verdict.judge(measured, busiest, PROMISES)
    for reason in outcome.reasons:
        LOG.error(reason)
    LOG.info("verdict: %s; the generator used at most %.0f%% of a processor", verdict.WORDS[outcome.exit_code], busiest)
    if prefix := os.environ.get("REPORT"):
        title = f"{SHAPE}: {verdict.WORDS[outcome.exit_code]}"
        picture.draw(environment.stats.history, f"{prefix}.png", title, STAGES, PROMISES.latency_ms["default"])
    environment.process_exit_code = outcome.exit_code
