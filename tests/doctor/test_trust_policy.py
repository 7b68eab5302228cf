"""A corpus of trust policies, good ones and bad ones: none is missed, none wrongly accused."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from jupyter_federation import app
from jupyter_federation.doctor.checks import trust_policy
from jupyter_federation.doctor.checks.trust_policy import COGNITO, Expected, read, trusted
from jupyter_federation.doctor.examination import examine
from jupyter_federation.doctor.patient import Patient
from jupyter_federation.profile import Profile
from jupyter_federation.tokens import IdToken

ISSUER = "login.example.org/realms/research"
ARN = f"arn:aws:iam::123456789012:oidc-provider/{ISSUER}"
POOL = "eu-west-1:1a2b3c4d-0000-1111-2222-333344445555"
GITHUB = "token.actions.githubusercontent.com"
EKS = "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE"
WEB = "sts:AssumeRoleWithWebIdentity"

BY_OIDC = {"source": "oidc", "issuer": f"https://{ISSUER}"}
OURS = Expected(provider=ISSUER, audience="jupyter")
THE_POOL = Expected(provider=COGNITO, audience=POOL)
GUESTS = Expected(provider=COGNITO, audience=POOL, guests=True)
ANY = Expected()
UNTAGGED = Expected(provider=ISSUER, audience="jupyter", tags=frozenset())
TAGGED = Expected(provider=ISSUER, audience="jupyter", tags=frozenset({"person", "team"}))


def policy(condition=None, *, principal=ARN, action=WEB, **statement):
    """One statement that lets in tokens of ``principal``."""
    block = {} if condition is None else {"Condition": condition}
    principal = principal if isinstance(principal, (dict, list)) or principal == "*" else {"Federated": principal}
    said = {"Effect": "Allow", "Principal": principal, "Action": action, **block} | statement
    said = {name: value for name, value in said.items() if value is not None}
    return {"Version": "2012-10-17", "Statement": [said]}


def several(*policies):
    return {"Version": "2012-10-17", "Statement": [each["Statement"][0] for each in policies]}


def aud(value="jupyter", operator="StringEquals", name=ISSUER):
    return {operator: {f"{name}:aud": value}}


def pool(amr="authenticated", operator="ForAnyValue:StringLike"):
    said = aud(POOL, name=COGNITO)
    said.setdefault(operator, {})[f"{COGNITO}:amr"] = amr
    return said


def github(sub=None, operator="StringLike"):
    said = aud("sts.amazonaws.com", name=GITHUB)
    if sub is not None:
        said.setdefault(operator, {})[f"{GITHUB}:sub"] = sub
    return policy(said, principal=f"arn:aws:iam::123456789012:oidc-provider/{GITHUB}")


def tagged(operator="StringLike", value="?*", name="person", **more):
    """Our own policy, with a condition on a session tag."""
    said = aud()
    for each, values in ({operator: value} | more).items():
        said.setdefault(each, {})[f"aws:RequestTag/{name}"] = values
    return policy(said, action=[WEB, "sts:TagSession"])


EC2 = policy(principal={"Service": "ec2.amazonaws.com"}, action="sts:AssumeRole")

GOOD = {
    "the documentation's": (policy(aud()), OURS),
    "one of several audiences": (policy(aud(["hub", "jupyter"])), OURS),
    "with people named": (policy({"StringEquals": {f"{ISSUER}:aud": "jupyter", f"{ISSUER}:sub": ["a", "b"]}}), OURS),
    "keys in other letters": (policy({"stringequals": {f"{ISSUER}:AUD": "jupyter"}}), OURS),
    "with session tags": (policy(aud(), action=[WEB, "sts:TagSession"]), OURS),
    "beside a service": (several(EC2, policy(aud())), OURS),
    "two providers": (
        several(policy(aud()), policy(aud("x", name="b.org"), principal=ARN.replace(ISSUER, "b.org"))),
        OURS,
    ),
    "a statement, not a list": ({"Statement": policy(aud())["Statement"][0]}, OURS),
    "further conditions": (policy(aud() | {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}), OURS),
    "a Deny with a star": (
        several(policy(aud()), policy(principal="*", action="sts:*", Effect="Deny")),
        OURS,
    ),
    "IfExists beside one that holds": (
        policy(aud() | {"StringEqualsIfExists": {f"{ISSUER}:aud": "jupyter"}}),
        OURS,
    ),
    "a pool's": (policy(pool(), principal=COGNITO), THE_POOL),
    "a pool's, with StringEquals": (policy(pool(operator="ForAnyValue:StringEquals"), principal=COGNITO), THE_POOL),
    "a pool's by provider": (policy(pool(f"{ISSUER}"), principal=COGNITO), THE_POOL),
    "a pool's guests, wanted": (policy(pool("unauthenticated"), principal=COGNITO), GUESTS),
    "Google's": (
        policy(aud("1-a.apps.googleusercontent.com", name="accounts.google.com"), principal="accounts.google.com"),
        ANY,
    ),
    "Amazon's own key": (
        policy(
            {"StringEquals": {"www.amazon.com:app_id": "amzn1.application-oa2-client.x"}}, principal="www.amazon.com"
        ),
        ANY,
    ),
    "GitHub, one repository": (github("repo:octo-org/notebooks:ref:refs/heads/main", "StringEquals"), ANY),
    "GitHub, one owner": (github("repo:octo-org/*"), ANY),
    "a service account": (
        policy(
            {
                "StringEquals": {f"{EKS}:aud": "sts.amazonaws.com"},
                "StringLike": {f"{EKS}:sub": "system:serviceaccount:hub:*"},
            },
            principal=f"arn:aws:iam::123456789012:oidc-provider/{EKS}",
        ),
        ANY,
    ),
    "China's ARN": (policy(aud(), principal=ARN.replace("arn:aws:", "arn:aws-cn:")), OURS),
    "as get-role prints it": ({"Role": {"RoleName": "R", "AssumeRolePolicyDocument": policy(aud())}}, OURS),
    "as the API has it": (
        {"Role": {"AssumeRolePolicyDocument": json.dumps(policy(aud())).replace('"', "%22").replace(" ", "%20")}},
        OURS,
    ),
    "a pool that is closed": (
        {"IdentityPoolId": POOL, "AllowClassicFlow": False, "AllowUnauthenticatedIdentities": False},
        THE_POOL,
    ),
}

# One statement for two providers, with a condition that only the tokens of one can fulfil.
BOTH = {"Federated": [ARN, ARN.replace(ISSUER, "b.org")]}
GOOD["a second principal that nothing lets in"] = (policy(aud(), principal=BOTH), OURS)
GOOD["the same, whoever is expected"] = (policy(aud(), principal=BOTH), ANY)

# A session tag that the token carries, that is not demanded, or of which nothing is known.
GOOD |= {
    "a session tag that is carried": (tagged(), TAGGED),
    "in other letters": (tagged(name="Person"), TAGGED),
    "a session tag that must be there, and is": (tagged("Null", "false"), TAGGED),
    "a session tag, and no token": (tagged(), OURS),
    "a session tag, if it is there": (tagged("StringLikeIfExists"), UNTAGGED),
    "a session tag that must not be there": (tagged("Null", "true"), UNTAGGED),
    "there or not": (tagged("Null", ["true", "false"]), UNTAGGED),
    "a session tag that is none of these": (tagged("StringNotLike", "*/*"), UNTAGGED),
    "all values of a session tag": (tagged("ForAllValues:StringLike"), UNTAGGED),
    "no other session tags": (policy(aud() | {"ForAllValues:StringEquals": {"aws:TagKeys": ["person"]}}), UNTAGGED),
    "a statement without the session tag": (several(tagged(), policy(aud())), UNTAGGED),
    "a session tag for a pool, which makes it": (
        policy(pool() | {"StringLike": {"aws:RequestTag/person": "?*"}}, principal=COGNITO),
        THE_POOL,
    ),
}

BAD = {
    "a session tag by StringLike": ("trust-tag-missing", tagged(), UNTAGGED),
    "a session tag by StringEquals": ("trust-tag-missing", tagged("StringEquals", "ada"), UNTAGGED),
    "a session tag by ForAnyValue": ("trust-tag-missing", tagged("ForAnyValue:StringLike"), UNTAGGED),
    "a session tag that must be there": ("trust-tag-missing", tagged("Null", "false"), UNTAGGED),
    "the same, as JSON's own": ("trust-tag-missing", tagged("Null", value=False), UNTAGGED),
    "another session tag than is carried": ("trust-tag-missing", tagged(name="project"), TAGGED),
    "a session tag, in one way of two": ("trust-tag-missing", tagged(StringLikeIfExists="?*"), UNTAGGED),
    "everybody, beside a session tag": ("trust-principal-open", several(tagged(), policy(principal="*")), UNTAGGED),
    "a session tag in each statement": ("trust-tag-missing", several(tagged(), tagged(name="team")), UNTAGGED),
    "none, beside an audience that is an empty list": (
        "trust-no-audience",
        several(policy(aud([])), policy(principal="arn:aws:iam::123456789012:oidc-provider/b.org")),
        ANY,
    ),
    "two providers' conditions at once": (
        "trust-key-wrong",
        policy({"StringEquals": {f"{ISSUER}:aud": "jupyter", "b.org:aud": "x"}}, principal=BOTH),
        OURS,
    ),
    "the condition of the other provider": ("trust-key-wrong", policy(aud(name="b.org"), principal=BOTH), OURS),
    "the key with https, if it exists": (
        "trust-no-audience",
        policy({"StringEqualsIfExists": {f"https://{ISSUER}:aud": "jupyter"}}),
        OURS,
    ),
    "no condition": ("trust-no-audience", policy(), OURS),
    "only a subject": ("trust-no-audience", policy({"StringEquals": {f"{ISSUER}:sub": "a"}}), OURS),
    "everything but": ("trust-no-audience", policy(aud("other", "StringNotEquals")), OURS),
    "any audience at all": ("trust-no-audience", policy({"Null": {f"{ISSUER}:aud": "false"}}), OURS),
    "an audience with a star": ("trust-audience-wildcard", policy(aud("*", "StringLike")), OURS),
    "an audience's beginning": ("trust-audience-wildcard", policy(aud("jup*", "StringLike")), OURS),
    "a star that is a letter": ("trust-wildcard-literal", policy(aud("*")), ANY),
    "StringLike without a star": ("trust-audience-like", policy(aud(operator="StringLike")), OURS),
    "another client": ("trust-audience-mismatch", policy(aud("hub")), OURS),
    "the audience if there is one": ("trust-if-exists", policy(aud(operator="StringEqualsIfExists")), OURS),
    "all values": ("trust-for-all-values", policy(aud(operator="ForAllValues:StringEquals")), OURS),
    "the key with https": (
        "trust-key-wrong",
        policy({"StringEquals": {f"https://{ISSUER}:aud": "jupyter"}}),
        OURS,
    ),
    "the key of the host alone": ("trust-key-wrong", policy(aud(name="login.example.org")), OURS),
    "the issuer in place of the ARN": ("trust-principal-wrong", policy(aud(), principal=f"https://{ISSUER}"), OURS),
    "https in the ARN": (
        "trust-principal-wrong",
        policy(aud(), principal=ARN.replace("provider/", "provider/https://")),
        OURS,
    ),
    "another realm": ("trust-principal-wrong", policy(aud(name="b.org"), principal=ARN.replace(ISSUER, "b.org")), OURS),
    "under AWS": ("trust-principal-wrong", policy(aud(), principal={"AWS": ARN}), OURS),
    "under Service": ("trust-principal-wrong", policy(pool(), principal={"Service": COGNITO}), THE_POOL),
    "everybody": ("trust-principal-open", policy(aud(), principal="*"), OURS),
    "every account": (
        "trust-principal-open",
        policy(principal={"AWS": "*"}, action="sts:AssumeRole"),
        OURS,
    ),
    "everybody but": (
        "trust-principal-open",
        policy(aud(), principal=None, NotPrincipal={"AWS": "arn:aws:iam::123456789012:root"}),
        OURS,
    ),
    "AssumeRole": ("trust-no-web-identity", policy(aud(), action="sts:AssumeRole"), OURS),
    "SAML's": ("trust-no-web-identity", policy(aud(), action="sts:AssumeRoleWithSAML"), OURS),
    "a service's alone": ("trust-no-web-identity", EC2, OURS),
    "all of STS": ("trust-action-wide", policy(aud(), action="sts:*"), OURS),
    "a pool without amr": ("trust-no-amr", policy(aud(POOL, name=COGNITO), principal=COGNITO), THE_POOL),
    "any pool": (
        "trust-no-audience",
        policy({"ForAnyValue:StringLike": {f"{COGNITO}:amr": "authenticated"}}, principal=COGNITO),
        THE_POOL,
    ),
    "another pool": (
        "trust-audience-mismatch",
        policy(pool() | aud("eu-west-1:00000000-0000-0000-0000-000000000000", name=COGNITO), principal=COGNITO),
        THE_POOL,
    ),
    "the client in the pool's place": (
        "trust-audience-mismatch",
        policy(pool() | aud("jupyter", name=COGNITO), principal=COGNITO),
        THE_POOL,
    ),
    "a pool's guests": ("trust-guests", policy(pool("unauthenticated"), principal=COGNITO), THE_POOL),
    "a pool's everybody": ("trust-guests", policy(pool(["authenticated", "*"]), principal=COGNITO), THE_POOL),
    "all values of amr": (
        "trust-for-all-values",
        policy(pool(operator="ForAllValues:StringLike"), principal=COGNITO),
        THE_POOL,
    ),
    "GitHub, anybody": ("trust-no-subject", github(), ANY),
    "GitHub, any repository": ("trust-subject-wildcard", github("repo:*"), ANY),
    "GitHub, whoever is called so": ("trust-subject-wildcard", github("repo:octo*"), ANY),
    "GitHub, a star that is a letter": ("trust-wildcard-literal", github("repo:octo-org/*", "StringEquals"), ANY),
    "any service account": (
        "trust-no-subject",
        policy(aud("sts.amazonaws.com", name=EKS), principal=f"arn:aws:iam::123456789012:oidc-provider/{EKS}"),
        ANY,
    ),
    "a pool with the classic flow": ("classic-flow-on", {"IdentityPoolId": POOL, "AllowClassicFlow": True}, THE_POOL),
    "a pool with guests": (
        "guests-admitted",
        {"IdentityPoolId": POOL, "AllowUnauthenticatedIdentities": True},
        THE_POOL,
    ),
    "no policy": ("trust-policy-unreadable", {"Policy": {}}, OURS),
    "a list": ("trust-policy-unreadable", [1, 2], OURS),
}


@pytest.mark.parametrize("case", GOOD)
def test_a_good_policy_is_not_accused(case):
    """Nothing is found in it."""
    document, expected = GOOD[case]
    assert [] == [each.code for each in read(document, expected, where="trust.json")]


@pytest.mark.parametrize("case", BAD)
def test_a_bad_policy_is_named(case):
    """By its own code and no other."""
    code, document, expected = BAD[case]
    assert [code] == [each.code for each in read(document, expected, where="trust.json")]


def test_the_documentation_s_policies_are_good(tmp_path):
    """Each trust policy of docs/aws.md and of the templates."""
    page = (Path(__file__).parents[2] / "docs" / "aws.md").read_text()
    blocks = [block.partition("\nEND")[0] for block in page.split("<<END\n")[1:]]
    policies = [block for block in blocks if '"Statement"' in block]
    assert len(policies) == 6
    values = {
        "$PROVIDER": ARN,
        "$NAME": ISSUER,
        "$CLIENT_ID": "jupyter",
        "$POOL": POOL,
        "$GOOGLE_CLIENT_ID": "1-a.apps.googleusercontent.com",
    }
    for text in policies:
        said = text
        for name, value in values.items():
            said = said.replace(name, value)
        assert [] == list(read(json.loads(said), ANY, where="docs/aws.md"))


@pytest.mark.parametrize(
    ("profile", "document", "codes"),
    [
        ({"source": "oidc", "issuer": f"https://{ISSUER}", "client_id": "jupyter"}, policy(aud()), []),
        (
            {"source": "oidc", "issuer": f"https://{ISSUER}", "client_id": "b"},
            policy(aud()),
            ["trust-audience-mismatch"],
        ),
        ({"source": "google", "client_id": "b"}, policy(aud()), ["trust-principal-wrong"]),
        ({"source": "entra", "tenant": "contoso.com", "client_id": "jupyter"}, policy(aud()), []),
        ({"source": "file", "identity_pool_id": POOL}, policy(aud()), ["trust-principal-wrong"]),
        ({"source": "file", "duration_seconds": 7200}, {"Role": {"MaxSessionDuration": 3600}}, ["duration-too-long"]),
    ],
)
def test_the_file_is_read_beside_the_profile(tmp_path, profile, document, codes):
    """Whose tokens it has to let in follows from the federation profile; a role's longest session counts too."""
    if "Role" in document:
        document["Role"]["AssumeRolePolicyDocument"] = policy(aud())
    file = tmp_path / "trust.json"
    file.write_text(json.dumps(document))
    patient = Patient(profile=Profile(**profile), trust_policy=file)
    assert codes == [each.code for each in trusted(patient)]


