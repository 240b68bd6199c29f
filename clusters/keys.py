"""`onedoor keys`: makes signing keys, and changes them while everything runs: the gateway's, and those of accounts, which sign
what it tells of grants; and the services' audit keys.

They are in the folder of `credentials.py`: the private ones in their part's sub-folder, the public ones in one for services.
A change is three steps: publish the next key, activate it once every service knows it, withdraw the old one once nothing that
it has signed holds any more.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import NamedTuple

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from services.kit.language import spoken
from services.kit.signing_keys import key_id, private_keys, public_keys

AUDIT, AUDIT_PUBLIC = Path("audit-keys.json"), Path("public", "audit-keys.json")


class Signer(NamedTuple):
    """A part that signs, and the files of its keys below the folder."""

    part: str
    private: Path
    public: Path


GATEWAY = Signer("gateway", Path("gateway", "signing-keys.json"), Path("public", "gateway-keys.json"))
GRANTS = Signer("accounts", Path("accounts", "grant-keys.json"), Path("public", "grant-keys.json"))
SIGNERS: Mapping[str, Signer] = {signer.part: signer for signer in (GATEWAY, GRANTS)}
PRIVATE, PUBLIC = GATEWAY.private, GATEWAY.public


class KeysRefused(Exception):
    """A step cannot be taken now; the text says why and what to do."""


class Step(Enum):
    """What to do with a folder of keys."""

    MAKE = "make"
    PUBLISH = "publish"
    ACTIVATE = "activate"
    WITHDRAW = "withdraw"


def step_of(word: str) -> Step:
    """The step of a word. Raises KeysRefused."""
    try:
        return Step(word)
    except ValueError:
        steps = ", ".join(step.value for step in Step)
        raise KeysRefused(
            spoken(f"{word} is no step; one is {steps}", f"{word} n’est pas une étape\u00a0: {steps}")
        ) from None


def signer_of(part: str) -> Signer:
    """The signer that a part is. Raises KeysRefused."""
    try:
        return SIGNERS[part]
    except KeyError:
        known = ", ".join(SIGNERS)
        raise KeysRefused(
            spoken(f"{part} signs nothing; who does: {known}", f"{part} ne signe rien ; signent : {known}")
        ) from None


def take(step: Step, folder: Path, signer: Signer = GATEWAY) -> Sequence[str]:
    """Take a step. Returns the ids of the keys that are published, the one that signs first. Raises KeysRefused, OSError."""
    part, private, public = signer
    held = [] if step is Step.MAKE and not (folder / private).exists() else _held(folder / private, folder)
    kept = _STEPS[step](held, part)
    public_first = len(kept) >= len(held)  # a key is known before it signs, and until it no longer does
    for path in (public, private) if public_first else (private, public):
        _write(folder / path, kept, private=path is private)
    return [key_id(key) for key in kept]


def of_audit(folder: Path, service: str, *, anew: bool = False) -> None:
    """Make the key by which a service signs the heads of its audit where it has none, or another one. Whoever verifies keeps
    all public ones: what an older key has signed is verified by it. Raises KeysRefused, OSError."""
    if (folder / service / AUDIT).exists() and not anew:
        return
    made = _new(service)
    known = _known(folder / AUDIT_PUBLIC)
    _write(folder / AUDIT_PUBLIC, [*known, made], private=False)
    _write(folder / service / AUDIT, [made], private=True)


def _known(path: Path) -> list[OKPKey]:
    try:
        return [OKPKey.import_key(key) for key in orjson.loads(path.read_bytes())["keys"]] if path.exists() else []
    except (LookupError, TypeError, ValueError, JoseError) as problem:
        raise KeysRefused(
            spoken(f"{path} holds no keys ({problem})", f"{path} ne contient pas de clés ({problem})")
        ) from None


def _make(held: list[OKPKey], part: str) -> list[OKPKey]:
    return held or [_new(part)]


def _publish(held: list[OKPKey], part: str) -> list[OKPKey]:
    if len(held) > 1:
        raise KeysRefused(
            spoken(
                "a change is under way: activate the next key, then withdraw the old one, before you publish another",
                "un changement est en cours\u00a0: activez la prochaine clé, retirez l’ancienne, puis publiez-en une autre",
            )
        )
    return [*held, _new(part)]


def _activate(held: list[OKPKey], _: str) -> list[OKPKey]:
    if len(held) < 2:
        raise KeysRefused(
            spoken("there is no next key: publish one", "il n’y a pas de prochaine clé\u00a0: publiez-en une")
        )
    newest = max(held, key=key_id)
    return [newest, *(key for key in held if key is not newest)]


def _withdraw(held: list[OKPKey], _: str) -> list[OKPKey]:
    return held[:1]


_STEPS: Mapping[Step, Callable[[list[OKPKey], str], list[OKPKey]]] = {
    Step.MAKE: _make,
    Step.PUBLISH: _publish,
    Step.ACTIVATE: _activate,
    Step.WITHDRAW: _withdraw,
}


def _new(part: str) -> OKPKey:
    """A key whose id says whose it is and when it was made, to the microsecond: later ones sort after earlier ones."""
    made = datetime.now(UTC).strftime(f"{part}-%Y%m%dT%H%M%S.%fZ")
    return OKPKey.generate_key("Ed25519", {"kid": made, "use": "sig", "alg": "Ed25519"})


def _held(path: Path, folder: Path) -> list[OKPKey]:
    try:
        return list(private_keys(path.read_bytes()))
    except (OSError, ValueError) as problem:
        raise KeysRefused(
            spoken(
                f"{path} holds no private keys ({problem}); `onedoor keys make {folder}` makes them",
                f"{path} ne contient pas de clés privées ({problem})\u00a0; `onedoor keys make {folder}` en fait",
            )
        ) from None


def _write(path: Path, keys: Sequence[OKPKey], *, private: bool) -> None:
    """Replace a file as a whole, its owner's alone, where it says something else."""
    content = orjson.dumps({"keys": [key.as_dict(private=private) for key in keys]}, option=orjson.OPT_INDENT_2)
    if not private:
        public_keys(content)  # raises for what services would refuse
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(file.name, path)
