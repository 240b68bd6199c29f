"""`onedoor up` and `onedoor down`: one run of local mode from the first check to the last process gone."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from clusters import credentials
from clusters.local import display, state
from clusters.local.folder import Folder, FolderUnusable, explain, locate, prepare
from clusters.local.launch import FORKED, Launcher, load_stack
from clusters.local.ports import PortsBusy, holder, require_free_ports
from clusters.local.processes import StartFailed, last_words
from clusters.local.supervisor import Child, Status, Supervisor
from clusters.topology import SERVICES, Kind, Part, chosen, given_elsewhere, port_of
from services.kit.language import spoken

STARTING_STEP_S = 0.05
WATCHING_STEP_S = 0.25
DETACHED_PATIENCE_S = 180
LEFTOVER_PATIENCE_S = 15  # how long parts of a killed run may take to let go of their ports
DOWN_PATIENCE_S = 60


def up(asked: Path | None, only: Sequence[str], env: Mapping[str, str] = os.environ) -> int:
    """Run a province until a signal ends it. Returns the exit code.

    Raises FolderUnusable, PortsBusy, Unknown, StartFailed and AlreadyRunning, each with a message for a person.
    """
    parts = chosen(only)
    folder = locate(asked)
    if found := state.running(folder.path):
        already(found)
        return 0
    notes = prepare(folder)
    left = state.read(folder)  # by a run that was killed
    with state.held_lock(folder):
        screen = display.screen()
        try:
            for note in notes:
                screen.say(note)
            return _run(_supervisor(folder, parts, env, screen, left), screen)
        except OSError as problem:
            raise StartFailed(explain(problem, folder.path)) from problem
        finally:
            screen.close()


def up_detached(asked: Path | None, only: Sequence[str]) -> int:
    """Start a province that outlives this terminal; returns when it is ready, 1 if some part is not.

    Raises StartFailed with the end of its log when it ends instead.
    """
    folder = locate(asked)
    if found := state.running(folder.path):
        already(found)
        return 0
    for note in prepare(folder):
        print(note)  # noqa: T201
    log = folder.log("onedoor")
    command = [sys.executable, "-m", "clusters", "up", "--data", str(asked or folder.path), *_only(only)]
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own program
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        found = _await_ready(process, folder)
    except KeyboardInterrupt:
        process.send_signal(signal.SIGTERM)
        process.wait()
        raise
    if found is None:
        words = log.read_text(errors="replace").strip() if process.poll() is not None else last_words(log)
        raise StartFailed(words)
    print(display.summary(found))  # noqa: T201 - what the command is for
    return 0


def down(asked: Path | None) -> bool:
    """End the province that runs on the data folder, from whichever terminal. Returns whether there was one.

    Raises FolderUnusable where another user runs it.
    """
    found = state.running(locate(asked).path)
    if found is None:
        return False
    try:
        process = psutil.Process(found.pid)
        process.terminate()
        process.wait(DOWN_PATIENCE_S)
    except psutil.NoSuchProcess:
        return True  # it ended while we looked
    except psutil.TimeoutExpired:
        process.kill()  # its children end with it
    except psutil.AccessDenied as denied:
        raise FolderUnusable(
            spoken(
                f"another user runs One Door here (process {found.pid}); only they can end it",
                f"quelqu’un d’autre fait tourner One Door ici (processus {found.pid})\u00a0; c’est à eux de l’arrêter",
            )
        ) from denied
    return True


def already(found: state.State) -> None:
    """Say that a province runs already, and where."""
    print(  # noqa: T201
        spoken(
            f"One Door runs already here (process {found.pid}); `onedoor down` ends it.",
            f"One Door tourne déjà ici (processus {found.pid})\u00a0; `onedoor down` l’arrête.",
        )
    )
    print(display.summary(found))  # noqa: T201


def _supervisor(
    folder: Folder, parts: Sequence[Part], env: Mapping[str, str], screen: display.Screen, left: state.State | None
) -> Supervisor:
    credentials.prepare(folder.credentials, [service.name for service in SERVICES])
    host = env.get("HOST") or "127.0.0.1"
    addresses = {part.name: f"127.0.0.1:{port_of(part, env)}" for part in (*parts, *chosen(()))}
    launcher = Launcher(folder, addresses.__getitem__, host, env)
    elsewhere = given_elsewhere(env)
    children = [
        Child(part, _elsewhere_address(part, env), Status.ELSEWHERE)
        if part.name in elsewhere
        else Child(part, addresses[part.name])
        for part in parts
    ]
    own = [child.part for child in children if child.status is not Status.ELSEWHERE]
    _require_free_ports(own, env, host, left)
    variables: dict[str, str] = {}
    for part in chosen(()):
        variables |= launcher.variables(part)
    for own_only in ("HOST", "PORT", "NATS_SEED_FILE"):
        variables.pop(own_only, None)
    variables["GATEWAY_URL"] = f"http://{addresses['gateway']}/graphql"
    variables["PROGRAMS_URL"] = f"http://{addresses['programs']}"
    return Supervisor(folder, children, launcher, screen.say, variables)


def _require_free_ports(parts: Sequence[Part], env: Mapping[str, str], host: str, left: state.State | None) -> None:
    """A run that was killed may hold its ports for another moment, while its parts end: then wait a little."""
    deadline = time.monotonic() + LEFTOVER_PATIENCE_S
    while True:
        try:
            return require_free_ports(parts, env, host)
        except PortsBusy:
            if time.monotonic() >= deadline or left is None or not _is_ending(left, parts, env):
                raise
            time.sleep(0.2)  # between two looks at the ports


def _is_ending(left: state.State, parts: Sequence[Part], env: Mapping[str, str]) -> bool:
    """Whether a busy port is held by a part of the run that was killed, or by nobody any more."""
    of_that_run = {part.pid for part in left.parts}
    holders = (holder(port_of(part, env)) for part in parts)
    return any(process is None or process.pid in of_that_run for process in holders)


def _run(supervisor: Supervisor, screen: display.Screen) -> int:
    needs_stack = any(c.part.kind in FORKED and c.status is not Status.ELSEWHERE for c in supervisor.children)
    stack = load_stack() if needs_stack else iter(())
    is_announced = False
    with supervisor.signals():
        try:
            while not supervisor.is_stopping:
                supervisor.step()
                if not supervisor.is_stack_loaded:
                    supervisor.is_stack_loaded = next(stack, None) is None
                elif supervisor.is_ready and not is_announced:
                    is_announced = True
                    _announce(supervisor, screen)
                else:
                    screen.show(supervisor.seen().parts)
                    time.sleep(WATCHING_STEP_S if supervisor.is_ready else STARTING_STEP_S)
            screen.say(spoken("stopping…", "arrêt…"))
        finally:
            supervisor.stop()
    screen.say(spoken("One Door is closed.", "One Door est fermé."))
    return 0


def _announce(supervisor: Supervisor, screen: display.Screen) -> None:
    """Say that everything is ready, ask the first query, and say how long both took since the command was typed."""
    ready_s = time.time() - psutil.Process().create_time()
    screen.say("")
    screen.say(display.summary(supervisor.seen()))
    screen.say("")
    gateway = next((c for c in supervisor.children if c.part.kind is Kind.GATEWAY), None)
    answered = gateway is not None and first_query(gateway.address)
    answered_s = time.time() - psutil.Process().create_time()
    en, fr = f"ready after {ready_s:.1f} s", f"prêt après {ready_s:.1f} s".replace(".", ",")
    if gateway is not None:
        en += f"; first query answered after {answered_s:.1f} s" if answered else "; the first query failed"
        fr += (
            f"\u00a0; première requête servie après {answered_s:.1f} s".replace(".", ",")
            if answered
            else ("\u00a0; la première requête a échoué")
        )
    screen.say(spoken(en, fr))


def first_query(gateway: str) -> bool:
    """Whether the gateway answers the query of the summary, without errors."""
    connection = http.client.HTTPConnection(gateway, timeout=10)
    try:
        body = json.dumps({"query": display.QUERY})
        connection.request("POST", "/graphql", body, {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        return bool(answer.get("data")) and not answer.get("errors")
    except (OSError, ValueError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _await_ready(process: subprocess.Popen[bytes], folder: Folder) -> state.State | None:
    """The province's state once it is ready; None when it ended or took too long."""
    deadline = time.monotonic() + DETACHED_PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        found = state.running(folder.path)
        if found is not None and found.is_ready:
            return found
        time.sleep(0.1)  # between two looks at the state
    return None


def _elsewhere_address(part: Part, env: Mapping[str, str]) -> str:
    """Where a part given by a variable is, without user and password."""
    variables = {
        Kind.DATABASE: SERVICES[0].database_variable,
        Kind.BROKER: "NATS_URL",
        Kind.ISSUER: "ISSUER_URL",
    }
    url = urlsplit(env.get(variables.get(part.kind, part.subgraph_variable), ""))
    return f"{url.hostname or '?'}:{url.port or ''}".rstrip(":")


def _only(names: Sequence[str]) -> list[str]:
    return [word for name in names for word in ("--only", name)]
