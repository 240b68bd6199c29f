"""Accounts: profiles, channels, letters, who may act for whom and what services are told of it. Importing it declares it all."""

from services.accounts import (
    agreements,
    assisted,
    channels,
    consents,
    delegating,
    delegations,
    firms,
    inquiries,
    looking,
    person,
    revisions,
    security,
    seeds,
    succession,
)
from services.accounts.delivery import delivery, sender
from services.accounts.leasing import leasing
from services.accounts.mailing import Postman
from services.accounts.models import service
from services.kit import ministries
from services.kit.database import Database
from services.kit.language import spoken
from services.kit.service import StartRefused

__all__ = [
    "agreements",
    "assisted",
    "channels",
    "consents",
    "delegating",
    "delegations",
    "firms",
    "inquiries",
    "looking",
    "person",
    "revisions",
    "security",
    "seeds",
    "service",
    "succession",
]


@service.check
def mail_settings() -> None:
    """Raises StartRefused where the settings of mail cannot be meant."""
    delivery()


@service.check
def who_answers() -> None:
    """Raises StartRefused where the cluster files cannot be read, which say whose each service is."""
    try:
        ministries.owners()
    except (OSError, ValueError, KeyError) as problem:
        raise StartRefused(
            spoken(
                f"CLUSTERS_DIR: who owns which service cannot be read ({problem!r}); the catalogue’s start says what to mend",
                f"CLUSTERS_DIR\u00a0: impossible de lire à qui est chaque service ({problem!r})\u00a0; le démarrage du catalogue "
                "dit quoi corriger",
            )
        ) from None


@service.work
async def deliver(database: Database) -> None:
    """Send letters, where it is said how; elsewhere they wait."""
    send = delivery()
    if send is not None:
        await Postman(database, sender(), send).run()


@service.work
async def answer_leases(database: Database) -> None:
    """Tell the instances of all services of grants, where there is a key to sign with; elsewhere nobody acts for anybody."""
    answering = leasing(database)
    if answering is not None:
        await answering.run()
