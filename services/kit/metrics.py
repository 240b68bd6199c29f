"""What a process counts, in Prometheus' terms. Labels are bounded: operation and event names, never what a caller sent."""

from prometheus_client import Counter, Gauge, Histogram

# kind: query, mutation, subscription, or none where no operation was understood. outcome: ok, errors (some field failed),
# refused (the request as a whole).
REQUESTS = Counter("onedoor_requests", "GraphQL requests answered", ("kind", "outcome"))
DURATION = Histogram(
    "onedoor_request_seconds",
    "Time to answer a GraphQL request",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
EVENTS_SENT = Counter("onedoor_events_sent", "Events published from the outbox", ("type",))
EVENTS_HANDLED = Counter("onedoor_events_handled", "Events handled from the inbox", ("type",))
DEAD_LETTERS = Counter("onedoor_dead_letters", "Events that rest as dead letters: look at them", ("type",))
OUTBOX_LAG = Gauge("onedoor_outbox_waiting", "Events that wait in the outbox")
SEALED = Counter("onedoor_audit_sealed", "Audit entries sealed")
