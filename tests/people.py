"""The person of a test: opens addresses in a browser, and answers what a notebook asks."""

from __future__ import annotations

import html
import re
import threading
import urllib.error
import urllib.request
from urllib.parse import parse_qsl, urlencode, urlsplit

from jupyter_federation.errors import LoginRequiredError
from jupyter_federation.redaction import Secret

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a test's proxy is the kernel's


def behind(page):
    """Where a browser goes that opens ``page``: a file leads on, as its markup says."""
    if not page.startswith("file:"):
        return page
    with urllib.request.urlopen(page) as file:
        return html.unescape(re.search(r'content="0; url=([^"]+)"', file.read().decode())[1])


class Person:
    """Signs in as ``user`` ("" cancels); ``amend`` may change the query of the redirect on its way back.

    It is a `Prompt` too: ``shown`` is what it was shown, ``waits`` what it waited for.
    """

    def __init__(self, browser, *, user="ada"):
        self.browser = browser
        self.user = user
        self.amend = dict
        self.reaches_somebody = True
        self.opens = True  # whether a browser can be opened
        self.addresses = []  # that were opened
        self.redirects = []  # the last pages' addresses
        self.pages = []  # their text
        self.offers = []
        self.shown = []
        self.brings = None  # the token that they paste where one is asked for
        self.waits = []
        self.questions = []
        self.paste = lambda redirect: redirect
        self.read = lambda text: None  # what they do with what they are shown

    def open(self, address):
        """What webbrowser.open does: return at once, and let the person go on."""
        if not self.opens:
            return False
        address = behind(address)
        self.addresses.append(address)
        threading.Thread(target=self._sign_in, args=(address,), daemon=True).start()
        return True

    def _sign_in(self, address):
        self.follow(self.redirect_of(address))

    def redirect_of(self, address):
        """Where the provider sends the browser after the sign-in, amended."""
        redirect = self.browser(address, user=self.user)
        query = self.amend(dict(parse_qsl(urlsplit(redirect).query)))
        redirect = f"{redirect.partition('?')[0]}?{urlencode(query)}"
        self.redirects.append(redirect)
        return redirect

    def follow(self, redirect):
        """The last page."""
        try:
            with _OPENER.open(redirect, timeout=5) as answer:
                self.pages.append(answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                self.pages.append(f"HTTP {error.code}")

    # What a notebook asks

    def show(self, offer):
        self.offers.append(offer)
        self.shown.append((offer.text(), offer.html()))
        self.read(offer.text())
        if offer.code is not None:
            self.type_code(offer.text())

    def type_code(self, text):
        """Type the code that is shown into the page that is named."""
        page = self.offers[-1].address
        code = text.partition("The code is ")[2].splitlines()[0]
        self.browser.open(page.partition("?")[0], user_code=code, user=self.user)

    def ask_secret(self, question):
        self.questions.append(question)
        if not self.reaches_somebody:
            raise LoginRequiredError("Nobody is here.", fix="Use --token-file.")
        address = self.offers[-1].address
        if address is None:
            return Secret(self.brings)
        self.addresses.append(address)
        return Secret(self.paste(self.redirect_of(address)))

    def waiting(self, what, seconds):
        self.waits.append(what)

    def close(self):
        pass
