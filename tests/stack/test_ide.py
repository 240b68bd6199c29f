"""GraphiQL in a real browser, against the whole province, with nothing but the gateway to load from."""

import json
import secrets
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, Request

from clusters import signin
from clusters.journeys.door import Door
from clusters.local import state
from services.kit.language import Language

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("province")]


APPLICATION = {
    "name": "Seen As It Comes Inc.",
    "legalType": "NAMED_CORPORATION",
    "sector": "72",
    "address": {"street": "100 Main Street East", "city": "Hamilton", "postalCode": "L8N 1G6"},
}


class Visit:
    """The page of a gateway, what it asked of whom, and what the browser complained of."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.complaints: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._note)

    def _note(self, request: Request) -> None:
        if request.url.startswith("http"):
            self.asked.append(urlsplit(request.url).netloc)

    def opens(self, more: str = "") -> None:
        self.page.goto(self.url + more)
        self.page.locator(".graphiql-query-editor .CodeMirror").wait_for()

    def types(self, text: str) -> None:
        self.page.locator(".graphiql-query-editor .CodeMirror").click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)
        self.page.keyboard.press("Control+Enter")

    def signs(self, token: str) -> None:
        self.page.get_by_role("button", name="Headers").click()
        self.page.locator(".graphiql-editor-tool .CodeMirror:visible").click()
        self.page.keyboard.insert_text(json.dumps({"Authorization": f"Bearer {token}"}))

    def sees(self, text: str) -> None:
        self.page.locator(".result-window", has_text=text).wait_for()


@pytest.fixture
def visit(open_province: state.State, browser: Browser) -> Iterator[Visit]:
    context = browser.new_context(locale="fr-CA")
    yield Visit(context.new_page(), open_province.environment["GATEWAY_URL"])
    context.close()


class TestInABrowser:
    def test_a_query_is_typed_and_its_answer_seen_without_a_complaint(self, visit: Visit) -> None:
        visit.opens()
        assert visit.page.title() == "One Door : essayer l’API"
        visit.types("{ clusters { code name { fr")
        visit.sees("Services à la personne")
        assert visit.complaints == []
        assert set(visit.asked) == {urlsplit(visit.url).netloc}

    def test_the_schema_is_there_to_be_read(self, visit: Visit) -> None:
        visit.opens()
        visit.page.get_by_role("button", name="Show Documentation Explorer").click()
        visit.page.locator(".graphiql-doc-explorer", has_text="Mutation").wait_for()
        assert visit.complaints == []

    def test_an_error_is_told_in_the_browsers_language(self, visit: Visit) -> None:
        visit.opens()
        visit.types("{ nothingOfThatName")
        visit.sees("L’opération ne correspond pas au schéma")

    def test_a_link_brings_its_operation(self, visit: Visit) -> None:
        visit.opens("?query=%7B%20linked%3A%20__typename%20%7D")
        visit.page.keyboard.press("Control+Enter")
        visit.page.locator(".graphiql-query-editor", has_text="linked").wait_for()

    def test_a_token_goes_with_the_request(self, visit: Visit, open_province: state.State) -> None:
        tokens = signin.sign_in(open_province.environment["ISSUER_URL"], "owner", "owner-onedoor")
        visit.opens()
        visit.signs(tokens["access_token"])
        visit.types("{ myBusinesses { edges { cursor")
        visit.sees("myBusinesses")
        assert visit.complaints == []

    def test_the_events_of_a_subscription_are_seen_as_they_come(self, visit: Visit, open_province: state.State) -> None:
        with httpx.Client(timeout=15) as http:
            token = signin.access_token(open_province.environment["ISSUER_URL"], "owner", "owner-onedoor")
            door = Door(visit.url, http, Language.EN, token)
            drafted = door.ask("DraftApplication", input=APPLICATION | {"idempotencyKey": secrets.token_hex(16)})
        application = drafted["draftApplication"]["id"]
        visit.opens()
        visit.signs(token)
        visit.types(f'subscription {{ applicationStatusChanged(id: "{application}") {{ status')
        visit.sees("DRAFT")
        assert visit.complaints == []
