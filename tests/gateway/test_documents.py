"""Documents by their hash: trusted ones, registered ones, and what happens to everything else."""

from pathlib import Path
from urllib.parse import quote

import orjson
import pytest

from gateway.app import Gateway, application
from gateway.documents import LONGEST_REGISTERED, MOST_REGISTERED, Documents, NotFound, Trusted, hash_of, manifest
from gateway.reload import Reloader
from gateway.settings import Settings, gateway_settings
from services.kit.settings import Mode, SettingMissing
from tests.gateway.conftest import SUPERGRAPH, Answers, Door, Json, Opening, Reply

TEXT = '{ book(isbn: "1") { title } }'
BOOK = {"data": {"book": {"title": "Waves"}}}
OTHER = '{ book(isbn: "2") { title } }'


def persisted(text: str, version: object = 1) -> Json:
    return {"persistedQuery": {"version": version, "sha256Hash": hash_of(text)}}


async def send(door: Door, **body: object) -> Reply:
    return await door.send("POST", orjson.dumps(body))


class TestTrusted:
    @pytest.fixture
    def door(self, open_door: Opening) -> Door:
        return open_door(books=BOOK, documents=Documents({hash_of(TEXT): Trusted(TEXT)}, only_trusted=True))

    @pytest.mark.parametrize(
        "body",
        [
            {"documentId": hash_of(TEXT)},
            {"documentId": f"sha256:{hash_of(TEXT)}"},
            {"extensions": persisted(TEXT)},
            {"query": TEXT},
            {"query": TEXT, "extensions": persisted(TEXT)},
        ],
    )
    async def test_they_are_answered_by_hash_and_by_text(self, door: Door, body: Json) -> None:
        assert (await send(door, **body)).body == BOOK

    async def test_they_are_answered_by_get(self, door: Door) -> None:
        assert (await door.send("GET", query=f"documentId={hash_of(TEXT)}")).body == BOOK
        extensions = quote(orjson.dumps(persisted(TEXT)))
        assert (await door.send("GET", query=f"extensions={extensions}")).body == BOOK

    @pytest.mark.parametrize(
        "text", [OTHER, TEXT + " ", "{ __schema { types { name } } }", "{ not GraphQL", "# x\n" + TEXT]
    )
    async def test_nothing_else_is_even_parsed(self, door: Door, text: str) -> None:
        reply = await send(door, query=text)
        assert (reply.status, reply.codes) == (400, ["DOCUMENT_NOT_TRUSTED"])
        assert door.subgraphs.sent == []

    async def test_nothing_else_is_registered(self, door: Door) -> None:
        assert (await send(door, query=OTHER, extensions=persisted(OTHER))).codes == ["DOCUMENT_NOT_TRUSTED"]
        assert (await send(door, extensions=persisted(OTHER))).codes == ["PERSISTED_QUERY_NOT_FOUND"]


