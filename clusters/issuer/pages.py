"""The issuer's pages: sign-in, error, signed out. Plain HTML without script, in the visitor's language."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from html import escape

from clusters.access import User
from services.kit.language import Language, Words

TEXTS: Mapping[str, Words] = {
    "title": Words("Sign in – One Door", "Ouvrir une session – One Door"),
    "heading": Words("Sign in", "Ouvrir une session"),
    "local": Words(
        "Development issuer: for this machine only, with demo users.",
        "Émetteur de développement : pour ce poste seulement, avec des comptes de démonstration.",
    ),
    "username": Words("User name", "Nom d’utilisateur"),
    "password": Words("Password", "Mot de passe"),
    "submit": Words("Sign in", "Continuer"),
    "users": Words("Demo users", "Comptes de démonstration"),
    "hint": Words(
        "The password is the user name, then -onedoor.", "Le mot de passe est le nom d’utilisateur, puis -onedoor."
    ),
    "wrong": Words(
        "User name or password is wrong. Try again.", "Le nom d’utilisateur ou le mot de passe est erroné. Réessayez."
    ),
    "wait": Words(
        "Too many wrong tries. Wait a minute, then try again.",
        "Trop de tentatives erronées. Attendez une minute, puis réessayez.",
    ),
    "expired": Words(
        "This sign-in page is no longer valid. Go back to the application and start again.",
        "Cette page de connexion n’est plus valide. Retournez à l’application et recommencez.",
    ),
    "bad_client": Words(
        "This application is unknown here, or its return address is not the registered one.",
        "Cette application est inconnue ici, ou son adresse de retour n’est pas celle qui est inscrite.",
    ),
    "error": Words("Sign-in is not possible", "Connexion impossible"),
    "signed_out": Words("You are signed out.", "Vous avez fermé votre session."),
    "other_language": Words("Français", "English"),
}
_STYLE = """
:root{color-scheme:light dark}body{font:1.125rem/1.5 system-ui,sans-serif;max-width:26rem;margin:3rem auto;padding:0 1rem}
label{display:block;font-weight:600;margin-top:1rem}input{font:inherit;width:100%;padding:.5rem;box-sizing:border-box;
border:2px solid #555;border-radius:4px}button{font:inherit;font-weight:600;margin-top:1.5rem;padding:.6rem 1.2rem;border:0;
border-radius:4px;background:#1d4f76;color:#fff}:focus-visible{outline:3px solid #ffbf47;outline-offset:2px}
.alert{border-left:6px solid #b10e1e;padding:.5rem 1rem}.note{font-size:1rem}nav{text-align:right}
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


def headers(form_targets: str = "") -> dict[str, str]:
    """What keeps a page to itself. A form's redirect counts as its target, so the client's origin is named."""
    policy = (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self' {form_targets}; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    return {
        "content-security-policy": policy,
        "x-frame-options": "DENY",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
    }


def sign_in(
    language: Language,
    action: str,
    users: Sequence[User],
    other_language: str,
    problem: str | None = None,
    name: str = "",
) -> str:
    """The login page. `problem` is a key of TEXTS, told as an alert."""
    alert = f'<p class="alert" role="alert" id="problem">{_say(problem, language)}</p>' if problem else ""
    invalid = ' aria-invalid="true" aria-describedby="problem"' if problem else ""
    listed = "".join(f"<li><strong>{escape(u.name)}</strong>, {escape(u.words.of(language))}</li>" for u in users)
    body = f"""<h1>{_say("heading", language)}</h1><p class="note">{_say("local", language)}</p>{alert}
<form method="post" action="{escape(action)}">
<label for="username">{_say("username", language)}</label>
<input id="username" name="username" autocomplete="username" autocapitalize="none" required value="{escape(name)}"{invalid}>
<label for="password">{_say("password", language)}</label>
<input id="password" name="password" type="password" autocomplete="current-password" required{invalid}>
<button type="submit">{_say("submit", language)}</button></form>
<h2>{_say("users", language)}</h2><p class="note">{_say("hint", language)}</p><ul class="note">{listed}</ul>"""
    return _page(language, "title", body, other_language)


def message(language: Language, title: str, text: str) -> str:
    """A page that only says something. Both are keys of TEXTS."""
    body = (
        f"<h1>{_say(title, language)}</h1><p>{_say(text, language)}</p>"
        if title != text
        else f"<h1>{_say(text, language)}</h1>"
    )
    return _page(language, title, body, None)


def _say(key: str, language: Language) -> str:
    return escape(TEXTS[key].of(language))


def _page(language: Language, title: str, body: str, other_language: str | None) -> str:
    other = Language.EN if language is Language.FR else Language.FR
    link = (
        f'<nav><a href="{escape(other_language)}" lang="{other.value}" hreflang="{other.value}">'
        f"{_say('other_language', language)}</a></nav>"
        if other_language
        else ""
    )
    return (
        f'<!doctype html><html lang="{language.value}-CA"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{_say(title, language)}</title>'
        f"<style>{_STYLE}</style></head><body>{link}<main>{body}</main></body></html>"
    )
