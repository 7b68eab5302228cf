"""The demo's world, as its user's kernel finds it."""

import stat
import sys
import time
from datetime import timedelta

import boto3
import jwt
import pytest

from jupyter_federation import config
from jupyter_federation.demo.servers import BUCKET, TABLE, DemoServers


@pytest.fixture
def demo():
    with DemoServers() as servers:
        yield servers


@pytest.fixture
def session(demo, monkeypatch):
    """A session with the demo's environment and an administrator's keys."""
    for name, value in demo.environment().items():
        monkeypatch.setenv(name, value)
    return boto3.Session(region_name="eu-west-1", **demo.aws.mint().for_boto3)


def test_the_profiles_are_found_and_complete(demo, monkeypatch):
    """With the environment set, the three federation profiles load, demo by default."""
    for name, value in demo.environment().items():
        monkeypatch.setenv(name, value)
    configuration = config.load()
    assert ["demo", "demo-browser", "demo-sts"] == sorted(configuration.profiles)
    assert configuration.profile().identity_pool_id in demo.aws.pools
    assert configuration.profile("demo-sts").role_arn in demo.aws.roles
    assert configuration.profile("demo-browser").issuer == demo.provider.issuer


def test_the_token_in_the_file_is_exchanged(demo, session):
    """By the pool and by the role that the profiles name."""
    token = demo.token_file.read_text()
    profiles = config.load([demo.directory]).profiles
    key = demo.provider.issuer.partition("://")[2]
    cognito = session.client("cognito-identity")
    assert cognito.get_id(IdentityPoolId=profiles["demo"].identity_pool_id, Logins={key: token})["IdentityId"]
    given = {"RoleArn": profiles["demo-sts"].role_arn, "RoleSessionName": "ada", "WebIdentityToken": token}
    keys = session.client("sts").assume_role_with_web_identity(**given)["Credentials"]
    assert keys["Expiration"] - demo.aws.now() <= timedelta(seconds=60)


def test_there_is_something_to_look_at(session):
    """A few objects and a few items."""
    listed = session.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
    assert ["README.txt", "birds/autumn.csv", "birds/spring.csv"] == [each["Key"] for each in listed]
    assert 4 == session.client("dynamodb").scan(TableName=TABLE)["Count"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_only_the_user_can_read_the_files(demo):
    """0700 and 0600, whatever the umask."""
    assert (0o700, 0o600) == (
        stat.S_IMODE(demo.directory.stat().st_mode),
        stat.S_IMODE(demo.token_file.stat().st_mode),
    )


def test_an_existing_environment_is_kept(demo, monkeypatch):
    """The demo's own hosts and directory come beside those that were there."""
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "elsewhere")
    environment = demo.environment()
    assert "intranet.example,127.0.0.1,localhost" == environment["NO_PROXY"]
    assert environment["JUPYTER_CONFIG_PATH"].startswith(str(demo.directory))
    assert environment["JUPYTER_CONFIG_PATH"].endswith("elsewhere")


def test_the_token_file_stays_fresh_and_goes_with_the_servers():
    """A token that lives two seconds is replaced before it lapses; afterwards there is no file and no port."""
    with DemoServers(id_token_lifetime=timedelta(seconds=2)) as servers:
        first = servers.token_file.read_text()
        while (newer := servers.token_file.read_text()) == first:
            time.sleep(0.05)
        claims = jwt.decode(newer, options={"verify_signature": False})
        assert claims["exp"] > jwt.decode(first, options={"verify_signature": False})["exp"]
    assert not servers.directory.exists()
