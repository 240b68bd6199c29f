"""The load test: users and the chosen shape, and at its end the verdict that sets the exit code.

SHAPE=smoke|everyday|monday_morning|surge; ONEDOOR_URL and ISSUER_URL say where the door and the issuer are.
"""

import logging
import os
from typing import Any

from locust import LoadTestShape, events
from locust.env import Environment

from loadtests import picture, promises, verdict
from loadtests.shapes import stages
from loadtests.users import TASKS_PER_USER_S, BusinessOwner, Citizen, Inspector, Officer, Visitor

__all__ = ["BusinessOwner", "Citizen", "Inspector", "Officer", "Shape"]

LOG = logging.getLogger("loadtests")
PROMISES = promises.read()
STAGES = stages(os.environ.get("SHAPE", "smoke"), PROMISES)
Visitor.host = os.environ.get("ONEDOOR_URL", Visitor.host)


class Shape(LoadTestShape):
    """Turns the stages' rates into numbers of users."""

    def tick(self) -> tuple[int, float] | None:
        now = self.get_run_time()
        stage = next((s for s in STAGES if now < s.until_s), None)
        if stage is None:
            return None
        users = max(1, round(stage.rate / TASKS_PER_USER_S))
        return users, max(1.0, users / 2)


@events.init.add_listener
def watch_the_generator(environment: Environment, **_: Any) -> None:
    """Keep the highest processor share that the generator, or any worker of it, reported."""
    environment.generator_cpu_percent = 0.0  # type: ignore[attr-defined] # the run's own note, read at the end

    @events.cpu_warning.add_listener
    def note(cpu_usage: float = 0.0, **_: Any) -> None:
        environment.generator_cpu_percent = max(environment.generator_cpu_percent, cpu_usage)  # type: ignore[attr-defined]


@events.quitting.add_listener
def judge(environment: Environment, **_: Any) -> None:
    """Print the verdict, draw the picture, set the exit code. Workers leave that to their master."""
    if environment.parsed_options and environment.parsed_options.worker:
        return
    measured = [
        verdict.Measured(e.name, e.num_requests, e.num_failures, float(e.get_response_time_percentile(0.95) or 0))
        for e in environment.stats.entries.values()
    ]
    outcome = verdict.judge(measured, environment.generator_cpu_percent, PROMISES)  # type: ignore[attr-defined]
    for reason in outcome.reasons:
        LOG.error(reason)
    LOG.info("verdict: %s", verdict.WORDS[outcome.exit_code])
    if prefix := os.environ.get("REPORT"):
        picture.draw(environment.stats.history, f"{prefix}.png", os.environ.get("SHAPE", "smoke"))
    environment.process_exit_code = outcome.exit_code
