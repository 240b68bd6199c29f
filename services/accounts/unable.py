"""What delegating refuses, each with its remedy."""

from services.kit.refusals import Refusal


class ScopeNotYours(
    Refusal,
    field="scopes",
    en="{scope} is nothing that you can let others do. You can choose from: {scopes}.",
    fr="{scope} n’est rien que vous puissiez confier. Vous pouvez choisir parmi : {scopes}.",
):
    """A person lends what a citizen may do; never an office’s powers, nor the account itself."""


class NoPeriod(
    Refusal,
    field="ends",
    en="A delegation ends after it begins, in the future, and within two years. Choose another day.",
    fr="Une délégation prend fin après son début, dans l’avenir et dans les deux ans. Choisissez un autre jour.",
):
    """What is given for ever is forgotten."""


class TooManyOffers(
    Refusal,
    en="You have {most} open offers, the most that one person may have. Withdraw one first.",
    fr="Vous avez {most} offres ouvertes, le maximum par personne. Retirez-en une d’abord.",
):
    """Nobody’s mailbox is filled from here."""


class ParentUnknown(
    Refusal,
    field="passesOn",
    en="You hold no delegation in force with this identifier. Look in your account.",
    fr="Vous ne détenez aucune délégation en vigueur portant cet identifiant. Consultez votre compte.",
):
    """The same answer whether it does not exist, is over or is someone else’s."""


class NoPassingOn(
    Refusal,
    field="passesOn",
    en="This delegation may not be passed on, or not further. Ask the person to offer it themselves.",
    fr="Cette délégation ne peut pas être transmise, ou pas davantage. Demandez à la personne de l’offrir elle-même.",
):
    """One step, and only where the person said so."""


class WiderThanParent(
    Refusal,
    field="scopes",
    en="You can pass on only what you were given: no other scope or business, not longer. Choose less.",
    fr="Vous ne pouvez transmettre que ce qui vous a été confié : aucun autre droit, pas plus longtemps. Choisissez moins.",
):
    """Nobody gives more than they have."""


class DelegationUnknown(
    Refusal,
    field="delegationId",
    en="No delegation with this identifier is yours to end or to renew. Look in your account.",
    fr="Aucune délégation portant cet identifiant n’est à vous. Consultez votre compte.",
):
    """The same answer whether it does not exist or is someone else’s."""


class DelegationOver(
    Refusal,
    field="delegationId",
    en="This is over already: it was answered, withdrawn, revoked or has ended. Nothing remains to be done.",
    fr="C’est déjà terminé : une réponse a été donnée, ou il y a eu retrait, révocation ou fin. Il ne reste rien à faire.",
):
    """What is over stays so."""


class OfferChanged(
    Refusal,
    field="version",
    en="The offer has changed since you saw it. Look again, then renew it.",
    fr="L’offre a changé depuis que vous l’avez vue. Consultez-la de nouveau, puis renouvelez-la.",
):
    """Two windows of one person do not undo each other’s work."""
