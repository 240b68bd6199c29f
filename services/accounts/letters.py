"""What we write to people, in both languages. A letter says what has happened and what to do if it was not them."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from services.accounts.models import Presence
from services.kit.language import Language, Words

ONTARIO = ZoneInfo("America/Toronto")
# Why a delegation has ended.
REVOKED = Words("It was revoked.", "Il y a eu révocation.")
NOT_THEIRS_TO_PASS_ON = Words(
    "Whoever passed it on acts on it no more.", "La personne qui l’avait transmise n’agit plus à ce titre."
)
GREETING = Words("Good day,", "Bonjour,")
CLOSING = Words(
    "One Door\nThis message was sent by a machine; nobody reads the answers.",
    "Une seule porte\nCe message est envoyé par une machine; personne ne lit les réponses.",
)


@dataclass(frozen=True, slots=True)
class Letter:
    """A title and paragraphs."""

    title: Words
    text: Words

    def in_language(self, language: Language) -> tuple[str, str]:
        """Title and text as they are sent."""
        parts = (GREETING, self.text, CLOSING)
        return self.title.of(language), "\n\n".join(part.of(language) for part in parts) + "\n"


def verify_channel(code: str, minutes: int) -> Letter:
    """To an address that somebody says is theirs."""
    return Letter(
        Words("Your code: {code}", "Votre code : {code}").filled(code=code),
        Words(
            "To confirm that this address is yours, enter this code where you added it:\n\n    {code}\n\n"
            "It holds for {minutes} minutes. If you added no address, ignore this message: without the code nothing happens.",
            "Pour confirmer que cette adresse est la vôtre, saisissez ce code là où vous l’avez ajoutée :\n\n    {code}\n\n"
            "Il vaut {minutes} minutes. Si vous n’avez ajouté aucune adresse, ignorez ce message : rien ne se passe sans code.",
        ).filled(code=code, minutes=minutes),
    )


def channel_verified(address: str) -> Letter:
    """To a person's other addresses."""
    return Letter(
        Words("An address was added to your account", "Une adresse a été ajoutée à votre compte"),
        Words(
            "We can reach you at {address} from now on. If it was not you who added it, remove it in your account "
            "and change your password.",
            "Nous pouvons désormais vous joindre à {address}. Si ce n’est pas vous qui l’avez ajoutée, retirez-la dans votre "
            "compte et changez votre mot de passe.",
        ).filled(address=address),
    )


def channel_removed(address: str) -> Letter:
    """To the address that was removed, and to a person's others."""
    return Letter(
        Words("An address was removed from your account", "Une adresse a été retirée de votre compte"),
        Words(
            "We write to {address} no more. If it was not you who removed it, change your password and add it again.",
            "Nous n’écrirons plus à {address}. Si ce n’est pas vous qui l’avez retirée, changez votre mot de passe et "
            "ajoutez-la de nouveau.",
        ).filled(address=address),
    )


def day(moment: datetime) -> str:
    """A day in Ontario, written alike in both languages. Source: ISO 8601, Canada's usual form."""
    return f"{moment.astimezone(ONTARIO):%Y-%m-%d}"


def delegation_offered(name: str, code: str, until: datetime) -> Letter:
    """To who is invited, who may never have heard of us."""
    return Letter(
        Words("{name} asks you to act for them", "{name} vous demande d’agir en son nom").filled(name=name),
        Words(
            "{name} offers that you act for them with the government of Ontario. Sign in to One Door and enter this "
            "code to see what "
            "it is about, then accept or refuse:\n\n    {code}\n\nIt holds until {until}. If you do not know {name}, do nothing.",
            "{name} vous propose d’agir en son nom auprès du gouvernement de l’Ontario. Ouvrez une session sur Une "
            "seule porte et "
            "saisissez ce code pour voir de quoi il s’agit, puis acceptez ou refusez :\n\n    {code}\n\nIl vaut "
            "jusqu’au {until}. Si "
            "vous ne connaissez pas {name}, ne faites rien.",
        ).filled(name=name, code=code, until=day(until)),
    )


def delegation_accepted(name: str, until: datetime) -> Letter:
    """To who offered it, and to the person whose rights they are."""
    return Letter(
        Words("{name} now acts for you", "{name} agit désormais en votre nom").filled(name=name),
        Words(
            "{name} has accepted to act for you, until {until}. Your account shows what they may do and what they "
            "looked at; you can "
            "end it there at any time. If you offered nothing, revoke it and change your password.",
            "{name} a accepté d’agir en votre nom, jusqu’au {until}. Votre compte montre ce qui lui est permis et ce qui a été "
            "consulté; vous pouvez y mettre fin à tout moment. Si vous n’avez rien offert, révoquez et changez votre "
            "mot de passe.",
        ).filled(name=name, until=day(until)),
    )


def delegation_refused() -> Letter:
    """To who offered it."""
    return Letter(
        Words("Your offer was refused", "Votre offre a été refusée"),
        Words(
            "The person whom you asked to act for you has refused. Nothing was ever in force.",
            "La personne à qui vous avez demandé d’agir en votre nom a refusé. Rien n’a jamais été en vigueur.",
        ),
    )


def delegation_ended(grantor: str, actor: str, why: Words) -> Letter:
    """To both sides, but not to who ended it."""
    return Letter(
        Words("A delegation has ended", "Une délégation a pris fin"),
        Words(
            "What {grantor} let {actor} do has ended: nobody acts on it any more. {why_en} Your account shows when.",
            "Ce que {grantor} avait confié à {actor} a pris fin : plus personne n’agit à ce titre. {why_fr} Votre compte indique "
            "quand.",
        ).filled(grantor=grantor, actor=actor, why_en=why.en, why_fr=why.fr),
    )


