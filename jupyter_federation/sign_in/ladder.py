"""Which ways of signing in there are here, and in which order they are tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from jupyter_federation.errors import ConfigurationError, LoginFailedError, LoginRequiredError
from jupyter_federation.mailbox import Mailbox
from jupyter_federation.offer import Offer
from jupyter_federation.sign_in.browser import BrowserRung, browser_is_here, open_browser
from jupyter_federation.sign_in.callback import CallbackRung
from jupyter_federation.sign_in.device_code import DeviceCodeRung
from jupyter_federation.sign_in.paste import PasteRung
from jupyter_federation.sign_in.rung import OutOfReachError, Rung, SignIn
from jupyter_federation.sign_in.token import TokenRung
from jupyter_federation.tokens import Prompt

T = TypeVar("T")


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
    it does not: its error names the next that can be asked for, as an option of ``line``, which is what the person runs
    to sign in.  ``mailbox`` is where the Jupyter server leaves an answer; None: this process's.
    """

    def __init__(
        self,
        manner: Manner,
        *,
        browser_is_here: Callable[[], bool] = browser_is_here,
        open_browser: Callable[[str], bool] = open_browser,
        mailbox: Mailbox | None = None,
        line: str = "%federate",
    ) -> None:
        self._manner = manner
        self._browser_is_here = browser_is_here
        self._open_browser = open_browser
        self._mailbox = mailbox
        self._line = line

    def climb(self, sign_in: SignIn[T], prompt: Prompt) -> T:
        """Sign in.

        Raises ConfigurationError where the policy leaves no way, LoginRequiredError where nobody can be asked,
        LoginFailedError where the person did not succeed, SourceUnavailableError where the provider is down.
        """
        rungs = self._rungs()
        if not prompt.reaches_somebody:  # a scheduled notebook opens no window on somebody's desktop
            raise _nobody(sign_in)
        problems: list[str] = []
        for number, rung in enumerate(rungs, 1):
            try:
                return rung.climb(sign_in, _Explaining(prompt, problems) if problems else prompt)
            except OutOfReachError as error:
                problems.append(str(error))
            except LoginFailedError as error:
                below = [rung for rung in rungs[number:] if rung.option is not None][:1]
                instead = [f"Or another way: {self._line} {rung.option}." for rung in below]
                failed = error.restated(fix=" ".join([error.fix, *instead]))
                break
        else:
            raise _out_of_reach(sign_in, problems)
        raise failed

    def _rungs(self) -> list[Rung]:
        """From the first to the last; those below the one that was asked for come after it."""
        manner = self._manner
        rungs: list[Rung] = []
        if not manner.token_prompt:
            if not manner.use_device_code:
                here = self._browser_is_here()
                if not manner.no_browser:
                    if here:
                        rungs.append(BrowserRung(manner.redirect_ports, open_browser=self._open_browser))
                    rungs.append(CallbackRung(self._mailbox or Mailbox.default()))
                rungs.append(PasteRung(manner.redirect_ports, browser_is_here=here))
            rungs.append(DeviceCodeRung())
        rungs.append(TokenRung())
        allowed = [rung for rung in rungs if manner.allowed is None or rung.name in manner.allowed]
        if not allowed:
            raise ConfigurationError(
                f"The policy allows signing in by {' or '.join(manner.allowed or ())} alone ({manner.allowed_by}), and "
                f"what is left here is {' or '.join(dict.fromkeys(rung.name for rung in rungs))}.",
                fix="Leave --no-browser, --use-device-code and --token-prompt out, or ask your administrator.",
            )
        return allowed


class _Explaining:
    """A prompt that says first, of whatever it shows, why another way was not taken."""

    def __init__(self, prompt: Prompt, problems: list[str]) -> None:
        self._prompt = prompt
        self._problems = problems

    @property
    def reaches_somebody(self) -> bool:
        return self._prompt.reaches_somebody

    def show(self, offer: Offer) -> None:
        self._prompt.show(replace(offer, steps=(*self._problems, *offer.steps)))

    def ask_secret(self, question: str) -> str:
        return self._prompt.ask_secret(question)

    def waiting(self, what: str, seconds: float) -> None:
        self._prompt.waiting(what, seconds)


def _out_of_reach(sign_in: SignIn[T], problems: list[str]) -> LoginFailedError:
    return LoginFailedError(
        f"There is no way to sign in at {sign_in.issuer} from here. {' '.join(problems)}",
        fix="Bring a token: --token-file PATH, --token-env NAME or --token-var NAME.",
    )


def _nobody(sign_in: SignIn[T]) -> LoginRequiredError:
    return LoginRequiredError(
        f"Signing in at {sign_in.issuer} needs a person, and nobody can be asked here: "
        "this notebook or script runs by itself.",
        fix="Let the token come in without one: `--token-file PATH` or `--token-env NAME`.",
    )
