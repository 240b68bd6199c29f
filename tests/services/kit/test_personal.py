"""`@personalData`: printed where a field or type is marked, and carried out of the subgraph."""

from dataclasses import dataclass
from typing import Annotated

from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from services.kit.personal import personal
from services.kit.service import Service, field


def sdl() -> str:
    service = Service("clubs")

    class Row(SQLModel, registry=registry()):
        """The base of this service's tables."""

    @service.entity(key="id", personal="membership")
    class Member(Row, table=True):
        """A member."""

        id: str = Field(primary_key=True)
        mail: Annotated[str | None, personal("contact")] = Field(default=None, max_length=80)

        @field(personal="health")
        def allergies(self) -> list[str]:
            """What must not be in the cake."""
            return []

    @service.object_type(personal="contact")
    @dataclass
    class Club:
        """A club."""

        title: Annotated[str, personal("identity", public=True)]
        size: int

    @service.query(personal="membership")
    async def mine() -> Club | None:
        """The caller's club."""

    assert Row.metadata.tables["member"].c.mail.type.length == 80  # type: ignore[attr-defined] # a mark takes nothing from it
    return service.sdl()


class TestAMark:
    def test_stands_beside_what_it_marks(self) -> None:
        lines = [line.strip() for line in sdl().splitlines() if '@personalData(category: "' in line]
        assert lines == [
            'type Club @personalData(category: "contact") {',
            'title: String! @personalData(category: "identity", public: true)',
            'type Member @key(fields: "id", resolvable: true) @personalData(category: "membership") {',
            'mail: String @personalData(category: "contact")',
            'allergies: [String!]! @personalData(category: "health")',
            'mine: Club @personalData(category: "membership")',
        ]

    def test_is_told_to_the_supergraph(self) -> None:
        head = sdl().partition("query:")[0]
        assert '@composeDirective(name: "@personalData")' in head
        assert '@link(url: "https://onedoor.example/specs/personalData/v1.0", import: ["@personalData"])' in head
