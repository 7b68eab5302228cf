"""The environment is lent, not overwritten."""

import pytest

from jupyter_federation.delivery.environment import OUTRANKING, EnvironmentDelivery


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
