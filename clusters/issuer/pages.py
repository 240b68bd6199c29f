"""The issuer's pages: sign-in, code, device, error, signed out. Plain HTML without script, in the visitor's language."""

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
    "code_title": Words("Second step – One Door", "Deuxième étape – One Door"),
    "code_heading": Words("Second step", "Deuxième étape"),
    "code": Words("Code from your app", "Code de votre application"),
    "code_hint": Words("On this machine, this command shows it:", "Sur ce poste, cette commande l’affiche :"),
    "wrong_code": Words(
        "This code is wrong or was used already. Wait for the next one, then try again.",
        "Ce code est erroné ou a déjà servi. Attendez le suivant, puis réessayez.",
    ),
    "device_title": Words("Connect a device – One Door", "Connecter un appareil – One Door"),
    "device_heading": Words("Connect a device", "Connecter un appareil"),
    "user_code": Words("Code that the device shows", "Code que l’appareil affiche"),
    "next": Words("Continue", "Continuer"),
    "bad_user_code": Words(
        "This code is unknown or no longer valid. Check it, or ask the device for a new one.",
        "Ce code est inconnu ou n’est plus valide. Vérifiez-le, ou demandez-en un autre à l’appareil.",
    ),
    "consent": Words(
        "Allow only a device that you hold, which shows this code:",
        "N’autorisez qu’un appareil que vous tenez et qui affiche ce code :",
    ),
    "consent_who": Words("You are signed in as:", "Vous avez ouvert une session comme :"),
    "consent_client": Words("The application is:", "L’application est :"),
    "allow": Words("Allow", "Autoriser"),
    "deny": Words("Refuse", "Refuser"),
    "device_allowed": Words(
        "The device is connected. You may close this page.", "L’appareil est connecté. Vous pouvez fermer cette page."
    ),
    "device_denied": Words("The device was refused.", "L’appareil a été refusé."),
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
    "bad_hint": Words(
        "The application names a session that is not known here. Nothing was ended.",
        "L’application désigne une session inconnue ici. Aucune session n’a été fermée.",
    ),
    "not_signed_out": Words("Not signed out", "Session non fermée"),
    "error": Words("Sign-in is not possible", "Connexion impossible"),
    "signed_out": Words("You are signed out.", "Vous avez fermé votre session."),
    "other_language": Words("Français", "English"),
}
_STYLE = """
:root{color-scheme:light dark}body{font:1.125rem/1.5 system-ui,sans-serif;max-width:26rem;margin:3rem auto;padding:0 1rem}
label{display:block;font-weight:600;margin-top:1rem}input{font:inherit;width:100%;padding:.5rem;box-sizing:border-box;
border:2px solid #555;border-radius:4px}button{font:inherit;font-weight:600;margin-top:1.5rem;padding:.6rem 1.2rem;border:0;
border-radius:4px;background:#1d4f76;color:#fff}:focus-visible{outline:3px solid #ffbf47;outline-offset:2px}
.second{background:#fff;color:#1d4f76;border:2px solid #1d4f76;margin-left:1rem}code{font-size:1.1em}
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
    alert, invalid = _problem(problem, language)
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


def code(language: Language, action: str, other_language: str, user: str, problem: str | None = None) -> str:
    """Asks for the code of the person's app."""
    alert, invalid = _problem(problem, language)
    body = f"""<h1>{_say("code_heading", language)}</h1>{alert}
<form method="post" action="{escape(action)}"><label for="otp">{_say("code", language)}</label>
<input id="otp" name="otp" inputmode="numeric" autocomplete="one-time-code" required autofocus{invalid}>
<button type="submit">{_say("next", language)}</button></form>
<p class="note">{_say("code_hint", language)} <code>onedoor code --user {escape(user)}</code></p>"""
    return _page(language, "code_title", body, other_language)


def device(language: Language, other_language: str, problem: str | None = None, typed: str = "") -> str:
    """Asks for the code that a device shows."""
    alert, invalid = _problem(problem, language)
    body = f"""<h1>{_say("device_heading", language)}</h1>{alert}
<form method="get"><input type="hidden" name="ui_locales" value="{language.value}">
<label for="user_code">{_say("user_code", language)}</label>
<input id="user_code" name="user_code" autocomplete="off" autocapitalize="characters" required value="{escape(typed)}"{invalid}>
<button type="submit">{_say("next", language)}</button></form>"""
    return _page(language, "device_title", body, other_language)


def consent(language: Language, action: str, other_language: str, client: str, user: str, user_code: str) -> str:
    """Asks a person who has signed in whether a device may act for them."""
    body = f"""<h1>{_say("device_heading", language)}</h1>
<p>{_say("consent", language)} <strong>{escape(user_code)}</strong></p>
<p>{_say("consent_client", language)} {escape(client)}<br>{_say("consent_who", language)} {escape(user)}</p>
<form method="post" action="{escape(action)}">
<button type="submit" name="answer" value="allow">{_say("allow", language)}</button>
<button type="submit" name="answer" value="deny" class="second">{_say("deny", language)}</button></form>"""
    return _page(language, "device_title", body, other_language)


def message(language: Language, title: str, text: str) -> str:
    """A page that only says something. Both are keys of TEXTS."""
    body = (
        f"<h1>{_say(title, language)}</h1><p>{_say(text, language)}</p>"
        if title != text
        else f"<h1>{_say(text, language)}</h1>"
    )
    return _page(language, title, body, None)


def _problem(problem: str | None, language: Language) -> tuple[str, str]:
    """An alert, and the attributes of the fields that it is about."""
    if problem is None:
        return "", ""
    alert = f'<p class="alert" role="alert" id="problem">{_say(problem, language)}</p>'
    return alert, ' aria-invalid="true" aria-describedby="problem"'


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