@pytest.mark.parametrize("content", [None, "{", b"\xff\xfe\x00"])
def test_a_file_that_is_none_is_said(tmp_path, content):
    """Missing, not JSON, not text."""
    file = tmp_path / "trust.json"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert ["trust-policy-unreadable"] == [each.code for each in trusted(Patient(trust_policy=file))]


@pytest.mark.parametrize(
    "document",
    [
        policy(principal="a.!" * 16_000),
        github("*" * 49_000 + "x/"),
        policy(principal={"Federated": [ARN.replace(ISSUER, f"b{number}.org") for number in range(800)]}),
        policy(principal="a.!" * 300_000),
        {"IdentityPoolId": "a.!" * 16_000, "AllowClassicFlow": True},
    ],
    ids=["a long principal", "a star for each letter", "many principals", "a megabyte", "a long pool"],
)
def test_a_file_that_is_made_to_be_slow_is_not(tmp_path, document):
    """It is read and shown in any form at once, and what is quoted of it is not endless."""
    file = tmp_path / "trust.json"
    file.write_text(json.dumps(document))
    since = time.monotonic()
    report = examine(exchange=False, trust_policy=file)
    forms = [report.text(), report.to_json(), report._repr_html_(), str(report)]
    assert 5 > time.monotonic() - since
    assert all(len(each.sentence) < 1100 and len(each.administrator) < 1100 for each in report.findings)
    assert all(len(form) < 3_000_000 for form in forms)


