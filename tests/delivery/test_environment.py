"""The environment is lent, not overwritten."""

import itertools

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from jupyter_federation.delivery.environment import OUTRANKING, REGION, EnvironmentDelivery


@pytest.mark.parametrize("name", OUTRANKING)
def test_a_variable_that_outranks_is_set_aside_and_given_back(name):
    """Whatever would make a tool act as somebody else goes, is named, and comes back."""
    environment = {name: "before", "HOME": "/home/ada"}
    delivery = EnvironmentDelivery(environment)
    delivery.put_aside()
    assert ({"HOME": "/home/ada"}, (name,)) == (environment, delivery.set_aside)
    delivery.give_back()
    assert ({name: "before", "HOME": "/home/ada"}, ()) == (environment, delivery.set_aside)


def test_what_the_user_sets_meanwhile_stays_the_users():
    """A variable set anew while signed in is not overwritten on clear."""
    environment = {"AWS_PROFILE": "before"}
    delivery = EnvironmentDelivery(environment)
    delivery.put_aside()
    environment["AWS_PROFILE"] = "mine"
    delivery.give_back()
    assert {"AWS_PROFILE": "mine"} == environment


def test_two_sign_ins_in_a_row_give_back_what_stood_there_last():
    """The second sign-in sets aside what the user set after the first."""
    environment = {"AWS_PROFILE": "before"}
    delivery = EnvironmentDelivery(environment)
    delivery.put_aside()
    environment["AWS_PROFILE"] = "mine"
    delivery.put_aside()
    assert {} == environment
    delivery.give_back()
    assert {"AWS_PROFILE": "mine"} == environment