def has_another_owner(business: str) -> Words:
    """Why a delegation for a business has ended."""
    return Words("{business} has another owner.", "{business} a changé de propriétaire.").filled(business=business)


def business_handed_over(business: str) -> Letter:
    """To its owner before."""
    return Letter(
        Words("{business} is no longer yours", "{business} n’est plus à vous").filled(business=business),
        Words(
            "Somebody has taken over {business} by the code that you were given. You no longer see its file, and what you "
            "let others do for it has ended. If you did not hand it over, tell us at once and change your password.",
            "Quelqu’un a repris {business} au moyen du code qui vous a été remis. Vous ne voyez plus son dossier, et ce que "
            "vous aviez confié à d’autres pour elle a pris fin. Si vous ne l’avez pas cédée, avisez-nous sans tarder et "
            "changez votre mot de passe.",
        ).filled(business=business),
    )


def business_taken_over(business: str) -> Letter:
    """To its owner from now on."""
    return Letter(
        Words("{business} is yours", "{business} est à vous").filled(business=business),
        Words(
            "You have taken over {business}. Nobody whom its owner before let act for it does so any more. Its members, who "
            "act where it acts for others, stay: look at them in your account and remove whom you do not know. If you took "
            "nothing over, tell us at once and change your password.",
            "Vous avez repris {business}. Les personnes autorisées jusqu’ici à agir pour elle ne le font plus. Ses membres, "
            "qui agissent là où elle agit pour sa clientèle, restent : consultez-les dans votre compte et retirez les "
            "personnes que vous ne connaissez pas. Si vous n’avez rien repris, avisez-nous sans tarder et changez votre mot "
            "de passe.",
        ).filled(business=business),
    )


def member_invited(business: str, code: str) -> Letter:
    """To who is invited to act where a business acts for others."""
    return Letter(
        Words("{business} invites you", "{business} vous invite").filled(business=business),
        Words(
            "{business} invites you to act where it acts for its clients. Sign in to One Door and enter this "
            "code:\n\n    {code}\n\n"
            "If you do not know {business}, do nothing.",
            "{business} vous invite à agir là où elle agit pour sa clientèle. Ouvrez une session sur Une seule porte "
            "et saisissez ce "
            "code :\n\n    {code}\n\nSi vous ne connaissez pas {business}, ne faites rien.",
        ).filled(business=business, code=code),
    )


def member_joined(business: str, name: str) -> Letter:
    """To the owner of the business."""
    return Letter(
        Words("{name} has joined {business}", "{name} s’est joint à {business}").filled(business=business, name=name),
        Words(
            "{name} acts from now on where {business} acts for its clients. If you did not invite them, remove them "
            "in your account.",
            "{name} agit désormais là où {business} agit pour sa clientèle. Si l’invitation ne venait pas de vous, retirez cette "
            "personne dans votre compte.",
        ).filled(business=business, name=name),
    )


def session_opened(presence: Presence, reason: str) -> Letter:
    """To a person for whom an officer begins to act."""
    how = {
        Presence.COUNTER: Words("at a counter", "au comptoir"),
        Presence.PHONE: Words("on the phone", "au téléphone"),
    }[presence]
    said = {"how_en": how.en, "how_fr": how.fr, "reason": reason}
    return Letter(
        Words("An officer acts for you", "Un agent agit en votre nom"),
        Words(
            "An officer says that you are with them {how_en} and acts for you: “{reason}”. It ends within an hour. What is "
            "final takes a code that we send to you alone. If you are not there, end it in your account now and tell us.",
            "Un agent dit que vous êtes avec lui {how_fr} et agit en votre nom : « {reason} ». Cela prend fin dans l’heure. Ce "
            "qui est définitif exige un code envoyé à vous seul. Si vous n’y êtes pas, mettez-y fin dans votre "
            "compte et avisez-nous.",
        ).filled(**said),
    )


def session_closed() -> Letter:
    """To the person, whoever ended it."""
    return Letter(
        Words("The officer no longer acts for you", "L’agent n’agit plus en votre nom"),
        Words(
            "The session in which an officer acted for you has ended. Your account shows what was done and looked at.",
            "La session où un agent agissait en votre nom a pris fin. Votre compte montre ce qui a été fait et consulté.",
        ),
    )


def agree_to_act(act: Words, code: str, minutes: int) -> Letter:
    """To the person, for one act that an officer wants to do for them."""
    return Letter(
        Words("Your agreement is asked for", "Votre accord est demandé"),
        Words(
            "The officer who assists you wants to do this for you:\n\n    {act_en}\n\nIf you want it, tell them this code:\n\n"
            "    {code}\n\nIt is good for this alone, once, for {minutes} minutes. If you do not want it, keep "
            "the code to yourself.",
            "L’agent qui vous aide veut faire ceci en votre nom :\n\n    {act_fr}\n\nSi vous le voulez, dites-lui ce code :\n\n"
            "    {code}\n\nIl ne vaut que pour cela, une fois, pendant {minutes} minutes. Si vous ne le voulez "
            "pas, gardez-le pour vous.",
        ).filled(act_en=act.en, act_fr=act.fr, code=code, minutes=minutes),
    )


def inquiry_answered(reference: str) -> Letter:
    """To who asked. The answer itself is about their data, which no letter carries."""
    return Letter(
        Words("Your question {reference} is answered", "Réponse à votre question {reference}").filled(
            reference=reference
        ),
        Words(
            "You asked why somebody looked at your data. The ministry has answered: sign in to One Door and look at your "
            "questions.",
            "Vous avez demandé pourquoi quelqu’un a consulté vos données. Le ministère a répondu : ouvrez une session sur Une "
            "seule porte et consultez vos questions.",
        ),
    )
