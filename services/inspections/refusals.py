"""When inspections say no, and what would help."""

from services.kit.refusals import Refusal


class NoSuchInspection(
    Refusal,
    field="number",
    en="There is no inspection {number}. Check the number.",
    fr="Il n’y a pas d’inspection {number}. Vérifiez le numéro.",
):
    """The number was never given."""


class OutdatedVersion(
    Refusal,
    field="version",
    en="Somebody changed this inspection meanwhile: it is at version {version}. Read it again, then repeat your change.",
    fr="Cette inspection a été modifiée entre-temps : elle en est à la version {version}. Relisez-la, puis recommencez.",
):
    """What the caller saw is not what is there now."""


class NotNow(
    Refusal,
    field="number",
    code="NOT_IN_THIS_STATE",
    en="This cannot be done with an inspection that is {state_en}.",
    fr="Ce n’est pas possible pour une inspection {state_fr}.",
):
    """The life of an inspection has no such move."""


class UnknownBusiness(
    Refusal,
    field="businessNumber",
    en="No business {number} is known here. Check the number; a new registration takes a few seconds to arrive.",
    fr="Aucune entreprise {number} n’est connue ici. Vérifiez le numéro; une inscription met quelques secondes à arriver.",
):
    """The registry announced no such business."""


class UnknownChecklist(
    Refusal,
    field="checklist",
    en="No checklist in force is called {code}. The field checklists names them.",
    fr="Aucune liste de vérification en vigueur ne s’appelle {code}. Le champ checklists les nomme.",
):
    """The code names nothing."""


class NotABusinessDay(
    Refusal,
    field="scheduledFor",
    en="{day} is no business day in Ontario. The next one is {next}.",
    fr="Le {day} n’est pas un jour ouvrable en Ontario. Le prochain est le {next}.",
):
    """Visits take place when offices and businesses work."""


class DayOutOfRange(
    Refusal,
    field="scheduledFor",
    en="An inspection is scheduled from {first} to {last}.",
    fr="Une inspection se prévoit du {first} au {last}.",
):
    """Neither in the past nor beyond planning."""


class FirstInspectionExists(
    Refusal,
    field="reason",
    en="Business {number} has had its first inspection scheduled already. Choose another reason.",
    fr="La première inspection de l’entreprise {number} est déjà prévue. Choisissez un autre motif.",
):
    """There is one first inspection."""


class OwnBusiness(
    Refusal,
    en="You registered this business, so somebody else must deal with its inspections.",
    fr="Vous avez inscrit cette entreprise : une autre personne doit s’occuper de ses inspections.",
):
    """Nobody inspects or reviews the own business."""


class AnotherInspector(
    Refusal,
    field="number",
    en="Another inspector has this inspection.",
    fr="Cette inspection est confiée à une autre personne.",
):
    """A record is made by the inspector who made the visit."""


class FourEyes(
    Refusal,
    field="number",
    code="REVIEWER_IS_INSPECTOR",
    en="You made this inspection, so somebody else must review it.",
    fr="Vous avez fait cette inspection : une autre personne doit la réviser.",
):
    """The reviewer is never the inspector."""


class ReasonNeeded(
    Refusal,
    field="comment",
    en="A record that is sent back needs a reason.",
    fr="Un rapport renvoyé doit être motivé.",
):
    """The inspector must know what to mend."""


class FirstContactIncomplete(
    Refusal,
    field="firstContact",
    en="Some of what an inspector owes at first contact was not done: {missing_en}. Do it, then record.",
    fr="Une partie de ce que l’on doit au premier contact n’a pas été faite : {missing_fr}. Faites-le, puis consignez.",
):
    """The code of professionalism comes before any finding."""


class UnknownItem(
    Refusal,
    en="Checklist {checklist} has no item {item}.",
    fr="La liste {checklist} n’a pas de point {item}.",
):
    """A finding is about an item of the inspection's own checklist."""


class ItemTwice(
    Refusal,
    en="Item {item} is answered twice. Give one answer.",
    fr="Le point {item} est répondu deux fois. Donnez une seule réponse.",
):
    """An item has one answer."""


class CorrectionDay(
    Refusal,
    en="A finding was corrected on the spot, or is to be corrected by a day from {first} to {last}: one of the two.",
    fr="Un constat a été corrigé sur place, ou doit l’être d’ici un jour du {first} au {last} : l’un des deux.",
):
    """The people visited need to know by when."""


class NoOpenFinding(
    Refusal,
    field="item",
    en="This inspection has no open finding for item {item}.",
    fr="Cette inspection n’a pas de constat ouvert pour le point {item}.",
):
    """Only what is open can be corrected."""


class OpenFindings(
    Refusal,
    field="number",
    en="Findings that wait for their correction: {count}. Confirm the corrections, then close.",
    fr="Constats en attente de correction : {count}. Confirmez les corrections, puis fermez.",
):
    """Closed means settled."""
