# syntax=docker/dockerfile:1
# One image for the gateway, the services and the simulator: the command says which of them a container is. Target `load`
# adds Locust. Layers go from what changes least to what changes most; dependencies are what uv.lock says, nothing newer.

FROM python:3.11-slim-bookworm AS base
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app

FROM base AS build
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore uv==0.13.9
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
COPY pyproject.toml uv.lock ./
RUN --mount=type=cache,target=/root/.cache/uv uv sync --locked --no-default-groups --no-install-project
COPY README.md ./
COPY contracts contracts
COPY gateway gateway
COPY services services
COPY clusters clusters
RUN --mount=type=cache,target=/root/.cache/uv uv sync --locked --no-default-groups

# The engine, compiled as it stands (docs/decisions/0020). The compiler stays in this stage.
FROM build AS compiled
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
RUN --mount=type=cache,target=/root/.cache/uv uv sync --locked --no-default-groups --group compile
RUN python -m gateway.compiling /app && mkdir /made && cp --parents *.so gateway/engine/*.so /made

FROM build AS build-load
RUN --mount=type=cache,target=/root/.cache/uv uv sync --locked --no-default-groups --group load
COPY loadtests loadtests

FROM base AS unprivileged
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent onedoor

# Owned by root, run by somebody who may change nothing in it.
FROM unprivileged AS load
RUN install --directory --owner=onedoor reports
COPY --from=build-load /app /app
USER 10001
ENV MPLCONFIGDIR=/tmp
CMD ["locust", "--locustfile=loadtests/locustfile.py", "--headless"]

FROM unprivileged AS runtime
RUN install --directory --owner=onedoor --mode=700 /credentials
COPY --from=build /app /app
COPY --from=compiled /made /app
USER 10001
CMD ["python", "-m", "gateway"]
