"""Purposes speak of roles, categories and services that there are, and each role that sees others' data has one for them."""

from clusters.access import access
from clusters.personal_data import personal_data
from clusters.rights import ALLOWED, rights
from services.kit.purposes import purposes
from tests.architecture.test_layout import SERVICES


class TestEveryPurpose:
    def test_speaks_of_what_there_is(self) -> None:
        for purpose in purposes().values():
            assert purpose.roles <= access().roles.keys(), purpose.code
            assert purpose.categories <= personal_data().categories.keys(), purpose.code
            assert purpose.recipients <= set(SERVICES), purpose.code
            assert purpose.kind in ("", "delegation", "assisted"), purpose.code
            assert purpose.retention_days > purpose.disclosure_delay_days, purpose.code


class TestEveryRight:
    def test_to_others_data_has_a_purpose(self) -> None:
        """A role that may see foreign data of a category, and no purpose for it, could use its right in no way."""
        lacking = [
            f"{row} × {role}"
            for row in rights().values()
            if row.personal and row.public is None
            for role in access().roles
            if role != "citizen" and row.outcomes.get("foreign", {}).get(role) == ALLOWED
            if not any(p.is_for([role], "") and p.covers([row.personal], []) for p in purposes().values())
        ]
        assert lacking == []