@pytest.mark.parametrize("kind", ["a FIFO", "a device", "a folder"])
def test_what_is_no_plain_file_is_not_waited_for(tmp_path, kind):
    """It is said at once; a link to a plain file is read."""
    file = tmp_path / "trust.json"
    if kind == "a FIFO":
        os.mkfifo(file)
    elif kind == "a device":
        file.symlink_to("/dev/zero")
    else:
        file.mkdir()
    since = time.monotonic()
    (finding,) = trusted(Patient(trust_policy=file))
    assert 2 > time.monotonic() - since
    assert "trust-policy-unreadable" == finding.code
    (tmp_path / "policy.json").write_text(json.dumps(policy(aud())))
    (tmp_path / "link.json").symlink_to(tmp_path / "policy.json")
    assert [] == list(trusted(Patient(trust_policy=tmp_path / "link.json")))


@pytest.mark.parametrize(
    ("subject", "everybody"),
    [
        ("*", True),
        ("repo:*", True),
        ("repo:octo*:*", True),
        ("repo:*/*", True),
        ("project_path:?/", True),
        ("octo*", True),
        ("repo:octo-org/*", False),
        ("repo:octo:*", False),
        ("repo:", False),
        ("", False),
        ("system:serviceaccount:hub:*", False),
        ("*/x", False),
    ],
)
def test_whose_wildcard_fits_everybody(subject, everybody):
    """One in the owner's place, with nothing behind that would name somebody."""
    assert everybody == trust_policy._fits_everybody(subject)


