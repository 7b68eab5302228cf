"""Which ways of signing in there are here, and in which order they are tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import dropwhile

from jupyter_federation.errors import ConfigurationError, LoginFailedError
from jupyter_federation.mailbox import Mailbox
from jupyter_federation.offer import Offer
from jupyter_federation.sign_in.browser import BrowserRung, browser_is_here, open_browser
from jupyter_federation.sign_in.callback import CallbackRung
from jupyter_federation.sign_in.device_code import DeviceCodeRung
from jupyter_federation.sign_in.paste import PasteRung
from jupyter_federation.sign_in.rung import OutOfReachError, Rung, SignIn, Tokens
from jupyter_federation.sign_in.token import TokenRung
from jupyter_federation.tokens import Prompt, nobody_here


@dataclass(frozen=True, kw_only=True, slots=True)
class Manner:
    """How the person wants to sign in, and what the policy leaves them.

    ``no_browser``, ``use_device_code`` and ``token_prompt`` are the options of that name.  ``redirect_ports`` are tried
    in order, any free port where there are none.  ``allowed`` holds the policy's words, None: all of them;
    ``allowed_by`` is the file that says so.
    """

    no_browser: bool = False
    use_device_code: bool = False
    token_prompt: bool = False
    redirect_ports: tuple[int, ...] = ()
    allowed: tuple[str, ...] | None = None
    allowed_by: str = "the policy"


class Ladder:
    """Takes a sign-in up one rung after the other, until one holds.

    A rung that cannot begin gives way to the next by itself, which then says why.  One that failed with the person on
    it does not: its error names ``way_back``, which is what the person runs to sign in, and the next rung that can be
    asked for, where that is a line that takes an option.  ``mailbox`` is where the Jupyter server leaves an answer;
    None: this process's.
    """

    def __init__(
        self,
        manner: Manner,
        *,
        browser_is_here: Callable[[], bool] = browser_is_here,
        open_browser: Callable[[str], bool] = open_browser,
        mailbox: Mailbox | None = None,
        way_back: str = "%federate",
    ) -> None:
        self._manner = manner
        self._browser_is_here = browser_is_here
        self._open_browser = open_browser
        self._mailbox = mailbox
        self._way_back = way_back

    def climb(self, sign_in: SignIn, prompt: Prompt) -> Tokens:
        """Sign in.

        Raises ConfigurationError where the policy leaves no way, LoginRequiredError where nobody can be asked,
        LoginFailedError where the person did not succeed, SourceUnavailableError where the provider is down.
        """
        rungs = self._rungs()
        if not prompt.reaches_somebody:  # a scheduled notebook opens no window on somebody's desktop
            raise nobody_here(f"Signing in at {sign_in.issuer}")
        out_of_reach: list[OutOfReachError] = []
        for number, rung in enumerate(rungs, 1):
            try:
                return rung.climb(sign_in, _Explaining(prompt, out_of_reach) if out_of_reach else prompt)
            except OutOfReachError as error:
                out_of_reach.append(error)
            except LoginFailedError as error:
                options = [below.option for below in rungs[number:] if below.option is not None]
                instead = self._line_with(options[0]) if options else None
                other = [] if instead is None else [f"Or another way: {instead}."]
                failed = error.restated(fix=" ".join([error.fix, f"Run {self._way_back} to try again.", *other]))
                break
        else:
            raise _out_of_reach(sign_in, out_of_reach)
        raise failed

    def _line_with(self, option: str) -> str | None:
        """What the person runs to sign in by the way of ``option``; None where there is no line to put it on."""
        if "%federate" not in self._way_back:
            return None
        named = self._way_back.startswith("%")
        return f"{self._way_back} {option}" if named else f"{self._way_back} with {option}"

    def _rungs(self) -> list[Rung]:
        """From the first to the last; those below the one that was asked for come after it."""
        manner, asked = self._manner, self._asked()

        def is_allowed(name: str) -> bool:
            return manner.allowed is None or name in manner.allowed

        if manner.allowed is not None and not manner.allowed:
            raise ConfigurationError(
                f"The policy allows no way of signing in ({manner.allowed_by}).",
                fix="Bring a token by another `source`, or ask your administrator.",
            )
        if asked is not None and not is_allowed(asked):
            raise ConfigurationError(
                f"The policy allows signing in by {' or '.join(manner.allowed or ())} alone ({manner.allowed_by}), and "
                f"what was asked for is {asked}.",
                fix="Leave --no-browser, --use-device-code and --token-prompt out, or ask your administrator.",
            )
        here = self._browser_is_here()
        pasting = self._line_with("--no-browser") if is_allowed(PasteRung.name) else None
        ways: list[Rung] = [
            BrowserRung(manner.redirect_ports, open_browser=self._open_browser, instead=pasting),
            CallbackRung(self._mailbox, instead=pasting),
            PasteRung(manner.redirect_ports, browser_is_here=here),
            DeviceCodeRung(),
            TokenRung(),
        ]
        from_there = dropwhile(lambda rung: asked not in (None, rung.name), ways[0 if here else 1 :])
        return [rung for rung in from_there if is_allowed(rung.name)]

    def _asked(self) -> str | None:
        """The word of the way that was asked for; None: whichever there is."""
        manner = self._manner
        if manner.token_prompt:
            return TokenRung.name
        if manner.use_device_code:
            return DeviceCodeRung.name
        return PasteRung.name if manner.no_browser else None


class _Explaining:
    """A prompt that says first, of whatever it shows, why another way was not taken."""

    def __init__(self, prompt: Prompt, out_of_reach: list[OutOfReachError]) -> None:
        self._prompt = prompt
        self._out_of_reach = out_of_reach

    @property
    def reaches_somebody(self) -> bool:
        return self._prompt.reaches_somebody

    def show(self, offer: Offer) -> None:
        self._prompt.show(replace(offer, steps=(*(each.problem for each in self._out_of_reach), *offer.steps)))

    def ask_secret(self, question: str) -> str:
        return self._prompt.ask_secret(question)

    def waiting(self, what: str, seconds: float) -> None:
        self._prompt.waiting(what, seconds)


def _out_of_reach(sign_in: SignIn, out_of_reach: list[OutOfReachError]) -> LoginFailedError:
    return LoginFailedError(
        f"There is no way to sign in at {sign_in.issuer} from here. {' '.join(map(str, out_of_reach))}",
        fix="Bring a token by another `source`: file, env or var (--token-file PATH, --token-env NAME).",
    )
