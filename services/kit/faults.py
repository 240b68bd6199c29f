"""Faults: what went wrong outside the rules, as a stable code and a generic sentence in both languages.

A fault reaches the caller with a correlation id and never with a stack, SQL or an address. Expected refusals are not
faults: they are members of a mutation's result (see `refusals`). Gateway and services share this catalogue.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from services.kit.language import Language, Words, request_language


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault: its code, the HTTP status when the whole request fails, its words, and what else its error says."""

    code: str
    status: int
    words: Words
    extensions: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}), hash=False)


def _fault(code: str, status: int, en: str, fr: str) -> Fault:
    return Fault(code, status, Words(en, fr))


PARSE_FAILED = _fault(
    "GRAPHQL_PARSE_FAILED",
    400,
    "The operation is not well-formed GraphQL: {detail}",
    "L’opération n’est pas du GraphQL bien formé; extensions.detail précise, en anglais, à quel endroit.",
)
VALIDATION_FAILED = _fault(
    "GRAPHQL_VALIDATION_FAILED",
    400,
    "The operation does not fit the schema: {detail}",
    "L’opération ne correspond pas au schéma; extensions.detail précise, en anglais, en quoi.",
)
BAD_USER_INPUT = _fault(
    "BAD_USER_INPUT",
    400,
    "A value cannot be accepted: {detail_en}",
    "Une valeur ne peut pas être acceptée : {detail_fr}",
)
VALUE_REFUSED = _fault(
    "BAD_USER_INPUT",
    400,
    "A value does not fit the operation: {detail}",
    "Une valeur ne convient pas à l’opération; extensions.detail précise, en anglais, laquelle.",
)
BAD_REQUEST = _fault(
    "BAD_REQUEST",
    400,
    "The request cannot be read: {detail_en}",
    "La requête est illisible : {detail_fr}",
)
UNKNOWN_OPERATION = _fault(
    "OPERATION_RESOLUTION_FAILURE",
    400,
    "The request does not say which operation to run, or names one that is not in it. Set operationName.",
    "La requête ne dit pas quelle opération exécuter, ou en nomme une absente. Précisez operationName.",
)
UNAUTHENTICATED = _fault(
    "UNAUTHENTICATED",
    401,
    "Sign in to do this: no valid access token came with the request.",
    "Ouvrez une session pour continuer : la requête ne porte aucun jeton d’accès valide.",
)
SIGNATURE_REFUSED = _fault(
    "SIGNATURE_REFUSED",
    401,
    "This service answers calls that its gateway has signed, each once, and this is none. Ask the gateway.",
    "Ce service répond aux appels que sa passerelle a signés, une fois chacun; celui-ci n’en est pas. Adressez-vous à elle.",
)
SESSION_ENDED = _fault(
    "SESSION_ENDED",
    401,
    "Your session has ended. Sign in again to continue.",
    "Votre session a pris fin. Ouvrez-en une nouvelle pour continuer.",
)
FORBIDDEN = _fault(
    "FORBIDDEN",
    403,
    "You may not do this. The right that is missing: {scope}.",
    "Vous n’y êtes pas autorisé. Le droit qui manque : {scope}.",
)
SECOND_FACTOR, FRESH_S = "2", 300
STEP_UP_REQUIRED = Fault(
    "STEP_UP_REQUIRED",
    401,
    Words(
        "Confirm that it is you: sign in again with your second factor. It counts for five minutes.",
        "Confirmez votre identité : ouvrez de nouveau une session avec votre second facteur. Il vaut pour cinq minutes.",
    ),
    MappingProxyType({"acrValues": SECOND_FACTOR, "maxAge": FRESH_S}),
)
PURPOSE_REQUIRED = _fault(
    "PURPOSE_REQUIRED",
    403,
    "Somebody else’s data are had for a purpose only, and none was chosen. Send one in Onedoor-Purpose. Would do: {would_do_en}.",
    "Les données d’une autre personne ne s’obtiennent qu’à une fin, et aucune n’a été choisie. Indiquez-en une dans "
    "Onedoor-Purpose. Conviendraient : {would_do_fr}.",
)
PURPOSE_NOT_COVERING = _fault(
    "PURPOSE_NOT_COVERING",
    403,
    "The purpose {purpose} does not cover this: your role, these data, or who gets them. Would do: {would_do_en}.",
    "La fin {purpose} ne couvre pas cela : votre rôle, ces données ou leurs destinataires. Conviendraient : {would_do_fr}.",
)
CASE_REQUIRED = _fault(
    "CASE_REQUIRED",
    400,
    "The purpose {purpose} needs the number of the case (4 to 40 letters, digits or . / -, one of them a digit) and a reason in "
    'words (10 to 200 characters): {purpose}; case="…"; reason="…". What is missing or unreadable: {lacking}.',
    "La fin {purpose} demande le numéro du dossier (de 4 à 40 lettres, chiffres ou . / -, dont un chiffre) et une raison en "
    'toutes lettres (de 10 à 200 caractères) : {purpose}; case="…"; reason="…". Ce qui manque ou est illisible : {lacking}.',
)
# One for every reason: nobody learns which grants there are.
AUTHORITY_REFUSED = _fault(
    "AUTHORITY_REFUSED",
    403,
    "You cannot act on this authority: it is not yours, it does not hold now, or it does not cover this.",
    "Vous ne pouvez pas agir en vertu de cette autorisation : elle n’est pas à vous, elle n’est pas en vigueur ou elle ne couvre "
    "pas ceci.",
)
CONSENT_REQUIRED = _fault(
    "CONSENT_REQUIRED",
    403,
    "This purpose needs the consent of each person whose data these are, for these data and your office; not all have given it.",
    "Cette fin demande le consentement de chaque personne dont ce sont les données, pour ces données et votre service; toutes ne "
    "l’ont pas donné.",
)
AUTHORITY_UNAVAILABLE = _fault(
    "AUTHORITY_UNAVAILABLE",
    424,  # no 5xx: the service itself is well, and a gateway must go on asking it
    "Nobody can act for somebody else at the moment: whether the authority still holds cannot be known. Try again in a little "
    "while; what you do for yourself goes on.",
    "Personne ne peut agir au nom d’autrui pour le moment : impossible de savoir si l’autorisation tient encore. Réessayez dans "
    "un instant; ce que vous faites pour vous-même se poursuit.",
)
CITIZEN_CODE_REQUIRED = _fault(
    "CITIZEN_CODE_REQUIRED",
    403,
    "This takes the person’s own agreement. A code for exactly this is sent to them, where they have an address for it: enter it "
    "with confirmAct and the act named here, then do the same again.",
    "Ceci exige l’accord de la personne elle-même. Un code pour cet acte précis lui est envoyé, si elle a une adresse à cette "
    "fin : saisissez-le avec confirmAct et l’acte nommé ici, puis recommencez à l’identique.",
)
NOT_FOUND = _fault("NOT_FOUND", 404, "There is nothing at this address.", "Il n’y a rien à cette adresse.")
METHOD_NOT_ALLOWED = _fault(
    "METHOD_NOT_ALLOWED",
    405,
    "This method is not allowed here. Use POST; GET is for queries only.",
    "Cette méthode n’est pas permise ici. Utilisez POST; GET ne sert qu’aux lectures.",
)
PAYLOAD_TOO_LARGE = _fault(
    "PAYLOAD_TOO_LARGE",
    413,
    "The request is larger than {limit} bytes. Send less at a time.",
    "La requête dépasse {limit} octets. Envoyez-en moins à la fois.",
)
UNSUPPORTED_MEDIA_TYPE = _fault(
    "UNSUPPORTED_MEDIA_TYPE",
    415,
    "Send the request as application/json in UTF-8.",
    "Envoyez la requête en application/json, encodée en UTF-8.",
)
OPERATION_TOO_LARGE = _fault(
    "OPERATION_TOO_LARGE",
    400,
    "The operation is over a limit: {limit}. Ask for less at a time.",
    "L’opération dépasse une limite : {limit}. Demandez-en moins à la fois.",
)
OPERATION_TOO_DEEP = _fault(
    "OPERATION_TOO_LARGE",
    400,
    "The operation or its answer is nested too deeply. Ask for less at a time.",
    "L’opération ou sa réponse est imbriquée trop profondément. Demandez-en moins à la fois.",
)
REQUIRED_FIELD_MISSING = _fault(
    "REQUIRED_FIELD_MISSING",
    424,
    "This cannot be told without {required}, which is missing or not yours to see.",
    "Impossible de répondre sans {required}, qui manque ou ne vous est pas accessible.",
)
DEADLINE_EXCEEDED = _fault(
    "DEADLINE_EXCEEDED",
    504,
    "The answer took too long. Nothing more will happen; you may try again.",
    "La réponse a trop tardé. Rien d’autre ne se produira; vous pouvez réessayer.",
)
SUBSCRIBER_TOO_SLOW = _fault(
    "SUBSCRIBER_TOO_SLOW",
    408,
    "Events were not taken as fast as they came, so the subscription has ended. Read the state anew, then subscribe again.",
    "Les événements n’ont pas été pris assez vite; l’abonnement a donc pris fin. Relisez l’état, puis abonnez-vous de nouveau.",
)
UNAVAILABLE = _fault(
    "SERVICE_UNAVAILABLE",
    503,
    "This service cannot answer at the moment. Try again in a little while.",
    "Ce service ne peut pas répondre pour le moment. Réessayez dans un instant.",
)
INTERNAL = _fault(
    "INTERNAL_FAULT",
    500,
    "Something failed on our side. If it happens again, tell us this number: {correlation_id}",
    "Un problème est survenu de notre côté. S’il se répète, donnez-nous ce numéro : {correlation_id}",
)


