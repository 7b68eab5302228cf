"""The documentation says what the code does."""

import base64
import json
import re
import subprocess
from pathlib import Path

import pytest
from aws_command_line import input_of, operations_in, parameters_of
from botocore.exceptions import ParamValidationError

import jupyter_federation
from jupyter_federation import config, federation
from jupyter_federation.assembly import GOOGLE
from jupyter_federation.delivery.environment import OUTRANKING
from jupyter_federation.exchange.providers import logins_key
from jupyter_federation.options import options_of
from jupyter_federation.profile import OPTIONS
from jupyter_federation.server.extension import CALLBACK
from jupyter_federation.sign_in.receiver import HOST
from jupyter_federation.tokens import IdToken

ROOT = Path(jupyter_federation.__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
REGISTERING = ROOT / "docs" / "identity-providers.md"
SECTIONS = re.split(r"^## (.*)$", REGISTERING.read_text(), flags=re.MULTILINE)
PROVIDERS = {name: text for name, text in zip(SECTIONS[1::2], SECTIONS[2::2], strict=True) if "```json" in text}


def table_rows(page):
    """The first two cells of each row of a page's tables."""
    rows = (line.strip("| ").split(" | ") for line in (ROOT / page).read_text().splitlines() if line.startswith("| `"))
    return {cells[0].strip("`"): cells[1:] for cells in rows}


def test_the_table_of_options_is_the_one_list():
    """Each option stands in it, with its own help and what it should be; no row is made up."""
    told = {key: cells[:2] for key, cells in table_rows("docs/profiles.md").items()}
    policy = {f"policy.{key}": option for key, option in options_of(config.Policy).items()}
    assert {key: [option.help, option.expects] for key, option in (OPTIONS | policy).items()} == told


@pytest.mark.parametrize("page", ["README.md", "docs/profiles.md", "docs/identity-providers.md"])
def test_every_profile_that_is_shown_can_be_loaded(page, tmp_path):
    """What a reader copies works."""
    for number, example in enumerate(re.findall(r"```json\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)):
        directory = tmp_path / str(number)
        directory.mkdir()
        (directory / "jupyter_federation_config.json").write_text(example)
        configuration = config.load([directory])
        for name in json.loads(example)["Federation"].get("profiles", ()):
            assert name == configuration.profile(name).name


def test_every_link_to_a_file_leads_somewhere():
    """No page points at what is not there."""
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_public_call_has_a_docstring():
    """help(jf.federate) is documentation too."""
    for name in jupyter_federation.__all__:
        if name != "__version__":
            assert getattr(jupyter_federation, name).__doc__


def test_the_variables_named_in_the_documentation_are_set_aside():
    """The examples are real ones."""
    assert {"AWS_ACCESS_KEY_ID", "AWS_PROFILE"} <= set(OUTRANKING)


def test_the_readme_s_magic_line_asks_sts(monkeypatch, tmp_path, isolated_home):
    """The five lines for one's own account: read as a sign-in through STS with a token file."""
    line = re.search(r"%federate (--token-file.*)", (ROOT / "README.md").read_text())[1]
    assert line.split()[::2] == ["--token-file", "--role-arn", "--region"]
    values = dict(zip(["path", "role_arn", "region"], line.split()[1::2], strict=True))
    profile = config.load([]).profile(source="file", **values)
    assert federation.exchange_of(profile)


def commands_in(page):
    """A page's blocks of shell commands."""
    return re.findall(r"```sh\n(.*?)```", page, re.DOTALL)


@pytest.fixture(params=list(PROVIDERS))
def registered(request, tmp_path):
    """A provider's section, and the one profile in it."""
    (example,) = re.findall(r"```json\n(.*?)```", PROVIDERS[request.param], re.DOTALL)
    (tmp_path / "jupyter_federation_config.json").write_text(example)
    return request.param, config.load([tmp_path]).profile()


def issuer_of(profile):
    """Whose tokens a profile brings."""
    known = {"google": GOOGLE, "entra": f"https://login.microsoftonline.com/{profile.tenant}/v2.0"}
    return known.get(profile.source) or profile.issuer


def test_the_name_at_aws_is_the_one_that_is_sent_there(registered):
    """The table's name for a provider is the logins key of a token from the issuer of its profile."""
    name, profile = registered
    (row,) = re.findall(rf"^\| \[{name}\]\(.*$", REGISTERING.read_text(), re.MULTILINE)
    source, at_aws = re.findall(r"`(.*?)`", row)[:2]
    claims = {"iss": issuer_of(profile), "aud": profile.client_id, "sub": "ada"}
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({"alg": "RS256"}, claims)
    ]
    token = IdToken.parse(".".join([*parts, "c2lnbmF0dXJl"]))
    assert [profile.source, logins_key(token, None)] == [source, at_aws]


def test_the_ports_of_a_profile_are_registered(registered):
    """Where a profile names ports, each stands among the section's redirect URIs as the receiver spells it."""
    name, profile = registered
    text = PROVIDERS[name]
    if name == "CILogon":  # registered in a form
        assert "ports 8400 to 8402" in text
        text = " ".join(PROVIDERS.values())
    for port in profile.redirect_port or ():
        assert f"http://{HOST}:{port}/" in text


def test_the_redirect_uris_are_those_that_are_sent():
    """Every callback on the page is the server's, or the hub's for all users."""
    callbacks = re.findall(r"https://(?:jupyter|hub)\.example\.org/([^`\"\s)]*)", REGISTERING.read_text())
    assert {CALLBACK, f"hub/user-redirect/{CALLBACK}"} == set(callbacks)


no_thumbprint = pytest.mark.skipif(
    "ThumbprintList" in input_of("iam", "CreateOpenIDConnectProvider").required_members,
    reason="botocore before 1.34.83: there an OpenID provider has to have a thumbprint",
)


@no_thumbprint
def test_the_commands_for_aws_fit_its_api(tmp_path):
    """Run in one shell, in order: each option exists, each value fits, and every trust policy names its audience."""
    pages = [(ROOT / "docs" / "aws.md").read_text(), PROVIDERS["Cognito user pool"]]
    called = operations_in("\n".join(block for page in pages for block in commands_in(page)), tmp_path)
    assert {
        *("GetCallerIdentity", "CreateOpenIDConnectProvider", "CreateRole", "AttachRolePolicy"),
        *("UpdateAssumeRolePolicy", "CreateIdentityPool", "SetIdentityPoolRoles"),
        *("CreateUserPoolDomain", "CreateUserPoolClient"),
    } == {operation for operation, _ in called}
    for _, parameters in called:
        policy = parameters.get("AssumeRolePolicyDocument") or parameters.get("PolicyDocument")
        if policy is not None:
            (statement,) = json.loads(policy)["Statement"]
            provider = statement["Principal"]["Federated"].partition(":oidc-provider/")
            assert statement["Condition"]["StringEquals"][f"{provider[2] or provider[0]}:aud"]
            if provider[0] == "cognito-identity.amazonaws.com":
                amr = statement["Condition"]["ForAnyValue:StringLike"]
                assert amr == {"cognito-identity.amazonaws.com:amr": "authenticated"}


def sections_with_commands(page):
    """A page's sections that have commands, by their titles, each up to the next title; with the text before them."""
    parts = re.split(r"^##+ (.*)$", page, flags=re.MULTILINE)
    return {title: text for title, text in zip(parts[1::2], parts[2::2], strict=True) if commands_in(text)}


AT_AWS = sections_with_commands((ROOT / "docs" / "aws.md").read_text())
assert next(iter(AT_AWS)) == "The provider"


@pytest.mark.parametrize("title", [pytest.param("The provider", marks=no_thumbprint), *list(AT_AWS)[1:]])
def test_a_section_for_aws_needs_the_variables_that_it_names(title, tmp_path):
    """In a shell that has these alone, and ends at one that is not set; each is one of the first block's."""
    before_the_commands = AT_AWS[title].partition("```")[0]
    sentences = re.findall(r"^Needs .*?\.", before_the_commands, re.DOTALL | re.MULTILINE)
    needs = re.findall(r"`([A-Z_]+)`", "".join(sentences))
    assert needs or "Needs no variable" in before_the_commands or title == "The provider"
    (first,) = commands_in(AT_AWS["The provider"])
    assert set(needs) <= set(re.findall(r"^([A-Z_]+)=", first, re.MULTILINE))
    given = [f"{name}=login.example.org/realms/research" for name in needs]
    assert operations_in("\n".join([*given, *commands_in(AT_AWS[title])]), tmp_path)


@no_thumbprint
def test_each_role_and_pool_at_aws_is_one_of_its_own(tmp_path):
    """In order, in one shell: no name is taken twice, and each pool is given the role that trusts it."""
    called = operations_in("\n".join(block for text in AT_AWS.values() for block in commands_in(text)), tmp_path)

    def parameters(operation):
        return [each for name, each in called if name == operation]

    roles = {each["RoleName"]: each for each in parameters("CreateRole")}
    assert len(roles) == len(parameters("CreateRole")) == 5
    assert list(roles) == [each["RoleName"] for each in parameters("AttachRolePolicy")]
    pools = parameters("CreateIdentityPool")
    assert [(False, False)] * 3 == [
        (each["AllowUnauthenticatedIdentities"], each["AllowClassicFlow"]) for each in pools
    ]
    assert len({each["IdentityPoolName"] for each in pools}) == 3
    trusted = {}
    for name, role in roles.items():
        (statement,) = json.loads(role["AssumeRolePolicyDocument"])["Statement"]
        audience = statement["Condition"]["StringEquals"].get("cognito-identity.amazonaws.com:aud")
        if audience is None:
            assert role["MaxSessionDuration"] == 43200
        else:
            trusted[audience] = f"arn:aws:iam::123456789012:role/{name}"
    given = {each["IdentityPoolId"]: each["Roles"]["authenticated"] for each in parameters("SetIdentityPoolRoles")}
    assert len(given) == 3
    assert trusted == given


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("iam create-open-id-connect-provider --url https://x --client-ids a", KeyError),
        ("iam create-open-id-provider --url https://x", KeyError),
        ("iam create-role --role-name R", ParamValidationError),
        (
            "iam create-role --role-name R --assume-role-policy-document {} --max-session-duration 60",
            ParamValidationError,
        ),
        (
            "cognito-idp create-user-pool-client --user-pool-id p_1 --client-name c --allowed-o-auth-flows kode",
            ValueError,
        ),
    ],
)
def test_a_command_that_does_not_fit_is_found(line, error):
    """The test above can fail: on an option, an operation, something missing, a bound and a word."""
    with pytest.raises(error):
        parameters_of(line.split())


def test_the_other_commands_can_be_read():
    """Every block is shell, and every file that one writes is JSON where it is called so."""
    for page in (REGISTERING, ROOT / "docs" / "aws.md"):
        for block in commands_in(page.read_text()):
            subprocess.run(["sh", "-n", "-c", block], check=True)
            for document in re.findall(r"cat > \S+\.json <<'?END'?\n(.*?)\nEND$", block, re.DOTALL | re.MULTILINE):
                json.loads(document)


def test_nothing_is_called_verified_that_was_not():
    """Both pages say so at their top, and in each row."""
    for page in (REGISTERING, ROOT / "docs" / "aws.md"):
        text = page.read_text()
        assert "verified against" in text[:200]
        (table,) = re.findall(r"^\|[^\n]*\| verified live \|\n(.*?)\n\n", text, re.DOTALL | re.MULTILINE)
        assert all(row.endswith("| not yet |") for row in table.splitlines()[1:])
