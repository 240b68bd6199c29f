"""The tables agree with their migration, and the operations that others use agree with the schema."""

from pathlib import Path

import pytest
from graphql import DocumentNode, FieldNode, OperationDefinitionNode, parse

from services.inspections.service import service
from services.kit import migrate
from services.kit.database import engine as engine_of
from services.kit.testing.database import Template, app_url

OPERATIONS = sorted((Path(__file__).parents[3] / "contracts" / "operations").glob("Inspections*.graphql"))


def root_fields(document: DocumentNode) -> set[str]:
    """The fields at the top of a document's operations."""
    return {
        selection.name.value
        for operation in document.definitions
        if isinstance(operation, OperationDefinitionNode)
        for selection in operation.selection_set.selections
        if isinstance(selection, FieldNode)
    }


class TestTheMigration:
    async def test_makes_the_tables_that_the_code_has(self, postgres_url: str, template_name: Template) -> None:
        engine = engine_of(app_url(postgres_url, template_name))
        try:
            async with engine.connect() as connection:
                assert await connection.run_sync(migrate.differences, service.name) == []
        finally:
            await engine.dispose()


class TestOperations:
    @pytest.mark.parametrize("path", OPERATIONS, ids=lambda path: path.stem)
    def test_each_is_named_like_its_file(self, path: Path) -> None:
        (operation,) = parse(path.read_text()).definitions
        assert isinstance(operation, OperationDefinitionNode)
        assert operation.name is not None
        assert operation.name.value == path.stem

    def test_every_mutation_has_one(self) -> None:
        used = set[str]().union(*(root_fields(parse(path.read_text())) for path in OPERATIONS))
        mutations = service.schema.mutation_type
        assert mutations is not None
        assert set(mutations.fields) <= used