@pytest.mark.parametrize(
    ("profiles", "missing"), [({}, "profile-missing"), ({"a": {"source": "env"}}, "profile-unknown")]
)
def test_without_a_profile_the_policy_alone_is_looked_at(tmp_path, profile, capsys, profiles, missing):
    """Where none is named and none is the default, that is no error; what was looked at is said."""
    profile.text(json.dumps({"Federation": {"profiles": profiles}}))
    file = tmp_path / "trust.json"
    file.write_text(json.dumps(policy(aud())))
    assert 0 == app.main(["doctor", "--trust-policy", str(file)])
    said = capsys.readouterr().out
    assert "Nothing is wrong" in said
    assert "trust.json, by itself" in " ".join(said.split())
    assert "Subject:" not in said
    file.write_text(json.dumps(policy()))
    assert 1 == app.main(["doctor", "--trust-policy", str(file)])
    assert "trust-no-audience" in capsys.readouterr().out
    assert [missing] == [each.code for each in examine("b", trust_policy=file).findings][:1]


def test_the_template_s_role_demands_the_tag_person():
    """That of docs/deploy/sts.yaml: a token that carries it is good, one without is named by it."""
    text = (Path(__file__).parents[2] / "docs" / "deploy" / "sts.yaml").read_text()
    said = text.partition("AssumeRolePolicyDocument: !Sub |")[2].partition("Policies:")[0]
    for name, value in {"${Provider.Arn}": ARN, "${Issuer}": ISSUER, "${ClientId}": "jupyter"}.items():
        said = said.replace(name, value)
    document = json.loads(said)
    assert [] == list(read(document, TAGGED, where="sts.yaml"))
    (finding,) = read(document, UNTAGGED, where="sts.yaml")
    assert ("trust-tag-missing", "error") == (finding.code, finding.severity)
    assert "the session tag 'person'" in finding.sentence
    assert "client jupyter: ID tokens with the claim https://aws.amazon.com/tags/principal_tags/person" in (
        finding.administrator
    )


