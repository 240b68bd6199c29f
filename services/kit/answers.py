"""What a result, a refusal or a failure is as JSON: errors coded, in the request's language, with nothing internal in them."""

from typing import Any

import structlog
from graphql import ExecutionResult, GraphQLError

from services.kit import faults, logs
from services.kit.database import is_unavailable
from services.kit.feed import LaggedBehind

_LOG = structlog.get_logger(__name__)


class Refused(Exception):
    """The request as a whole cannot be answered."""

    def __init__(self, fault: faults.Fault, **values: object) -> None:
        super().__init__(fault.code)
        self.fault, self.values = fault, values


class Invalid(Exception):
    """The operation is not valid GraphQL for this schema."""

    def __init__(self, errors: tuple[dict[str, Any], ...]) -> None:
        super().__init__("invalid operation")
        self.errors = errors


def refusal_of(problem: Exception) -> tuple[int, dict[str, Any]]:
    """The status and the answer of a request that failed as a whole."""
    if isinstance(problem, Invalid):
        return 400, {"errors": list(problem.errors)}
    if isinstance(problem, RecursionError) or "Recursion limit" in str(
        problem
    ):  # the latter is orjson's, as a TypeError
        problem = Refused(faults.OPERATION_TOO_DEEP)
    if isinstance(problem, faults.Faulted):
        problem = Refused(problem.fault, **problem.values)
    elif is_unavailable(problem):
        _LOG.warning("database_unavailable", reason=type(problem).__name__)
        problem = Refused(faults.UNAVAILABLE)
    if not isinstance(problem, Refused):
        _LOG.error("fault", exc_info=problem)
        problem = Refused(faults.INTERNAL)
    return problem.fault.status, {"errors": [faults.as_error(problem.fault, logs.request_id.get(), problem.values)]}


def answer_of(result: ExecutionResult) -> dict[str, Any]:
    """The JSON of a result: data as computed, errors coded, in the request's language, nothing internal in them."""
    answer: dict[str, Any] = {}
    if result.errors:
        answer["errors"] = [error_of(error, None) for error in result.errors]
        if result.data is None and not any(error.path for error in result.errors):
            return answer  # refused before execution: there is no data at all
    answer["data"] = result.data
    return answer


def error_of(error: GraphQLError, fault: faults.Fault | None) -> dict[str, Any]:
    """A GraphQL error as callers see it. What nobody expected is logged whole and told as INTERNAL_FAULT, or as
    SERVICE_UNAVAILABLE where trying again is likely to help."""
    request_id = logs.request_id.get()
    original = error.original_error
    while isinstance(original, GraphQLError) and original.original_error is not None:
        original = original.original_error
    if isinstance(original, faults.Faulted):
        formed = faults.as_error(original.fault, request_id, original.values, field=original.field)
    elif fault is not None:
        formed = faults.as_error(fault, request_id, {"detail": error.message})
    elif error.path is None:
        formed = faults.as_error(faults.VALUE_REFUSED, request_id, {"detail": error.message})
    elif is_unavailable(original):
        _LOG.warning("database_unavailable", path=error.path, reason=type(original).__name__)
        formed = faults.as_error(faults.UNAVAILABLE, request_id)
    else:
        cause = original or error
        _LOG.error("fault", path=error.path, exc_info=(type(cause), cause, cause.__traceback__))
        formed = faults.as_error(faults.INTERNAL, request_id)
    if error.locations:
        formed["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    if error.path:
        formed["path"] = error.path
    return formed


def failed(problem: Exception, what: str) -> ExecutionResult:
    """The result of an operation that failed as a whole, for a reason that is no value of the caller's; `what` is logged."""
    if not isinstance(problem, faults.Faulted):
        if is_unavailable(problem) or isinstance(problem, LaggedBehind):
            _LOG.warning(what, reason=type(problem).__name__)
            problem = faults.Faulted(faults.UNAVAILABLE)
        else:
            _LOG.error(what, exc_info=problem)
            problem = faults.Faulted(faults.INTERNAL)
    return ExecutionResult(None, [GraphQLError(problem.fault.code, original_error=problem)])
