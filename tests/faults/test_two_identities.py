"""Two identities in one kernel: AWS's own record of who signed each request has not one by the wrong one."""

import io
import threading
import time
from collections import defaultdict
from datetime import timedelta

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from doubles import Nobody
from pace import stretched

from jupyter_federation.errors import SessionClearedError

NO_RETRIES = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, max_pool_connections=32)
PARTS = TransferConfig(multipart_threshold=5 * 2**20, multipart_chunksize=5 * 2**20, max_concurrency=4)


class Crowd:
    """Threads that do one thing over and over until told to stop, or the block ends; what they raised."""

    def __init__(self):
        self.stopped = threading.Event()
        self.raised = []
        self.said = []
        self.done = defaultdict(int)
        self.threads = []

    def add(self, name, count, work):
        def go_on():
            while not self.stopped.is_set():
                try:
                    work()
                except Exception as error:  # noqa: BLE001 - the test looks at them all
                    self.raised.append((name, type(error), time.monotonic()))
                    self.said.append(str(error))
                    if isinstance(error, SessionClearedError):
                        return
                self.done[name] += 1
                self.stopped.wait(0.005)

        self.threads += [threading.Thread(target=go_on, name=name) for _ in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()

    def __exit__(self, *_details):
        self.stop()

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join(30)


@pytest.fixture
def buckets(aws):
    """Two buckets, for a and b, made by the account's administrator."""
    admin = boto3.client("s3", endpoint_url=aws.url, region_name="eu-west-1", config=NO_RETRIES, **aws.mint().for_boto3)
    for name in ("for-a", "for-b"):
        admin.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    admin.put_object(Bucket="for-a", Key="data", Body=b"of a")


@pytest.mark.slow
def test_no_request_is_signed_by_the_wrong_identity(federation, aws, buckets, monkeypatch):
    """Eight threads read as A, eight write as B with uploads in parts, both renewed under way, and B is cleared."""
    lifetime = stretched(10)  # a third of it is what a request may be under way
    monkeypatch.setattr(aws, "lifetime", timedelta(seconds=lifetime))
    federation.federate("a", prompt=Nobody())
    a = boto3.client("s3", config=NO_RETRIES)
    b = federation.session("b", prompt=Nobody()).client("s3", config=NO_RETRIES)
    large = bytes(6 * 2**20)
    start = len(aws.calls)
    crowd = Crowd()
    crowd.add("a", 8, lambda: a.get_object(Bucket="for-a", Key="data"))
    crowd.add("b", 7, lambda: b.put_object(Bucket="for-b", Key=f"data-{threading.get_ident()}", Body=b"of b"))
    crowd.add("b in parts", 1, lambda: b.upload_fileobj(io.BytesIO(large), "for-b", "large", Config=PARTS))
    with crowd:
        time.sleep(1.2 * lifetime)
        assert [] == crowd.raised, crowd.said
        cleared_at = time.monotonic()
        federation.clear(profile="b")
        signed_by_b = sum("/Researcher/" in (call.principal or "") for call in aws.calls)
        time.sleep(1)
        still_by_b = sum("/Researcher/" in (call.principal or "") for call in aws.calls) - signed_by_b
        done_by_a = crowd.done["a"]
        time.sleep(stretched(0.5))

    calls = [call for call in aws.calls[start:] if call.operation.startswith("s3:")]
    signers = defaultdict(set)
    keys = defaultdict(set)
    for call in calls:
        bucket = call.parameters["Path"].split("/")[1]
        signers[bucket].add(call.principal.split("/")[1])
        keys[bucket].add(call.access_key_id)
        assert call.status in {200, None}, (call, call.error)
    assert {"for-a": {"PoolUser"}, "for-b": {"Researcher"}} == dict(signers)
    assert len(keys["for-a"]) >= 2, "A was not renewed under way"
    assert len(keys["for-b"]) >= 2, "B was not renewed under way"
    assert len(calls) > 150
    assert any(call.operation == "s3:PUT" and "partNumber" in call.parameters for call in calls)
    assert {("b", SessionClearedError), ("b in parts", SessionClearedError)} == {
        (name, kind) for name, kind, _ in crowd.raised
    }
    assert 8 == len(crowd.raised)
    assert all(at >= cleared_at for _, _, at in crowd.raised)
    assert still_by_b <= 16, "requests that were signed before the clear may still arrive, one for each thread"
    assert crowd.done["a"] > done_by_a, "A stopped with B"
    assert "valid" == federation.status().credentials


def test_b_comes_back_to_the_clients_that_held_it(federation, aws, buckets):
    """After a clear of B its clients refuse before anything is sent; a new sign-in revives them, A is not asked."""
    federation.federate("a", prompt=Nobody())
    a, b = boto3.client("sts"), federation.session("b", prompt=Nobody()).client("sts")
    federation.clear(profile="b")
    before = len(aws.calls)
    with pytest.raises(SessionClearedError):
        b.get_caller_identity()
    assert before == len(aws.calls)
    assert "PoolUser" in a.get_caller_identity()["Arn"]
    federation.session("b", prompt=Nobody())
    assert "Researcher" in b.get_caller_identity()["Arn"]
    federation.clear()
    for client in (a, b):
        with pytest.raises(SessionClearedError):
            client.get_caller_identity()