@pytest.mark.parametrize("profile", [{"source": "file"}, {"source": "env", "issuer": f"https://{ISSUER}"}])
@pytest.mark.parametrize(
    ("audience", "party", "codes"),
    [("jupyter", None, []), ("hub", None, ["trust-tag-missing"]), ("a", "hub", ["trust-tag-missing"]), ("b", None, [])],
)
def test_only_a_statement_that_the_token_fits_demands_a_tag_of_it(tmp_path, *, profile, audience, party, codes):
    """By the token's own audience, its azp where it has one, and not what another client's tokens have to carry."""
    document = several(tagged(), policy(aud()))
    document["Statement"][0]["Condition"] |= aud("hub")
    file = tmp_path / "trust.json"
    file.write_text(json.dumps(document))
    claims = {"iss": f"https://{ISSUER}", "aud": audience}
    token = IdToken(raw="t", issuer=claims["iss"], audience=(audience,), authorized_party=party, claims=claims)
    patient = Patient(profile=Profile(**profile), trust_policy=file, token=token)
    assert codes == [each.code for each in trust_policy.tagged(patient)]


@pytest.mark.parametrize("content", [None, "{", "[1]", '{"Statement": 1}'])
def test_a_file_that_is_none_demands_no_tag(tmp_path, content):
    """That it is none is said once, and not here."""
    file = tmp_path / "trust.json"
    if content is not None:
        file.write_text(content)
    token = IdToken(raw="t", issuer=f"https://{ISSUER}", claims={"iss": f"https://{ISSUER}"})
    patient = Patient(profile=Profile(source="file"), trust_policy=file, token=token)
    assert [] == list(trust_policy.tagged(patient))