def test_the_region_is_lent_where_none_is_set():
    """Both names: boto3 reads one, other tools the other."""
    environment = {}
    delivery = EnvironmentDelivery(environment)
    delivery.lend_region("eu-west-1")
    assert {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"} == environment
    delivery.lend_region("eu-north-1")
    assert "eu-north-1" == environment["AWS_REGION"]
    delivery.give_back()
    assert {} == environment


def test_a_region_of_the_users_is_left_alone():
    """The user's own choice stands."""
    environment = {"AWS_REGION": "us-east-1"}
    delivery = EnvironmentDelivery(environment)
    delivery.lend_region("eu-west-1")
    delivery.give_back()
    assert {"AWS_REGION": "us-east-1"} == environment


def test_a_lent_region_that_the_user_changed_stays():
    """A change meanwhile is the user's."""
    environment = {}
    delivery = EnvironmentDelivery(environment)
    delivery.lend_region("eu-west-1")
    environment["AWS_REGION"] = "us-east-1"
    delivery.give_back()
    assert {"AWS_REGION": "us-east-1"} == environment


def test_giving_back_twice_does_nothing():
    """Idempotent, as clear is."""
    environment = {"AWS_PROFILE": "before"}
    delivery = EnvironmentDelivery(environment)
    delivery.put_aside()
    delivery.give_back()
    del environment["AWS_PROFILE"]
    delivery.give_back()
    assert {} == environment


def test_the_values_set_aside_are_not_shown():
    """They may be secret keys."""
    delivery = EnvironmentDelivery({"AWS_SECRET_ACCESS_KEY": "planted-secret"})
    delivery.put_aside()
    assert "planted-secret" not in repr(vars(delivery))


@pytest.mark.parametrize(
    ("before", "lent"),
    [
        ({"HTTP_PROXY": "p"}, {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}),
        ({"all_proxy": "p"}, {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}),
        ({"http_proxy": "p", "no_proxy": "a.b"}, {"NO_PROXY": "a.b,127.0.0.1", "no_proxy": "a.b,127.0.0.1"}),
        ({"http_proxy": "p", "NO_PROXY": "a, b"}, {"NO_PROXY": "a,b,127.0.0.1", "no_proxy": "a,b,127.0.0.1"}),
        ({"http_proxy": "p", "NO_PROXY": "127.0.0.1", "no_proxy": ""}, {"no_proxy": "127.0.0.1"}),
        ({"http_proxy": "p", "no_proxy": "*"}, {"NO_PROXY": "*"}),
        ({"http_proxy": ""}, {}),
        ({"NO_PROXY": "a.b"}, {}),
    ],
)
def test_the_endpoint_is_reached_without_a_proxy(before, lent):
    """Appended to what is there, under both names, only where there is a proxy; all as before when given back."""
    environment = dict(before)
    delivery = EnvironmentDelivery(environment)
    for _sign_in in range(2):
        delivery.lend_no_proxy("127.0.0.1")
        assert before | lent == environment
    delivery.give_back()
    assert before == environment


def test_a_no_proxy_of_the_users_own_is_left_and_extended_anew():
    """What the user sets while signed in is what stands there afterwards."""
    environment = {"http_proxy": "p", "no_proxy": "a.b"}
    delivery = EnvironmentDelivery(environment)
    delivery.lend_no_proxy("127.0.0.1")
    environment["no_proxy"] = "c.d"
    delivery.lend_no_proxy("127.0.0.1")
    assert "c.d,127.0.0.1" == environment["no_proxy"]
    delivery.give_back()
    assert {"http_proxy": "p", "no_proxy": "c.d"} == environment


def test_the_region_of_the_next_sign_in_takes_the_place_of_the_one_before():
    """But not that of one which the user has set meanwhile, under either name."""
    environment = {}
    delivery = EnvironmentDelivery(environment)
    delivery.lend_region("eu-west-1")
    del environment["AWS_DEFAULT_REGION"]
    environment["AWS_REGION"] = "us-east-1"
    delivery.lend_region("eu-north-1")
    assert {"AWS_REGION": "us-east-1"} == environment
    delivery.give_back()
    assert {"AWS_REGION": "us-east-1"} == environment


def test_what_goes_on_being_lent_is_never_away():
    """Another thread may make a client at any moment."""
    environment = {}
    delivery = EnvironmentDelivery(environment)
    delivery.lend_region("eu-west-1")
    delivery.take_back(REGION, but="eu-west-1")
    assert dict.fromkeys(REGION, "eu-west-1") == environment
    delivery.take_back(REGION, but="eu-north-1")
    assert {} == environment


TOOLS = OUTRANKING[-3:]
NAMES = st.sampled_from(("AWS_PROFILE", *TOOLS, *REGION, "HOME"))


class Lending(RuleBasedStateMachine):
    """A user who sets and deletes variables, and sign-ins and clears in any order between."""

    def __init__(self):
        super().__init__()
        self.environment = {}
        self.delivery = EnvironmentDelivery(self.environment)
        self.numbers = itertools.count()
        self.set = {}  # the last value that the user gave a name, unless they have deleted that name since
        self.every = {}  # all the values that they ever gave it
        self.is_signed_in = False

    @rule(name=NAMES)
    def the_user_sets(self, name):
        value = f"user's {next(self.numbers)}"
        self.environment[name] = self.set[name] = value
        self.every.setdefault(name, set()).add(value)

    @rule(name=NAMES)
    def the_user_deletes(self, name):
        if self.environment.pop(name, None) is not None:
            self.set.pop(name, None)

    @rule(tools=st.sets(st.sampled_from(TOOLS)), region=st.sampled_from(["eu-west-1", "eu-north-1"]))
    def somebody_signs_in(self, tools, region):
        self.is_signed_in = True
        self.delivery.put_aside()
        self.delivery.take_back(REGION, but=region)
        if "AWS_DEFAULT_REGION" not in self.environment:
            self.delivery.lend_region(region)
        self.delivery.take_back(set(TOOLS) - tools)
        lent = {name: f"lent {next(self.numbers)}" for name in sorted(tools)}
        self.delivery.lend(lent)
        assert lent == {name: self.environment[name] for name in TOOLS if name in self.environment}
        assert "AWS_PROFILE" not in self.environment
        assert any(name in self.environment for name in REGION)

    @rule()
    def somebody_clears(self):
        self.is_signed_in = False
        self.delivery.give_back()
        assert () == self.delivery.set_aside

    @invariant()
    def what_the_user_has_set_survives(self):
        if self.is_signed_in:
            return
        for name, value in self.set.items():
            assert value == self.environment.get(name)
        for name, value in self.environment.items():
            assert value in self.every.get(name, ()), "lent, and not given back"

    @invariant()
    def what_outranks_nothing_is_never_touched(self):
        assert self.set.get("HOME") == self.environment.get("HOME")


TestLending = Lending.TestCase
