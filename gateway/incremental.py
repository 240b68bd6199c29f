"""The forms of an answer in parts, as clients that understand @defer ask for them by `Accept`.

`multipart/mixed;deferSpec=20220824` is Apollo's (specs.apollo.dev/incremental/v0.1): a part holds a whole fragment, found by
path and label. `multipart/mixed;incrementalSpec=v0.2` is the draft's of 2025 (specs.apollo.dev/incremental/v0.2, graphql-js 17):
fragments are announced under an id, no field is sent twice. A client that names neither of the two gets the draft's.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any

from gateway.engine.delivery import Fragment, Part

Json = dict[str, Any]
Finish = Callable[[list[Json]], list[Json]]
MULTIPART = b"multipart/mixed"
DELIMITER = b"\r\n---"


class Form(Enum):
    """How parts are told. The value is the Content-Type of the answer."""

    SPEC_2022 = MULTIPART + b'; boundary="-"; deferSpec=20220824'
    DRAFT = MULTIPART + b'; boundary="-"; incrementalSpec=v0.2'

    def framed(self, body: bytes, *, first: bool, last: bool) -> bytes:
        """A part as it goes over the wire. Its end is told with it, so that no client waits for the next to read it."""
        head = b"\r\ncontent-type: application/json; charset=utf-8\r\n\r\n"
        return (DELIMITER if first else b"") + head + body + DELIMITER + (b"--\r\n" if last else b"")


def accepted(accept: bytes) -> Form | None:
    """The form that an Accept header asks for, wherever in it: the first of the highest weight. None when there is none."""
    best, found = 0.0, None
    for item in accept[:1000].split(b","):
        media_type, *parameters = (part.strip() for part in item.split(b";"))
        given = {n.strip().lower(): v.strip(b' "') for n, _, v in (p.partition(b"=") for p in parameters)}
        weight = _weight(given.pop(b"q", b"1"))
        if media_type.lower() == MULTIPART and weight > best:
            if given.get(b"deferspec") == b"20220824":
                best, found = weight, Form.SPEC_2022
            elif given.get(b"incrementalspec", b"v0.2") == b"v0.2" and not given.keys() & {
                b"deferspec",
                b"subscriptionspec",
            }:
                best, found = weight, Form.DRAFT
    return found


def _weight(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def told(part: Part, form: Form, finish: Finish) -> Json:
    """A part as JSON values; an only one looks like any answer. `finish` makes of errors what callers see."""
    body: Json = {}
    if part.first:
        body["data"] = part.data
        if part.errors:
            body["errors"] = finish(part.errors)
        if part.last:
            return body
    body |= _repeating(part, finish) if form is Form.SPEC_2022 else _draft(part, finish)
    body["hasNext"] = not part.last
    return body


def _draft(part: Part, finish: Finish) -> Json:
    found = {
        "pending": [{"id": f.id, "path": list(f.path), **_label(f)} for f in part.pending],
        "incremental": [
            {
                "id": fragment.id,
                **({"subPath": list(below)} if (below := group.path[len(fragment.path) :]) else {}),
                "data": group.data,
                **({"errors": finish(group.errors)} if group.errors else {}),
            }
            for fragment, group in part.groups
        ],
        "completed": [
            {"id": fragment.id, **({"errors": finish(lost.errors)} if lost else {})}
            for fragment, lost in part.completed
        ],
    }
    return {name: value for name, value in found.items() if value}


def _repeating(part: Part, finish: Finish) -> Json:
    ended = [(fragment, group) for fragment, group in part.groups]
    ended += [(fragment, lost) for fragment, lost in part.completed if lost is not None]
    found = [
        {
            **_label(fragment),
            "path": list(fragment.path),
            "data": group.data,
            **({"errors": finish(group.errors)} if group.errors else {}),
        }
        for fragment, group in ended
    ]
    return {"incremental": found} if found else {}


def _label(fragment: Fragment) -> Json:
    return {} if fragment.label is None else {"label": fragment.label}