# Of several with one code the first, whose words are the general ones.
CATALOGUE: Mapping[str, Fault] = MappingProxyType(
    {f.code: f for f in reversed(list(vars().values())) if isinstance(f, Fault)}
)


class Faulted(Exception):
    """Raised to end a field or a request with a fault; `values` fill the words' placeholders."""

    def __init__(self, fault: Fault, field: str | None = None, **values: object) -> None:
        super().__init__(fault.code)
        self.fault = fault
        self.field = field
        self.values = values

    @property
    def words(self) -> Words:
        """The sentence in both languages, placeholders filled."""
        return self.fault.words.filled(**self.values)


def as_error(
    fault: Fault,
    correlation_id: str,
    values: Mapping[str, object] = MappingProxyType({}),
    *,
    language: Language | None = None,
    field: str | None = None,
) -> dict[str, Any]:
    """A GraphQL error without location: message in the request's language, code and both languages in extensions.

    `detail` among the values is what the GraphQL library says of a document, for developers and in English only; it is
    given by itself too, so that the French words need not quote it. `purposes` are those that would do, `act` what was
    refused, for programs.
    """
    words = fault.words.filled(**{"correlation_id": correlation_id, **values})
    extensions: dict[str, Any] = {
        "code": fault.code,
        "text": {"en": words.en, "fr": words.fr},
        "correlationId": correlation_id,
        **fault.extensions,
    }
    if field is not None:
        extensions["field"] = field
    extensions |= {name: values[name] for name in ("detail", "purposes", "act") if name in values}
    return {"message": words.of(language or request_language.get()), "extensions": extensions}