@pytest.mark.parametrize(
    ("claims", "tags"),
    [
        ({}, set()),
        ({"https://aws.amazon.com/tags": {"principal_tags": {"person": ["ada"], "team": ["a"]}}}, {"person", "team"}),
        ({"https://aws.amazon.com/tags/principal_tags/person": "ada"}, {"person"}),
        ({"https://aws.amazon.com/tags/transitive_tag_keys": ["person"]}, set()),
        ({"https://aws.amazon.com/tags": {"transitive_tag_keys": ["person"]}}, set()),
        ({"https://aws.amazon.com/tags": '{"principal_tags": {"person": ["ada"]}}'}, set()),
        ({"https://aws.amazon.com/tags": {"principal_tags": ["person"]}}, set()),
    ],
)
def test_a_token_s_session_tags(claims, tags):
    """In one claim, or in one for each; an object in a text is none."""
    assert tags == trust_policy.session_tags(claims)


def test_entra_s_issuer_is_the_same_with_a_slash_behind_its_address():
    """As the sign-in takes it: IAM's name has one slash between host and tenant."""
    tenant = "7c0c2f3e-5d1b-4a7e-9a55-3f6c1d2e4b80"
    profile = Profile(source="entra", tenant=tenant, client_id="a", authority="https://login.microsoftonline.us/")
    assert f"login.microsoftonline.us/{tenant}/v2.0" == trust_policy.expected_of(profile).provider
