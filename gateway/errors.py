"""The errors that callers see: coded, in both languages, located; nothing of a subgraph's insides in them."""

import re
from collections.abc import Mapping
from typing import Any

from graphql import GraphQLError

from gateway import faults as own
from services.kit import faults
from services.kit.faults import Fault
from services.kit.language import Language
from services.kit.variables import Misfit

Json = dict[str, Any]
Headers = tuple[tuple[bytes, bytes], ...]

_CODE = re.compile(r"[A-Z][A-Z0-9_]{1,63}")
_QUOTED, _WORD = re.compile(r"'[^']*'"), re.compile(r"\w+")
_OF_SHAPE = {fault.code: fault for fault in (own.UNEXPECTED_NULL, own.UNEXPECTED_VALUE)}
_PASSED_ON = ("code", "text", "correlationId", "field", "service", "acrValues", "maxAge", "purposes", "act")


class Refused(Exception):
    """The request as a whole cannot be answered. `in_graphql`: it is well-formed GraphQL over HTTP, and was understood
    as far as being judged, so that a caller who wants application/json is told with status 200. `headers` are the
    answer's."""

    headers: Headers = ()

    challenge = b"Bearer"  # what a refusal with status 401 asks for, as the header WWW-Authenticate says it

    def __init__(self, fault: Fault, *, in_graphql: bool = False, **values: object) -> None:
        super().__init__(fault.code)
        self.fault, self.in_graphql, self.values = fault, in_graphql, values

    def errors(self, request_id: str, language: Language) -> list[Json]:
        """What the caller is told."""
        field = self.values.get("field")
        at = field if isinstance(field, str) else None
        return [faults.as_error(self.fault, request_id, self.values, language=language, field=at)]


class Invalid(Refused):
    """The operation or its variables are not valid: one error for each thing that is wrong.

    `known` is what the caller has sent, where no name of the schema may be told that is not in it.
    """

    def __init__(self, fault: Fault, problems: list[GraphQLError], known: str | None = None) -> None:
        super().__init__(fault, in_graphql=True)
        told = (p.message if known is None else discreet(p.message, known) for p in problems)
        places = (tuple((at.line, at.column) for at in p.locations or ()) for p in problems)
        self.problems = tuple(zip(told, places, strict=True))

    def errors(self, request_id: str, language: Language) -> list[Json]:
        found = []
        for message, places in self.problems:
            error = faults.as_error(self.fault, request_id, {"detail": message}, language=language)
            if places:
                error["locations"] = [{"line": line, "column": column} for line, column in places]
            found.append(error)
        return found


class Unfit(Refused):
    """Variables do not fit the operation: one error for each value that is wrong, naming it and what would fit."""

    def __init__(self, found: list[Misfit]) -> None:
        super().__init__(faults.BAD_USER_INPUT, in_graphql=True)
        self.found = found

    def errors(self, request_id: str, language: Language) -> list[Json]:
        return [misfit.as_error(request_id, language) for misfit in self.found]


def discreet(message: str, known: str) -> str:
    """A message of the GraphQL library, in which names stand in quotes, without those that are not in a text, nor advice."""
    words, (said, _, _) = set(_WORD.findall(known)), message.partition(" Did you mean")
    return _QUOTED.sub(lambda quoted: _WORD.sub(lambda w: w[0] if w[0] in words else "…", quoted[0]), said)


def of_subgraph(fault: Fault, subgraph: str, request_id: str, language: Language) -> Json:
    """A subgraph's failure to answer, without a place."""
    error = faults.as_error(fault, request_id, {"service": subgraph}, language=language)
    error["extensions"]["service"] = subgraph
    return error


def finished(error: Json, request_id: str, language: Language, *, candid: bool) -> Json:
    """An error of the merged answer as callers see it.

    A service that speaks both languages is passed on as it is; of any other only the code is, and where `candid` its words.
    """
    extensions: Mapping[str, Any] = error.get("extensions") or {}
    if extensions.get("code") == faults.SIGNATURE_REFUSED.code:  # ours was, which is nothing that a caller can mend
        name = str(extensions.get("service", "A service"))
        told: Json = of_subgraph(own.SUBGRAPH_UNAVAILABLE, name, request_id, language)
    elif _bilingual(extensions.get("text")):
        told = {"message": error["message"]}
        told["extensions"] = {name: extensions[name] for name in _PASSED_ON if name in extensions}
    elif "missing" in extensions and "service" not in extensions:  # a denial, as the owner of the data would tell it
        values = {"scope": extensions["missing"]}
        told = faults.as_error(faults.CATALOGUE[extensions["code"]], request_id, values, language=language)
    elif extensions.get("code") in _OF_SHAPE and "service" not in extensions:
        told = faults.as_error(_OF_SHAPE[extensions["code"]], request_id, language=language)
    else:
        told = of_subgraph(own.SUBGRAPH_ERROR, str(extensions.get("service", "A service")), request_id, language)
        code = extensions.get("code")
        if isinstance(code, str) and _CODE.fullmatch(code):
            told["extensions"]["code"] = code
        if candid:
            told["extensions"]["detail"] = str(error.get("message", ""))[:1000]
    if error.get("path"):
        told["path"] = error["path"]
    return told


def _bilingual(text: object) -> bool:
    return isinstance(text, dict) and all(isinstance(text.get(half), str) for half in ("en", "fr"))
