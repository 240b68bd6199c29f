"""The faults that only a gateway can have, in the form of the shared catalogue; never an address or a stack in one."""

from services.kit.faults import Fault
from services.kit.language import Words


def _fault(code: str, status: int, en: str, fr: str) -> Fault:
    return Fault(code, status, Words(en, fr))


SUBGRAPH_UNAVAILABLE = _fault(
    "SUBGRAPH_UNAVAILABLE",
    503,
    "{service} cannot be reached at the moment; the rest is answered. Try again in a little while.",
    "{service} est injoignable pour le moment; le reste est répondu. Réessayez dans un instant.",
)
SUBGRAPH_OVERLOADED = _fault(
    "SUBGRAPH_OVERLOADED",
    503,
    "Too many requests wait for {service}; the rest is answered. Try again in a little while.",
    "Trop de requêtes attendent {service}; le reste est répondu. Réessayez dans un instant.",
)
SUBGRAPH_MALFORMED = _fault(
    "SUBGRAPH_MALFORMED",
    502,
    "{service} gave an answer that cannot be read; the rest is answered.",
    "{service} a donné une réponse illisible; le reste est répondu.",
)
SUBGRAPH_TOO_LARGE = _fault(
    "SUBGRAPH_TOO_LARGE",
    502,
    "{service} gave an answer that is too large; the rest is answered. Ask for less at a time.",
    "{service} a donné une réponse trop volumineuse; le reste est répondu. Demandez-en moins à la fois.",
)
SUBGRAPH_DEADLINE = _fault(
    "DEADLINE_EXCEEDED",
    504,
    "{service} took too long; the rest is answered. Try again in a little while.",
    "{service} a trop tardé; le reste est répondu. Réessayez dans un instant.",
)
SUBGRAPH_ERROR = _fault(
    "SUBGRAPH_ERROR",
    502,
    "{service} could not answer this part.",
    "{service} n’a pas pu répondre à cette partie.",
)
UNEXPECTED_NULL = _fault(
    "UNEXPECTED_NULL",
    502,
    "A value that must be there is missing, so what holds it is left out.",
    "Une valeur obligatoire manque; ce qui la contient est donc omis.",
)
UNEXPECTED_VALUE = _fault(
    "UNEXPECTED_VALUE",
    502,
    "A service gave a value that this field does not admit, so it is left out.",
    "Un service a donné une valeur que ce champ n’admet pas; elle est donc omise.",
)
NO_PLAN = _fault(
    "NO_RESOLVABLE_PATH",
    400,
    "No service, alone or with others, can answer this operation: {detail}",
    "Aucun service, seul ou avec d’autres, ne peut répondre à cette opération : {detail}",
)
OPERATION_TOO_LARGE = _fault(
    "OPERATION_TOO_LARGE",
    400,
    "The operation is over a limit: {detail_en}. Ask for less at a time.",
    "L’opération dépasse une limite : {detail_fr}. Demandez-en moins à la fois.",
)
ONE_SLICING_ARGUMENT = _fault(
    "BAD_USER_INPUT",
    400,
    "{field} takes exactly one of its arguments {names}, so that its answer has a bound; {found} were given.",
    "{field} prend un seul de ses arguments {names}, pour que sa réponse soit bornée; {found} ont été donnés.",
)
STREAM_REFUSED = _fault(
    "STREAM_NOT_SUPPORTED",
    400,
    "The directive @stream is not supported: a list comes whole. Take it away, ask for a page at a time (first, after), or "
    "defer the fragment around the list by @defer.",
    "La directive @stream n’est pas prise en charge : une liste vient entière. Retirez-la, demandez une page à la fois (first, "
    "after), ou différez par @defer le fragment qui entoure la liste.",
)
DOCUMENT_NOT_FOUND = _fault(
    "PERSISTED_QUERY_NOT_FOUND",
    200,
    "The document of this hash is not known here. Send it once with its text.",
    "Le document de cette empreinte est inconnu ici. Envoyez-le une fois avec son texte.",
)
DOCUMENT_MISNAMED = _fault(
    "PERSISTED_QUERY_ID_INVALID",
    400,
    "The document’s name must be the SHA-256 of its text, given once: as documentId without the text, or as "
    "extensions.persistedQuery of version 1.",
    "Le nom du document doit être le SHA-256 de son texte, donné une fois : en documentId sans le texte, ou en "
    "extensions.persistedQuery de version 1.",
)
DOCUMENT_NOT_TRUSTED = _fault(
    "DOCUMENT_NOT_TRUSTED",
    400,
    "Only registered operations are answered here. Ask the operator to add yours to the trusted documents.",
    "Seules les opérations enregistrées reçoivent ici une réponse. Demandez que la vôtre soit ajoutée aux documents fiables.",
)
CROSS_SITE_REFUSED = _fault(
    "CROSS_SITE_REFUSED",
    403,
    "A page of another site could have sent this. Send it as POST in the form application/json, or with a header "
    "Apollo-Require-Preflight.",
    "La page d’un autre site aurait pu envoyer ceci. Envoyez-le par POST sous la forme application/json, ou avec un en-tête "
    "Apollo-Require-Preflight.",
)
UPLOADS_REFUSED = _fault(
    "UPLOADS_REFUSED",
    415,
    "Files cannot be sent in a GraphQL request here. Send the operation as application/json.",
    "Une requête GraphQL ne peut pas porter de fichiers ici. Envoyez l’opération en application/json.",
)
BATCH_REFUSED = _fault(
    "BATCH_REFUSED",
    400,
    "Send one operation at a time: arrays of operations are not accepted.",
    "Envoyez une opération à la fois : les tableaux d’opérations ne sont pas acceptés.",
)
NOT_ACCEPTABLE = _fault(
    "NOT_ACCEPTABLE",
    406,
    "The answer can be application/graphql-response+json or application/json; Accept allows neither.",
    "La réponse peut être application/graphql-response+json ou application/json; Accept n’en permet aucune.",
)
SUBSCRIPTION_NEEDS_STREAM = _fault(
    "SUBSCRIPTION_NEEDS_STREAM",
    406,
    "A subscription is answered as a stream: send Accept: text/event-stream, or use a WebSocket with graphql-transport-ws.",
    "Un abonnement reçoit un flux en réponse : envoyez Accept: text/event-stream, ou ouvrez un WebSocket "
    "en graphql-transport-ws.",
)
TOO_MANY_SUBSCRIPTIONS = _fault(
    "TOO_MANY_SUBSCRIPTIONS",
    503,
    "As many subscriptions are open as this gateway takes. Try again in a little while.",
    "Cette passerelle ne prend pas plus d’abonnements pour le moment. Réessayez dans un instant.",
)
TOO_MANY_OPERATIONS = _fault(
    "TOO_MANY_OPERATIONS",
    429,
    "At most {limit} operations may run on one WebSocket at a time. Complete one of them, or open another socket.",
    "Au plus {limit} opérations à la fois sur un même WebSocket. Terminez-en une, ou ouvrez un autre WebSocket.",
)
RATE_LIMITED = _fault(
    "RATE_LIMITED",
    429,
    "Too much was asked in a short time. Wait {seconds} s, then try again; smaller operations cost less.",
    "Trop a été demandé en peu de temps. Attendez {seconds} s, puis réessayez; de plus petites opérations coûtent moins.",
)
FIELD_RATE_LIMITED = _fault(
    "RATE_LIMITED",
    429,
    "{field} may be asked {times} times in {period} s. Wait {seconds} s, then try again.",
    "{field} peut être demandé {times} fois en {period} s. Attendez {seconds} s, puis réessayez.",
)
TOO_MANY_SOCKETS = _fault(
    "TOO_MANY_SOCKETS",
    503,
    "This gateway takes no further WebSocket now. Try again in a little while, or send the operation as POST.",
    "Cette passerelle n’accepte plus de WebSocket pour le moment. Réessayez dans un instant, ou envoyez l’opération par POST.",
)
SUBSCRIPTION_TOO_LONG = _fault(
    "SUBSCRIPTION_TOO_LONG",
    408,
    "A subscription lasts at most {minutes} minutes. Read the state anew, then subscribe again.",
    "Un abonnement dure au plus {minutes} minutes. Relisez l’état, puis abonnez-vous de nouveau.",
)
ORIGIN_REFUSED = _fault(
    "ORIGIN_REFUSED",
    403,
    "Pages of this origin may not open a WebSocket here. Ask the operator to add it to CORS_ORIGINS.",
    "Les pages de cette origine ne peuvent pas ouvrir de WebSocket ici. Demandez qu’elle soit ajoutée à CORS_ORIGINS.",
)
DPOP_REQUIRED = _fault(
    "DPOP_REQUIRED",
    401,
    "Only a token that is bound to a key is taken here. Get one by DPoP (RFC 9449), and send it with a proof.",
    "Seul un jeton lié à une clé est accepté ici. Obtenez-en un par DPoP (RFC 9449), et envoyez-le avec une preuve.",
)
PROOF_REFUSED = _fault(
    "INVALID_DPOP_PROOF",
    401,
    "The proof in the header DPoP does not hold: {detail_en}. Make a new one for each request.",
    "La preuve de l’en-tête DPoP ne tient pas : {detail_fr}. Faites-en une nouvelle à chaque requête.",
)
LOGOUT_REFUSED = _fault(
    "LOGOUT_REFUSED",
    400,
    "This is not a logout token for this gateway. Send what the issuer has signed, as a form with logout_token, once.",
    "Ce n’est pas un jeton de fin de session destiné à cette passerelle. Envoyez celui que l’émetteur a signé, "
    "en formulaire sous logout_token, une seule fois.",
)
HTTP_MALFORMED = _fault(
    "BAD_REQUEST",
    400,
    "What came is not an HTTP/1.1 request. Check the address and what stands between you and it.",
    "Ce qui est arrivé n’est pas une requête HTTP/1.1. Vérifiez l’adresse et ce qui vous en sépare.",
)
HEAD_TOO_LARGE = _fault(
    "HEAD_TOO_LARGE",
    431,
    "The address and headers of the request are too large. Send a long operation by POST, and fewer cookies.",
    "L’adresse et les en-têtes de la requête sont trop longs. Envoyez une longue opération par POST, et moins de témoins.",
)
REQUEST_TOO_SLOW = _fault(
    "REQUEST_TOO_SLOW",
    408,
    "The request did not arrive whole in time. Try again, on a steadier connection if you can.",
    "La requête n’est pas arrivée entière à temps. Réessayez, si possible sur une connexion plus stable.",
)
