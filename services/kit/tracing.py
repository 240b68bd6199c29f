"""Traces: one trace from the gateway through the services to their SQL. Off unless an endpoint is named.

The gateway uses this too: what makes spans of a database's statements is `database.Database.trace`.
"""

import os
from collections.abc import Mapping


def configure(service: str, env: Mapping[str, str] = os.environ) -> bool:
    """Export spans to OTEL_EXPORTER_OTLP_ENDPOINT when it is set. Returns whether it does."""
    if not env.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return False
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return True
