"""What the registry refuses, each with its remedy."""

from services.kit.refusals import Refusal


class NameTaken(
    Refusal,
    field="name",
    en="“{name}” is identical to “{held}”, a name that is already held. Choose another name.",
    fr="« {name} » est identique à « {held} », un nom déjà détenu. Choisissez un autre nom.",
):
    """A corporation or a live reservation holds an identical name. Source: O. Reg. 402/09 (identical names)."""


class NameRestricted(
    Refusal,
    field="name",
    en="“{name}” holds a restricted word. {explanation_en}",
    fr="« {name} » contient un mot réglementé. {explanation_fr}",
):
    """A word needs a consent that this application does not carry."""


class NameMalformed(
    Refusal,
    field="name",
    en="The name cannot be registered as it is written. {explanation_en}",
    fr="Le nom ne peut être enregistré tel qu’il est écrit. {explanation_fr}",
):
    """The name breaks a rule of form."""


class SimilarNames(
    Refusal,
    field="acknowledgeSimilarNames",
    en="“{name}” is similar to “{held}”. Choose another name, or confirm that you have seen the similar names and bear the risk.",
    fr="« {name} » ressemble à « {held} ». Choisissez un autre nom, ou confirmez que vous avez vu les noms semblables et "
    "assumez le risque.",
):
    """A similar name is no obstacle once the applicant has acknowledged it."""


class NameMissing(
    Refusal,
    field="name",
    en="A business of this type needs a name. Give one, or choose a numbered corporation.",
    fr="Une entreprise de ce type a besoin d’un nom. Donnez-en un, ou choisissez une société à dénomination numérique.",
):
    """Only a numbered corporation has its name from the registry."""


class NameNotChosen(
    Refusal,
    field="name",
    en="A numbered corporation is named by the registry. Leave the name out, or choose a named corporation.",
    fr="Le registre donne son nom à une société à dénomination numérique. Omettez le nom, ou choisissez une société nommée.",
):
    """A numbered corporation came with a name."""


class PartnersMissing(
    Refusal,
    field="partners",
    en="A general partnership has at least two partners. Name them all.",
    fr="Une société en nom collectif compte au moins deux associés. Nommez-les tous.",
):
    """Source: Partnerships Act, R.S.O. 1990, c. P.5, s. 2."""


class PartnersNotAsked(
    Refusal,
    field="partners",
    en="Only a general partnership has partners. Leave them out, or choose a general partnership.",
    fr="Seule une société en nom collectif a des associés. Omettez-les, ou choisissez une société en nom collectif.",
):
    """Partners came with another legal type."""


class UnknownSector(
    Refusal,
    field="sector",
    en="{sector} is no sector. Give the two digits of a NAICS Canada sector, such as 72 for accommodation and food.",
    fr="{sector} n’est pas un secteur. Donnez les deux chiffres d’un secteur du SCIAN Canada, comme 72 pour "
    "l’hébergement et la restauration.",
):
    """Source: NAICS Canada 2022, two-digit sectors."""


class NotInOntario(
    Refusal,
    field="address.postalCode",
    en="{postal_code} is no postal code of Ontario. One begins with K, L, M, N or P, such as M5V 2T6.",
    fr="{postal_code} n’est pas un code postal de l’Ontario. Il commence par K, L, M, N ou P, comme M5V 2T6.",
):
    """The place of business is in Ontario. Source: Canada Post, first characters of postal codes."""


class ApplicationUnknown(
    Refusal,
    field="applicationId",
    en="You have no application with this identifier. Look in your applications.",
    fr="Vous n’avez aucune demande portant cet identifiant. Consultez vos demandes.",
):
    """The same answer whether it does not exist or is someone else's."""


class NotADraft(
    Refusal,
    field="applicationId",
    en="This application is {status_en} and can no longer be changed. Begin a new one.",
    fr="Cette demande est {status_fr} et ne peut plus être modifiée. Commencez-en une nouvelle.",
):
    """Only a draft can be revised, submitted or withdrawn."""


class BusinessUnknown(
    Refusal,
    field="businessNumber",
    en="You have no business with this number. Look among your businesses.",
    fr="Vous n’avez aucune entreprise portant ce numéro. Consultez vos entreprises.",
):
    """The same answer whether it does not exist or is someone else's."""


class AddressUnchanged(
    Refusal,
    field="address",
    en="The business is at this address already. Nothing was changed.",
    fr="L’entreprise est déjà à cette adresse. Rien n’a été modifié.",
):
    """Nothing would be announced."""


class EndsWithItsOwners(
    Refusal,
    field="businessNumber",
    en="A sole proprietorship or a partnership ends with its owners and cannot be handed over. Have whoever carries it on "
    "register a business of their own; a corporation can be handed over.",
    fr="Une entreprise individuelle ou une société en nom collectif prend fin avec ses propriétaires et ne se cède pas. La "
    "personne qui prend la relève inscrit sa propre entreprise; une société par actions peut être cédée.",
):
    """An individual or partners register the name under which they themselves carry on business; a corporation goes on under
    other people, and gives notice of the change within 15 days. Sources: Business Names Act, R.S.O. 1990, c. B.17, s. 2;
    Corporations Information Act, R.S.O. 1990, c. C.39, s. 4."""


class TransferOpen(
    Refusal,
    field="businessNumber",
    en="This business is offered to somebody already. Give them the code, or withdraw that offer first.",
    fr="Cette entreprise est déjà offerte à quelqu’un. Donnez-lui le code, ou retirez d’abord cette offre.",
):
    """One open offer a business."""


class TransferUnknown(
    Refusal,
    field="transferId",
    en="You have made no offer with this identifier. Look in your transfers.",
    fr="Vous n’avez fait aucune offre portant cet identifiant. Consultez vos cessions.",
):
    """The same answer whether it does not exist or is someone else's."""


class TransferOver(
    Refusal,
    field="transferId",
    en="This is over already: the business was taken over, or the offer was withdrawn or has lapsed. Nothing remains to be done.",
    fr="C’est déjà terminé : l’entreprise a été reprise, ou l’offre a été retirée ou a expiré. Il ne reste rien à faire.",
):
    """What is over stays so."""


class TooManyReservations(
    Refusal,
    en="You hold {most} reserved names, the most that one person may hold. Use one of them or let it end.",
    fr="Vous détenez {most} noms réservés, le maximum par personne. Utilisez-en un ou laissez-le prendre fin.",
):
    """Nobody hoards names."""
