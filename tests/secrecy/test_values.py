"""What a notebook can hold: shown, taken apart, copied, it gives no secret away."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import json
import os
import pickle
import sys
import threading
import types

import boto3
import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter
from IPython.lib.pretty import pretty
from secrecy.scanner import Scanner

from jupyter_federation import calls
from jupyter_federation.assembly import source_of
from jupyter_federation.config import Policy
from jupyter_federation.credentials import AwsCredentials
from jupyter_federation.profile import Profile
from jupyter_federation.redaction import Secret
from jupyter_federation.sources.prompt import PromptSource
from jupyter_federation.sources.variable import VariableSource
from jupyter_federation.tokens import IdToken

pytestmark = pytest.mark.slow  # a scan of everything that an object leads to takes about a second

_DEEP = 7
_PLAIN = (int, float, bool, type(None), types.ModuleType, types.FunctionType, type, types.BuiltinFunctionType)


def holders(signing):
    """Everything that holds a secret, or may, by name."""
    kernel = calls._kernel
    current = kernel._current
    credentials = current.session.credentials()
    pasted = PromptSource()
    pasted.login(types.SimpleNamespace(ask_secret=lambda _question: Secret(signing.token)))
    return {
        "IdToken": IdToken.parse(signing.token),
        "the session's IdToken": current.session.token,
        "AwsCredentials": credentials,
        "AuthSession": signing.jf.fetch_auth_session(),
        "LiveCredentials": kernel._live,
        "frozen credentials": kernel._live.get_frozen_credentials(),
        "FederatedSession": current.session,
        "its state": current.session._state,
        "its identity": current.session.cognito_identity,
        "Federation": kernel,
        "variable source": VariableSource.holding(signing.token),
        "prompt source": pasted,
        "exchange": current.session._exchange,
        "default session": boto3.DEFAULT_SESSION,
        "credentials of the default session": boto3.DEFAULT_SESSION.get_credentials(),
        "a client": boto3.client("sts"),
    }


def harmless(signing):
    """What holds none."""
    return {
        "status": signing.jf.status(),
        "status as it came": signing.status,
        "who": signing.jf.whoami(),
        "profile": calls._kernel._current.profile,
    }


def shown(value):
    """Every way of showing ``value`` that asks for nothing in it by name."""
    data, metadata = DisplayFormatter().format(value)
    yield from (repr(value), f"{value!r}", pretty(value), repr(data), repr(metadata))
    if not isinstance(value, str | bytes):
        yield from (str(value), f"{value}", format(value))
    for method in ("_repr_html_", "_repr_mimebundle_", "_repr_json_", "to_json"):
        if hasattr(type(value), method):
            yield str(getattr(value, method)())


def parts(value, depth=_DEEP, seen=None):
    """The repr of everything that can be reached from ``value`` by its attributes, items and members."""
    seen = {} if seen is None else seen
    if depth == 0 or id(value) in seen or isinstance(value, _PLAIN):
        return
    seen[id(value)] = value  # kept, or another object might get the same id
    yield repr(value)
    if isinstance(value, str | bytes):
        return
    children = []
    if isinstance(value, dict):
        children += [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        children += value
    children += [member for name, member in _members(value) if not name.startswith("__")]
    for child in children:
        yield from parts(child, depth - 1, seen)


def _members(value):
    try:
        return inspect.getmembers(value)
    except Exception:  # noqa: BLE001 - a property that raises ends getmembers; its object's own variables remain
        return list(getattr(value, "__dict__", {}).items())


def test_nothing_shows_its_secret(signed_in):
    """No repr, str, format, display format or HTML of any object shows a secret."""
    found = {
        name: signed_in.scanner().found(shown(value))
        for name, value in {**holders(signed_in), **harmless(signed_in)}.items()
    }

    assert set() == set().union(*found.values()), found


@pytest.mark.slow
def test_nothing_shows_its_secret_when_taken_apart(signed_in):
    """vars() and inspect.getmembers, seven levels deep, meet secrets only behind their mask (of boto3's own, three)."""
    scanner = signed_in.scanner()
    found = {
        name: scanner.found(parts(value, _DEEP if type(value).__module__.startswith("jupyter_federation") else 3))
        for name, value in {**holders(signed_in), **harmless(signed_in)}.items()
    }

    assert set() == set().union(*found.values()), found


def test_taking_apart_reaches_what_is_planted(signed_in):
    """A plain string as deep as the credentials lie is seen by the test above."""
    calls._kernel._current.session._planted = {"deep": [types.SimpleNamespace(token=signed_in.token)]}

    assert {"ID token, payload", "ID token, signature"} == signed_in.scanner().found(parts(calls._kernel))


def test_showing_sees_what_is_planted(signed_in):
    """A dataclass with a plain field is seen by the test of reprs."""

    @dataclasses.dataclass
    class Careless:
        token: str

    assert {"ID token, payload", "ID token, signature"} == signed_in.scanner().found(shown(Careless(signed_in.token)))


PICKLED = (
    "IdToken",
    "the session's IdToken",
    "AwsCredentials",
    "AuthSession",
    "LiveCredentials",
    "frozen credentials",
    "FederatedSession",
    "its state",
    "its identity",
    "Federation",
    "variable source",
    "prompt source",
    "credentials of the default session",
    "default session",
    "a client",
)


@pytest.mark.parametrize("name", PICKLED)
def test_what_holds_a_secret_is_not_pickled(signed_in, name):
    """Pickle and deepcopy of whatever holds a secret raise, and what they raise names none."""
    if name == "its identity" and calls._kernel._current.session.cognito_identity is None:
        return  # STS has no identities
    for carry in (pickle.dumps, copy.deepcopy):
        with pytest.raises((TypeError, AttributeError, pickle.PicklingError)) as refused:
            carry(holders(signed_in)[name])
        assert set() == signed_in.scanner().found(repr(refused.value))


@pytest.mark.slow
def test_a_shallow_copy_shows_nothing_either(signed_in):
    """copy.copy either raises TypeError or gives an object that shows as little as the first."""
    for name, value in holders(signed_in).items():
        if name == "a client":
            continue  # botocore's clients recurse without end when they are copied
        try:
            copied = copy.copy(value)
        except TypeError:
            continue
        assert set() == signed_in.scanner().found(shown(copied), parts(copied, 3)), name


def test_credentials_made_of_plain_strings_hold_secrets(signed_in):
    """Whoever builds credentials by hand gets masked ones."""
    credentials = dataclasses.replace(
        signed_in.jf.fetch_auth_session().credentials, secret_access_key="s" * 40, session_token="t" * 99
    )

    assert isinstance(credentials, AwsCredentials)
    assert (Secret, Secret) == (type(credentials.secret_access_key), type(credentials.session_token))


def test_a_token_made_of_a_plain_string_holds_a_secret():
    """Whoever builds an IdToken by hand gets a masked one."""
    assert Secret is type(IdToken(raw="opaque-token-of-a-custom-source").raw)


def test_asdict_and_tables_refuse_credentials(signed_in):
    """dataclasses.asdict, and with it pandas and most serializers, refuse what holds a secret."""
    credentials = signed_in.jf.fetch_auth_session().credentials
    for spread in (dataclasses.asdict, dataclasses.astuple, lambda value: pd.DataFrame([value]), json.dumps):
        with pytest.raises(TypeError) as refused:
            spread(credentials)
        assert set() == signed_in.scanner().found(repr(refused.value))


def test_a_table_of_objects_shows_nothing(signed_in):
    """A DataFrame or Series whose cells are our objects shows their reprs.

    Not so botocore's frozen credentials, nor a secret taken out: pandas shows a tuple's items and a string as they are.
    """
    ours = [value for name, value in holders(signed_in).items() if name != "frozen credentials"]
    frame = pd.DataFrame({"what": ours}, dtype=object)

    assert set() == signed_in.scanner().found(frame.to_string(), frame.to_html(), repr(frame["what"]), pretty(frame))


def test_the_display_of_a_status_names_nobody(signed_in):
    """What a status shows in a notebook is no person, account, role or identity; its attributes know them."""
    status = signed_in.jf.status()
    data, _ = DisplayFormatter().format(status)

    assert {"text/plain", "text/html"} <= data.keys()
    assert set() == signed_in.personal().found(data, str(status), signed_in.status._repr_html_())
    assert {"e-mail"} <= signed_in.personal().found(status.to_json())


def test_the_repr_of_a_status_names_nobody(signed_in):
    """A status inside a list, a dict or a log shows no more than a status alone."""
    assert set() == signed_in.personal().found(repr(signed_in.status), pretty([signed_in.status]))


def test_whoami_may_name_the_person(signed_in):
    """What whoami shows holds the account and no secret: it is what was asked for."""
    who = signed_in.jf.whoami()

    assert {"account"} <= signed_in.personal().found(str(who))
    assert set() == signed_in.scanner().found(shown(who))


def test_threads_have_plain_names(signed_in):
    """No thread's name, no warning, no process argument and no imported module's variable holds a secret."""
    ours = [vars(module) for name, module in sys.modules.items() if name.startswith("jupyter_federation")]

    assert set() == signed_in.scanner().found([each.name for each in threading.enumerate()], sys.argv, repr(ours))


def test_the_environment_holds_no_secret(signed_in):
    """Nothing secret is put into the environment, which every child process inherits."""
    assert set() == signed_in.scanner().found(dict(os.environ))
    assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} & os.environ.keys()


def test_keys_that_are_set_aside_are_masked(signing, monkeypatch):
    """Static keys found in the environment are kept masked, and given back as they were."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "Zm9yZWlnbiBzZWNyZXQga2V5IG9mIHRoZSB1c2Vy")
    scanner = Scanner({"the user's": "Zm9yZWlnbiBzZWNyZXQga2V5IG9mIHRoZSB1c2Vy"})

    status = signing.sts()

    assert set() == scanner.found(shown(status), parts(calls._kernel), dict(os.environ))
    signing.jf.clear()
    assert {"the user's"} == scanner.found(dict(os.environ))


def test_sources_hide_what_they_read(signing, monkeypatch):
    """A source's repr and variables hold no token, whichever source it is."""
    monkeypatch.setenv("MY_TOKEN", signing.token)
    profiles = [
        Profile(source="file", path=str(signing.token_file)),
        Profile(source="env", variable="MY_TOKEN"),
        Profile(source="var", variable="my_token"),
    ]
    for profile in profiles:
        source = source_of(profile, {"my_token": Secret(os.environ["MY_TOKEN"])}, Policy())
        assert source.token().raw == signing.token
        assert set() == signing.scanner().found(shown(source), parts(source), shown(profile))
