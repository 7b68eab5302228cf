"""The demo's world: both servers, acquainted with each other, and something in AWS to look at."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import threading
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_federation.demo.aws import EmbeddedAws, IdentityPool, OpenIdProvider, Role
from jupyter_federation.demo.identity_provider import IdentityProvider

if TYPE_CHECKING:
    from typing_extensions import Self

REGION = "eu-west-1"
BUCKET = "federation-demo"
TABLE = "federation-demo"

_OBJECTS = {
    "README.txt": "Birds that nobody counted, at an estuary that is on no map. Made up for this demo; public domain.\n",
    "birds/spring.csv": "day,species,count\n"
    "2024-03-02,curlew,14\n2024-03-09,curlew,19\n2024-03-09,oystercatcher,31\n"
    "2024-03-16,avocet,4\n2024-03-23,avocet,11\n2024-03-30,little tern,2\n",
    "birds/autumn.csv": "day,species,count\n"
    "2024-09-07,curlew,22\n2024-09-14,brent goose,5\n2024-09-21,brent goose,48\n"
    "2024-09-28,oystercatcher,27\n2024-10-05,brent goose,130\n2024-10-12,snow bunting,3\n",
}
_ITEMS = (
    {"species": "avocet", "home": "the shallow lagoon", "call": "kluit"},
    {"species": "brent goose", "home": "the eelgrass beds", "call": "rronk"},
    {"species": "curlew", "home": "the mudflats", "call": "cur-lee"},
    {"species": "oystercatcher", "home": "the shell bank", "call": "kleep"},
)


class DemoServers:
    """Starts the identity provider and AWS, and writes the federation profiles that lead to them.

    ``lifetime`` is that of AWS keys: short, so that a refresh can be watched.  The token file always holds an ID token
    of ada's, written anew at half of ``id_token_lifetime``.  Files stand in a temporary directory that only this
    user can read, and go with the servers.
    """

    def __init__(
        self,
        *,
        lifetime: timedelta = timedelta(seconds=30),
        id_token_lifetime: timedelta = timedelta(minutes=10),
    ) -> None:
        self.provider = IdentityProvider(id_token_lifetime=id_token_lifetime)
        self.aws = EmbeddedAws(lifetime=lifetime)
        self._stopping = threading.Event()
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.provider)
            stack.enter_context(self.aws)
            self.directory = Path(tempfile.mkdtemp(prefix="jupyter-federation-demo-"))  # 0700
            stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
            self.token_file = self.directory / "id_token"
            self._register()
            self._fill()
            self.write_token()
            self._stopping.clear()
            keeper = threading.Thread(target=self._keep_token_fresh, name="demo token file", daemon=True)
            keeper.start()
            stack.callback(keeper.join)
            stack.callback(self._stopping.set)
            self._cleanup = stack.pop_all()
        return self

    def __exit__(self, *_details: object) -> None:
        self._cleanup.close()

    def environment(self) -> dict[str, str]:
        """The variables that a kernel needs, on top of those it has."""
        no_proxy = ",".join(filter(None, (os.environ.get("NO_PROXY"), "127.0.0.1,localhost")))
        config_path = os.pathsep.join(filter(None, (str(self.directory), os.environ.get("JUPYTER_CONFIG_PATH"))))
        return {
            "AWS_ENDPOINT_URL": self.aws.url,
            "AWS_EC2_METADATA_DISABLED": "true",  # signed out, nobody waits for a metadata service that is not there
            "NO_PROXY": no_proxy,
            "no_proxy": no_proxy,
            "JUPYTER_CONFIG_PATH": config_path,
        }

    def write_token(self) -> None:
        """Put a fresh ID token of ada's into the token file, whole at every moment and for this user only."""
        new = self.token_file.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(self.provider.id_token("ada"))
        new.replace(self.token_file)

    def _keep_token_fresh(self) -> None:
        while not self._stopping.wait(self.provider.id_token_lifetime.total_seconds() / 2):
            with contextlib.suppress(PermissionError):  # Windows, while somebody reads it: the old one lives on a while
                self.write_token()

    def _register(self) -> None:
        """Tell AWS of the provider, make pool and role, write the profiles."""
        issuer = OpenIdProvider(issuer=self.provider.issuer, client_ids=("notebook",), keys=self.provider.jwks)
        role = Role(name="BirdWatcher", trusts={issuer.name: ("notebook",)}, longest_session=timedelta(hours=12))
        pool = IdentityPool(providers=(issuer.name,), authenticated_role=Role(name="BirdWatcherByPool"))
        self.aws.add(issuer, role, pool)
        by_file = {"source": "file", "path": str(self.token_file), "region": REGION}
        profiles = {
            "demo": {**by_file, "provider": "oidc", "identity_pool_id": pool.id},
            "demo-sts": {**by_file, "role_arn": role.arn},
            "demo-browser": {
                "source": "oidc",
                "issuer": self.provider.issuer,
                "client_id": "notebook",
                "role_arn": role.arn,
                "region": REGION,
            },
        }
        config = {"Federation": {"default_profile": "demo", "profiles": profiles}}
        (self.directory / "jupyter_federation_config.json").write_text(json.dumps(config, indent=2))

    def _fill(self) -> None:
        """Put the bucket and the table there, as the account's administrator."""
        import boto3

        key = self.aws.mint()
        where: dict[str, Any] = {"region_name": REGION, "endpoint_url": self.aws.url, **key.for_boto3}
        session = boto3.Session()  # not the default one: that is the notebook's
        s3 = session.client("s3", **where)
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        for name, text in _OBJECTS.items():
            s3.put_object(Bucket=BUCKET, Key=name, Body=text.encode())
        dynamodb = session.client("dynamodb", **where)
        dynamodb.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "species", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "species", "KeyType": "HASH"}],
        )
        for item in _ITEMS:
            dynamodb.put_item(TableName=TABLE, Item={name: {"S": value} for name, value in item.items()})
        self.aws.calls.clear()
