"""Operations that ask for too much or for what is not to be told: refused whole, and no service hears of them."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from graphql import build_schema, parse, print_schema, validate

from clusters.local.processes import free_port
from tests.journeys.hostile import SCHEMA, judged
from tests.stack.attacks.conftest import Target

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("attacks")]
NAMES = sorted(
    {name for declared in SCHEMA.type_map.values() if hasattr(declared, "fields") for name in declared.fields}
)


def aliased(field: str, times: int) -> str:
    return "{" + " ".join(f"a{n}: {field}" for n in range(times)) + "}"


def fetched(target: Target) -> float:
    """How many requests the door has sent to services since it started."""
    text = target.http.get(target.url.replace("/graphql", "/metrics")).text
    lines = (line for line in text.splitlines() if line.startswith("onedoor_subgraph_fetches_total"))
    return sum(float(line.rpartition(" ")[2]) for line in lines)


class TestTooMuch:
    @pytest.mark.parametrize(
        "text",
        [
            aliased("clusters { code }", 101),
            aliased("clusters { code }", 31),
            "{ clusters " + "@skip(if: false) " * 10 + "{ code } }",
            "{ clusters " + "@include(if: true) " * 10 + "{ code } }",
            "{" + "clusters { ministries {" * 20 + "code" + "} }" * 20 + "}",
            "{ clusters { " + "code " * 11_000 + "} }",
            "query { ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
            "{ inspectedPremises(first: 2147483647) { edges { cursor } } }",
            aliased("inspectedPremises(first: 5000) { edges { node { id } } }", 30),
        ],
        ids=["aliases", "root fields", "skips", "includes", "depth", "tokens", "circle", "first", "cost"],
    )
    def test_is_refused_before_any_service_is_asked(self, target: Target, text: str) -> None:
        before = fetched(target)
        answer = target.ask(text)
        assert judged(answer).told_no
        assert fetched(target) == before

    def test_as_an_array_is_refused(self, target: Target) -> None:
        before = fetched(target)
        answer = target.http.post(target.url, json=[{"query": "{ clusters { code } }"}] * 3)
        assert judged(answer, "en").codes == ["BATCH_REFUSED"]
        assert fetched(target) == before


class TestBatchingByAlias:
    def test_of_a_check_is_counted_as_often_as_it_is_asked(self, target: Target) -> None:
        """Sixty names in a minute, however they are packed: two requests of thirty, and not a third."""
        token = target.token("citizen", sub="somebody-who-guesses-names")

        def guess(first: int) -> tuple[int, dict[str, str]]:
            names = (
                f'a{n}: nameCheck(name: "Guess {n}", legalType: SOLE_PROPRIETORSHIP) {{ outcome }}'
                for n in range(first, first + 30)
            )
            answer = target.http.post(
                target.url, json={"query": "{" + " ".join(names) + "}"}, headers=target.shown(token)
            )
            return answer.status_code, dict(answer.headers)

        before = fetched(target)
        assert [guess(0)[0], guess(30)[0]] == [200, 200]
        asked = fetched(target)
        status, headers = guess(60)
        assert (status, headers.get("ratelimit-policy")) == (429, '"Query.nameCheck";q=60;w=60')
        assert 0 < int(headers["retry-after"]) <= 60
        assert asked > before
        assert fetched(target) == asked

    def test_of_reservations_is_counted_likewise(self, target: Target) -> None:
        token = target.token("owner", sub="somebody-who-hoards-names")
        one = 'reserveName(input: {name: "Hoard %d", legalType: SOLE_PROPRIETORSHIP, idempotencyKey: "h%d"}) { __typename }'
        text = "mutation {" + " ".join(f"a{n}: {one % (n, n)}" for n in range(21)) + "}"
        answer = target.http.post(target.url, json={"query": text}, headers=target.shown(token))
        assert len(answer.json()["errors"]) == 1, answer.text[:600]
        (error,) = answer.json()["errors"]
        assert error["extensions"]["limit"] == {"name": "times", "most": 20, "found": 21}


class TestTheSchema:
    @pytest.mark.parametrize(
        "text",
        [
            "{ __schema { types { name } } }",
            '{ __type(name: "Query") { fields { name } } }',
            "query IntrospectionQuery { __schema { queryType { name } directives { name args { name } } } }",
            "{ ... on Query { a: __schema { description } } }",
            "{ _service { sdl } }",
            "{ _entities(representations: []) { __typename } }",
        ],
    )
    def test_is_not_told(self, target: Target, text: str) -> None:
        answer = target.ask(text)
        assert judged(answer).codes == ["GRAPHQL_VALIDATION_FAILED"] * len(answer.json()["errors"])
        assert answer.json().get("data") is None

    def test_nor_is_there_a_page_to_explore_it(self, target: Target) -> None:
        for path in ("/graphql", "/", "/graphiql", "/playground", "/docs", "/openapi.json", "/redoc"):
            answer = target.http.get(target.url.replace("/graphql", path), headers={"accept": "text/html"})
            assert answer.status_code >= 400
            assert "<html" not in answer.text.lower()

    def test_is_not_to_be_had_from_suggestions(self, target: Target, tmp_path: Path) -> None:
        """clairvoyance, given words a letter off every name of the schema, recovers names from an ordinary server by its
        suggestions, and from the door none but those that it sent."""
        words = {name[:-1] if len(name) > 5 else f"{name}z" for name in NAMES} - set(NAMES)
        from_door = asyncio.run(recovered(target.url, words, tmp_path / "door"))
        assert (from_door - words) & set(NAMES) == set()
        from_other = asyncio.run(beside_an_ordinary_server(words, tmp_path / "other"))
        assert len((from_other - words) & set(NAMES)) > 20


async def recovered(url: str, words: set[str], place: Path) -> set[str]:
    """Names in the schema that clairvoyance makes out at an address."""
    listed, found = place.with_suffix(".txt"), place.with_suffix(".json")
    listed.write_text("\n".join(sorted(words)))
    process = await asyncio.create_subprocess_exec(
        *(".venv/bin/clairvoyance", "-w", str(listed), "-o", str(found), "-c", "8", "-m", "3", url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(240):
        said, _ = await process.communicate()
    if not found.exists():
        assert b"Unable to get TypeRef for" in said, said.decode()[
            -2_000:
        ]  # it knows of no field what it is, and gives up
        return set()
    schema: dict[str, Any] = json.loads(found.read_text())["data"]["__schema"]
    fields = [one for declared in schema["types"] for one in declared.get("fields") or ()]
    return {one["name"] for one in fields} | {argument["name"] for one in fields for argument in one["args"]}


async def beside_an_ordinary_server(words: set[str], place: Path) -> set[str]:
    """The same against a server that validates our schema as the GraphQL library does by default."""
    schema, port = build_schema(print_schema(SCHEMA)), free_port()

    async def ordinary(scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while (message := await receive()).get("more_body") or not body:
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        problems = validate(schema, parse(json.loads(body)["query"]), max_errors=1_000)
        told = {
            "data": {"__typename": "Query"},
            **({"errors": [{"message": p.message} for p in problems]} if problems else {}),
        }
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": json.dumps(told).encode()})

    server = uvicorn.Server(uvicorn.Config(ordinary, port=port, log_config=None, lifespan="off"))
    serving = asyncio.ensure_future(server._serve())
    try:
        return await recovered(f"http://127.0.0.1:{port}/graphql", words, place)
    finally:
        server.should_exit = True
        await serving
