"""A clear reaches the object that every client holds, whatever is being read from it at that moment."""

import pytest
from doubles import FakeClock, Nobody, ScriptedExchange, ScriptedSource, StepRefresher

from jupyter_federation.delivery.live import LiveCredentials, SessionClearedError
from jupyter_federation.federated_session import FederatedSession


@pytest.fixture
def session():
    clock = FakeClock()
    session = FederatedSession(ScriptedSource(), ScriptedExchange(clock), clock=clock, refresher=StepRefresher(clock))
    session.login(Nobody())
    return session


@pytest.fixture
def live(session):
    live = LiveCredentials()
    live.follow(session)
    assert "key-1" == live.get_frozen_credentials().access_key
    return live


def test_a_clear_does_not_wait_for_the_session_to_be_closed(live, session):
    """From the clear on nothing is handed out and no key is kept, though the session lives for a moment more."""
    live.clear()
    with pytest.raises(SessionClearedError):
        live.get_frozen_credentials()
    assert None is live._frozen
    assert "key-1" == session.credentials().access_key_id


def test_a_clear_during_a_read_keeps_no_key(live, session, monkeypatch):
    """Who was reading has the whole set; the object has none."""
    session.refresh()
    read = session.credentials

    def cleared_meanwhile():
        live.clear()
        return read()

    monkeypatch.setattr(session, "credentials", cleared_meanwhile)
    assert ("key-2", "secret-2", "session-2") == tuple(live.get_frozen_credentials())[:3]
    assert None is live._frozen


def test_a_close_during_a_read_is_a_clear(live, session):
    """A session that was closed a moment before it is read: botocore's kind of error, and ours."""
    session.close()
    with pytest.raises(SessionClearedError):
        live.get_frozen_credentials()


def test_the_set_is_whole_and_new_after_each_renewal(live, session):
    """Never a part of one and a part of another, never the one before."""
    for number in range(2, 20):
        session.refresh()
        keys = live.get_frozen_credentials()
        assert (f"key-{number}", f"secret-{number}", f"session-{number}") == tuple(keys)[:3]
        assert keys is live.get_frozen_credentials()
