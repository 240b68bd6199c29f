"""Passwords that nobody may choose: long enough for the policy, and yet among the first that are guessed.

Lists of leaked passwords hold few of twelve characters and more. Those who must write twelve take a common word or a run of
keys and add a year, a run of digits or the word again; this file writes these, and the names of this service, which attackers
try first. Keycloak compares in lower case. Write the list: `python -m clusters.keycloak.blocklist`.
Source of the rule: ASVS 5.0, 6.2.4 and 6.2.11.
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

FILE = Path(__file__).parent / "passwords.txt"
MENDS = "python -m clusters.keycloak.blocklist"
SHORTEST = 12  # of the realm's policy
_WORDS = (
    *(
        "password",
        "passw0rd",
        "p@ssw0rd",
        "p@ssword",
        "motdepasse",
        "mdpmdp",
        "secret",
        "changeme",
        "changezmoi",
        "welcome",
    ),
    *(
        "bienvenue",
        "letmein",
        "iloveyou",
        "jetaime",
        "monamour",
        "princess",
        "princesse",
        "sunshine",
        "soleil",
        "dragon",
    ),
    *(
        "monkey",
        "football",
        "baseball",
        "hockey",
        "mapleleafs",
        "raptors",
        "canadiens",
        "master",
        "admin",
        "administrator",
    ),
    *(
        "administrateur",
        "bonjour",
        "azerty",
        "azertyuiop",
        "qwerty",
        "qwertyuiop",
        "asdfghjkl",
        "1q2w3e4r",
        "1q2w3e4r5t",
    ),
    *("1qaz2wsx", "qazwsxedc", "zaq12wsx", "abc123", "abcd1234", "abcdef", "summer", "winter", "spring", "autumn"),
    *(
        "hiver",
        "printemps",
        "automne",
        "ontario",
        "toronto",
        "ottawa",
        "canada",
        "queenspark",
        "onedoor",
        "guichetunique",
    ),
    *("government", "gouvernement", "ministry", "ministere", "serviceontario", "citizen", "citoyen", "inspector"),
    *("inspecteur", "business", "entreprise", "computer", "internet", "whatever", "starwars", "superman", "batman"),
)
_RUNS = ("123456789012", "012345678901", "111111111111", "000000000000", "121212121212", "123123123123", "987654321098")
_KEYS = ("qwertyuiop[]", "qwertyuiopas", "azertyuiopqs", "1qaz2wsx3edc", "1q2w3e4r5t6y", "qazwsxedcrfv", "!qaz@wsx#edc")
_DIGITS = (
    "1",
    "12",
    "123",
    "1234",
    "12345",
    "123456",
    "1234567",
    "12345678",
    "123456789",
    "1234567890",
    "321",
    "007",
    "69",
)
_ENDS = ("", "!", "!!", "1!", "123!", "@", "@123", "#1", ".", "?")
_YEARS = tuple(map(str, range(1990, 2031)))


def passwords() -> Iterator[str]:
    """Each once, in lower case, none shorter than the policy lets pass."""
    made = {*_RUNS, *_KEYS, *("".join(pair) for pair in product(_WORDS, (*_DIGITS, *_YEARS, *_ENDS)))}
    made |= {f"{word}{year}{end}" for word, year, end in product(_WORDS, _YEARS, ("!", "."))}
    made |= {word * times for word, times in product(_WORDS, (2, 3))}
    yield from sorted(password for password in made if len(password) >= SHORTEST)


def written() -> str:
    """The list as the committed file, and Keycloak's folder `data/password-blacklists`, hold it."""
    return "".join(f"{password}\n" for password in passwords())


if __name__ == "__main__":
    FILE.write_text(written(), encoding="utf-8")
