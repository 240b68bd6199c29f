"""Ports that somebody else holds: found before anything starts, named with their holder and the remedy."""

from collections.abc import Mapping, Sequence

import psutil

from clusters.local.processes import is_free
from clusters.topology import Part, port_of
from services.kit.language import spoken


class PortsBusy(Exception):
    """Some ports are taken; the text names each, who holds it, and the variable that changes it."""


def require_free_ports(parts: Sequence[Part], env: Mapping[str, str], host: str) -> None:
    """Raises PortsBusy naming every taken port, and Unknown for a variable that holds no port."""
    ports = {part: port_of(part, env) for part in parts}
    busy = [part for part, port in ports.items() if not is_free(port, host)]
    doubled = [part for part, port in ports.items() if list(ports.values()).count(port) > 1]
    if doubled:
        listed = ", ".join(f"{part.port_variable}={ports[part]}" for part in doubled)
        raise PortsBusy(spoken(f"one port, given twice: {listed}", f"un même port, donné deux fois\u00a0: {listed}"))
    if busy:
        raise PortsBusy("\n".join(_describe(part, ports[part]) for part in busy))


def holder(port: int) -> psutil.Process | None:
    """The process that listens on a port, or whose outgoing connection happens to use it; None when nobody does or the
    system does not tell us."""
    try:
        using = [c for c in psutil.net_connections(kind="tcp") if c.pid and c.laddr[1:2] == (port,)]
        using.sort(key=lambda c: c.status != psutil.CONN_LISTEN)
        return psutil.Process(using[0].pid) if using else None
    except (psutil.Error, OSError):
        return None


def _describe(part: Part, port: int) -> str:
    found = holder(port)
    who = found and f"{found.name()} (process {found.pid})"
    free = port + 1 if port < 65_535 else port - 1
    return spoken(
        f"port {port}, meant for {part.name}, is held by {who or 'a program of another user'}. "
        f"Stop that program, or choose another port: {part.port_variable}={free} onedoor up",
        f"le port {port}, prévu pour {part.name}, est occupé par {who or 'un programme d’un autre utilisateur'}. "
        f"Arrêtez ce programme ou choisissez un autre port\u00a0: {part.port_variable}={free} onedoor up",
    )