class TestRegistered:
    @pytest.fixture
    def door(self, open_door: Opening) -> Door:
        return open_door(books=BOOK)

    async def test_an_unknown_hash_is_told_in_the_protocols_word_then_learnt(self, door: Door) -> None:
        first = await send(door, extensions=persisted(TEXT))
        (error,) = first.body["errors"]
        assert (first.status, error["message"]) == (200, "PersistedQueryNotFound")
        assert error["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"
        assert error["extensions"]["text"]["fr"]
        assert (await send(door, query=TEXT, extensions=persisted(TEXT))).body == BOOK
        assert (await send(door, extensions=persisted(TEXT))).body == BOOK
        assert (await send(door, documentId=hash_of(TEXT))).body == BOOK

    async def test_an_operation_that_is_already_remembered_is_learnt_too(self, door: Door) -> None:
        await send(door, query=TEXT)
        await send(door, query=TEXT, extensions=persisted(TEXT))
        assert (await send(door, extensions=persisted(TEXT))).body == BOOK

    async def test_a_text_under_another_hash_is_refused_and_not_learnt(self, door: Door) -> None:
        reply = await send(door, query=OTHER, extensions=persisted(TEXT))
        assert (reply.status, reply.codes) == (400, ["PERSISTED_QUERY_ID_INVALID"])
        assert (await send(door, extensions=persisted(TEXT))).codes == ["PERSISTED_QUERY_NOT_FOUND"]
        assert door.subgraphs.sent == []

    async def test_what_is_not_valid_is_not_learnt(self, door: Door) -> None:
        assert (await send(door, query="{ nothing }", extensions=persisted("{ nothing }"))).status == 200
        assert (await send(door, extensions=persisted("{ nothing }"))).codes == ["PERSISTED_QUERY_NOT_FOUND"]

    @pytest.mark.parametrize(
        "body",
        [
            {"extensions": persisted(TEXT, version=2)},
            {"extensions": {"persistedQuery": "x"}},
            {"extensions": {"persistedQuery": {"version": 1}}},
            {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "ABC"}}},
            {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": 7}}},
            {"documentId": "../../etc/passwd"},
            {"documentId": ["x"]},
            {"documentId": hash_of(TEXT), "query": TEXT},
        ],
    )
    async def test_a_name_that_is_none_is_refused(self, door: Door, body: Json) -> None:
        reply = await send(door, **body)
        assert (reply.status, reply.codes) == (400, ["PERSISTED_QUERY_ID_INVALID"])

    def test_the_store_is_bounded_and_keeps_what_was_used_last(self) -> None:
        documents = Documents({}, only_trusted=False)
        texts = [f"{{ a{i}: __typename }}" for i in range(MOST_REGISTERED + 1)]
        for text in texts:
            documents.register(hash_of(text), text)
        with pytest.raises(NotFound):
            documents.text(hash_of(texts[0]), "")
        assert documents.text(hash_of(texts[-1]), "") == texts[-1]

    def test_a_long_text_is_not_kept(self) -> None:
        documents, text = Documents({}, only_trusted=False), "#" * (LONGEST_REGISTERED + 1)
        documents.register(hash_of(text), text)
        with pytest.raises(NotFound):
            documents.text(hash_of(text), "")


class TestTheManifest:
    def test_only_trusted_ones_without_any_is_refused_by_name(self) -> None:
        with pytest.raises(SettingMissing, match="TRUSTED_DOCUMENTS is not set"):
            gateway_settings({"SUPERGRAPH": "x", "TRUSTED_DOCUMENTS_ONLY": "1"})

    def test_a_gateway_starts_on_the_committed_one(self) -> None:
        path = Path(__file__).parents[2] / "contracts" / "trusted-documents.json"
        settings = Settings(SUPERGRAPH, Mode.TEST, trusted_documents=path, only_trusted_documents=True)
        documents = Gateway(settings).documents
        for operation in path.parent.glob("operations/*.graphql"):
            text = operation.read_text(encoding="utf-8")
            assert documents.text(hash_of(text), "") == text

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            ("{", "is not JSON"),
            ("[]", "must be an object"),
            ('{"abc": "{ a }"}', "under abc"),
            ('{"abc": 1}', "under abc"),
            ('{"abc": {"text": "{ a }"}}', "under abc"),
            ('{"abc": {"text": "{ a }", "purposes": []}}', "another SHA-256"),
            (
                f'{{"{hash_of("{ a }")}": {{"text": "{{ a }}", "purposes": ["fun"]}}}}',
                "purposes that there are not: .'fun'",
            ),
        ],
    )
    def test_one_that_is_wrong_is_refused_by_name(self, tmp_path: Path, content: str, told: str) -> None:
        path = tmp_path / "manifest.json"
        path.write_text(content)
        with pytest.raises(ValueError, match=told):
            manifest(path)


class TestAChangedManifest:
    async def test_counts_from_the_next_reload_on_and_a_bad_one_changes_nothing(self, tmp_path: Path) -> None:
        path, supergraph = tmp_path / "manifest.json", tmp_path / "supergraph.graphql"
        supergraph.write_bytes(SUPERGRAPH.read_bytes())
        first, second = "{ __typename }", "{ again: __typename }"
        path.write_bytes(orjson.dumps({hash_of(first): first}))
        settings = Settings(supergraph, Mode.TEST, trusted_documents=path, only_trusted_documents=True)
        gateway = Gateway(settings)
        reloader = Reloader(gateway, supergraph)
        door = Door(application(gateway), Answers({}), settings)
        assert (await send(door, query=first)).status == 200
        assert await reloader.reload() == "unchanged"

        path.write_bytes(orjson.dumps({hash_of(second): second}))
        assert await reloader.reload() == "loaded"
        assert (await send(door, query=second)).body == {"data": {"again": "Query"}}
        assert (await send(door, query=first)).codes == ["DOCUMENT_NOT_TRUSTED"]

        path.write_text("{")
        assert await reloader.reload() == "refused"
        assert (await send(door, query=second)).status == 200
