"""Federation profiles and the policy, from files to what a sign-in needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from jupyter_core import paths

from jupyter_federation import config
from jupyter_federation.errors import ConfigurationError

POOL = "eu-west-1:01234567-89ab-cdef-0123-456789abcdef"
ROLE = "arn:aws:iam::123456789012:role/research/Reader"
POLICY_ARN = "arn:aws:iam::aws:policy/ReadOnlyAccess"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"
FILE = {"source": "file", "path": "/run/token", "identity_pool_id": POOL}


@pytest.fixture
def directories(tmp_path, monkeypatch):
    """Jupyter's configuration path in a virtual environment: environment, user, system; the strongest first."""
    found = {name: tmp_path / name for name in ("environment", "user", "system")}
    for each in found.values():
        each.mkdir()
    monkeypatch.setattr(paths, "ENV_CONFIG_PATH", [str(found["environment"])])
    monkeypatch.setattr(paths, "SYSTEM_CONFIG_PATH", [str(found["system"])])
    return found


@pytest.fixture
def write(directories):
    """``write("user", profiles={...})`` writes what stands under "Federation" and returns the file."""

    def write(directory, name="jupyter_federation_config.json", **section):
        file = directories[directory] / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"Federation": section}))
        return file

    return write


@pytest.fixture
def load(directories):
    """``load()``, or ``load("user", "environment", "system")`` for another order than the virtual environment's."""
    return lambda *order: config.load([directories[name] for name in order or directories])


def test_a_profile_has_typed_attributes_and_what_is_not_set_is_none(write, load):
    """The example of the documentation, read."""
    research = {"source": "entra", "tenant": "contoso.com", "client_id": "abc", "identity_pool_id": POOL}
    research |= {"region": "eu-west-1", "scopes": ["email", "profile"], "redirect_port": 8400}
    file = write("user", default_profile="research", profiles={"research": research})
    profile = load().profile()
    assert research | {"scopes": ("email", "profile"), "redirect_port": (8400,)} == {
        key: getattr(profile, key) for key in research
    }
    assert ("research", None) == (profile.name, profile.role_arn)
    assert dict.fromkeys(research, str(file)) == profile.origins


def test_a_users_file_adds_to_the_administrators(write, load):
    """Merged by profile and key; each key knows the file that it came from."""
    system = write("system", profiles={"research": FILE, "other": FILE}, policy={"max_session_hours": 8})
    user = write("user", profiles={"research": {"path": "/mine"}}, policy={"export": False})
    loaded = load()
    profile = loaded.profile("research")
    assert ("/mine", POOL) == (profile.path, profile.identity_pool_id)
    assert {"source": str(system), "path": str(user), "identity_pool_id": str(system)} == profile.origins
    assert (8, False, None) == (loaded.policy.max_session_hours, loaded.policy.export, loaded.policy.endpoint)
    assert {"max_session_hours": str(system), "export": str(user)} == loaded.policy.origins
    assert (user, system) == loaded.files


def test_within_a_directory_the_main_file_wins_as_jupyter_has_it(write, load):
    """Then the files of the .d directory, the later name before the earlier."""
    write("user", "jupyter_federation_config.d/10.json", profiles={"a": {**FILE, "path": "/10"}})
    write("user", "jupyter_federation_config.d/20.json", profiles={"a": {"path": "/20"}})
    assert load().profile("a").path == "/20"
    write("user", profiles={"a": {"path": "/main"}})
    assert load().profile("a").path == "/main"


def test_the_path_is_jupyters_own(monkeypatch, tmp_path):
    """JUPYTER_CONFIG_DIR is where the user's file stands."""
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    content = {"Federation": {"profiles": {"research": FILE}}}
    (tmp_path / "jupyter_federation_config.json").write_text(json.dumps(content), encoding="utf-8-sig")
    assert list(config.load().profiles) == ["research"]


def test_a_file_that_changes_the_source_drops_what_only_the_earlier_source_used(write, load):
    """Otherwise a user could not replace the administrator's way to sign in."""
    entra = {"source": "entra", "tenant": "contoso.com", "client_id": "abc", "role_arn": ROLE}
    write("system", profiles={"research": entra})
    write("user", profiles={"research": {"source": "env", "variable": "TOKEN"}})
    profile = load().profile("research")
    assert ("env", None, None, ROLE) == (profile.source, profile.tenant, profile.client_id, profile.role_arn)


# What is wrong in a file


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"Federation": {\n  "profiles" {}}}', "line 2, column 14: this is not JSON"),
        ("[]", "is not a JSON object"),
        ('{"federation": {}}', "there is no key `federation`. Did you mean `Federation`?"),
        ('{"Federation": {"profile": {}}}', "there is no key `profile`. Did you mean `profiles`?"),
        ('{"Federation": []}', "`Federation` is not a JSON object"),
        ('{"Federation": {"profiles": []}}', "`profiles` is not a JSON object"),
        ('{"Federation": {"profiles": {"a": "b"}}}', "the federation profile 'a' is not a JSON object"),
        ('{"Federation": {"policy": true}}', "`policy` is not a JSON object"),
        ('{"Federation": {"default_profile": ["a"]}}', "`default_profile` is not a string"),
        ('{"Federation": {"profiles": {"status": {}}}}', "cannot be called 'status'"),
        ('{"Federation": {"profiles": {"my profile": {}}}}', "cannot be called 'my profile'"),
        ('{"Federation": {"profiles": {"\\ud800x": {}}}}', r"cannot be called '\ud800x'"),
        (
            '{"Federation": {"policy": {"max_hours": 8}}}',
            "there is no setting `max_hours`. Did you mean `max_session_hours`?",
        ),
        ('{"Federation": {"policy": {"allowed_sign_in": ["browsers"]}}}', "a list of browser, paste, device-code"),
        ('{"Federation": {"policy": {"locked": "yes"}}}', "`locked` should be true or false"),
    ],
)
def test_a_file_of_the_wrong_shape_is_named_with_the_place(directories, load, text, said):
    """Malformed JSON, unknown keys, reserved names."""
    file = directories["user"] / "jupyter_federation_config.json"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load()
    assert str(caught.value).startswith(str(file))
    assert said in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe{}", None])
def test_a_file_that_cannot_be_read_is_an_error(directories, load, content):
    """Not text, or a directory in a file's place."""
    file = directories["user"] / "jupyter_federation_config.json"
    file.mkdir() if content is None else file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"UTF-8 text|cannot be read"):
        load()


@pytest.mark.parametrize("key", ["profiles", "default_profile", "policy"])
def test_what_stands_outside_of_federation_is_told_where_it_belongs(directories, load, key):
    """The outer key is what is forgotten first."""
    (directories["user"] / "jupyter_federation_config.json").write_text(json.dumps({key: {}}))
    with pytest.raises(ConfigurationError, match=rf"`{key}` stands outside.*Put all of it under `Federation`"):
        load()


def test_a_name_that_is_not_there_is_told_the_files_that_were_read(write, load, monkeypatch, directories):
    """And where there is no profile at all, the file in which one would stand, which need not exist."""
    monkeypatch.setattr(paths, "jupyter_config_dir", lambda: str(directories["user"]))
    own = directories["user"] / "jupyter_federation_config.json"
    with pytest.raises(ConfigurationError) as none_yet:
        load().profile("gone")
    assert none_yet.value.fix == f"No federation profile is set up yet; one would stand in {own}."
    assert none_yet.value.facts["finding"] == "profile-missing"
    file = write("system", profiles={"research": FILE})
    with pytest.raises(ConfigurationError) as others:
        load().profile("gone")
    assert others.value.fix == f"There are: research (in {file})."
    assert others.value.facts["finding"] == "profile-unknown"


@pytest.mark.parametrize("content", ["{bad", '{"default_profile": "x"}'])
def test_a_file_that_cannot_be_read_has_the_doctor_s_code(directories, load, content):
    """The same that the doctor gives."""
    (directories["user"] / "jupyter_federation_config.json").write_text(content)
    with pytest.raises(ConfigurationError) as caught:
        load()
    assert caught.value.facts["finding"] == "configuration-unreadable"


@pytest.mark.skipif(os.name != "posix", reason="Windows has no modes")
@pytest.mark.parametrize("unreadable", ["parent", "parent/jupyter"])
def test_a_directory_that_cannot_be_looked_into_is_an_error(tmp_path, unreadable):
    """A policy may stand there: it is not as if nothing did.  Root may look anywhere, so a child is somebody else."""
    directory = tmp_path / "parent" / "jupyter"
    directory.mkdir(parents=True)
    (directory / "jupyter_federation_config.json").write_text('{"Federation": {"policy": {"export": false}}}')
    code = (
        "import os, sys; from jupyter_federation import config\n"
        "from jupyter_federation.errors import ConfigurationError\n"
        "import jupyter_core.paths\n"
        "os.geteuid() or os.setuid(65534)\n"
        "try: print(config.load([sys.argv[1]]))\n"
        "except ConfigurationError as error: print(error)\n"
    )
    for each in (tmp_path, *tmp_path.parents):
        if each.stat().st_uid == os.geteuid() and each != each.parent:
            each.chmod(each.stat().st_mode | 0o011)
    (tmp_path / unreadable).chmod(0)
    try:
        ran = subprocess.run([sys.executable, "-c", code, directory], capture_output=True, text=True, check=True)
    finally:
        (tmp_path / unreadable).chmod(0o700)
    assert (
        ran.stdout
        == f"The directory {directory} cannot be looked into: Permission denied. Check its permissions, and HOME.\n"
    )


def test_a_file_that_is_a_link_to_itself(tmp_path):
    """It is the file that is wrong, and no permission."""
    file = tmp_path / "jupyter_federation_config.json"
    file.symlink_to(file)
    with pytest.raises(ConfigurationError, match=rf"{file.name} is a link that leads to itself\. Replace or remove it"):
        config.load([tmp_path])


@pytest.mark.parametrize("name", [300 * "x", "file", "missing"])
def test_a_directory_that_is_none(tmp_path, name):
    """One that cannot be is an error; one that is not there, or a file, is as empty."""
    (tmp_path / "file").touch()
    if len(name) > 255:
        with pytest.raises(ConfigurationError, match="cannot be looked into: File name too long"):
            config.load([tmp_path / name])
    else:
        assert () == config.load([tmp_path / name]).files


@pytest.mark.parametrize("keys", [{"sorce": "file"}, {"source": 1}, {**FILE, "client_secret": "x"}])
def test_a_profile_of_which_a_key_is_wrong_has_the_doctor_s_code(write, load, keys):
    """Which the notebook names beneath the sentence."""
    write("user", profiles={"research": keys})
    with pytest.raises(ConfigurationError) as caught:
        load().profile("research")
    assert caught.value._render_traceback_()[1:] == ["%federate doctor profile-broken explains it."]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"identity_pol_id": POOL}, "there is no setting `identity_pol_id`. Did you mean `identity_pool_id`?"),
        ({"identity-pool-id": POOL}, "Did you mean `identity_pool_id`?"),
        (
            {"token_file": "/t"},
            'there is no setting `token_file`. %federate takes `--token-file`; here it is `source` "file"',
        ),
        ({"frobnicate": 1}, "there is no setting `frobnicate`. Known: source, path,"),
        ({"source": "entro"}, "`source` should be one of entra, oidc"),
        ({"source": "entro"}, "not 'entro'. Did you mean `entra`?"),
        ({"identity_pool_id": "us-east-1/abc"}, "should be a Cognito id (REGION:UUID), not 'us-east-1/abc'"),
        ({"identity_pool_id": f"{POOL}0123456789"}, "should be a Cognito id (REGION:UUID)"),
        ({"identity_id": f"{POOL}\n"}, "should be a Cognito id (REGION:UUID)"),
        ({"region": "eu_west_1"}, "`region` should be an AWS region (eu-west-1), not 'eu_west_1'"),
        ({"role_arn": "arn:aws:iam::12:role/x"}, "should be an IAM role's ARN (arn:aws:iam::123456789012:role/NAME)"),
        ({"role_arn": ROLE.replace("1234", "124")}, f"not '{ROLE.replace('1234', '124')}'"),
        ({"custom_role_arn": "Analyst"}, "should be an IAM role's ARN"),
        ({"assume_role_arn": f"{ROLE}&Policy=x"}, "should be an IAM role's ARN"),
        ({"role_session_name": "x"}, "should be 2 to 64 letters, digits or any of _+=,.@-, not 'x'"),
        ({"role_session_name": "Ada Lovelace"}, "not 'Ada Lovelace'"),
        ({"flow": "simple"}, "should be one of enhanced, classic, not 'simple'"),
        ({"tenant": "Common"}, "`tenant` should be one tenant's id or domain, not 'Common'. What `tenant` is: Entra's"),
        ({"duration_seconds": 60}, "should be seconds from 900 to 43200, not 60"),
        ({"duration_seconds": True}, "not True"),
        ({"duration_seconds": 1000.5}, "not 1000.5"),
        ({"duration_seconds": "soon"}, "not 'soon'"),
        ({"redirect_port": 0}, "a port from 1 to 65535, or a list of them, not 0"),
        ({"scopes": []}, "a list of scopes, not []"),
        ({"scopes": [1]}, "a list of scopes, not [1]"),
        ({"no_browser": "yes"}, "should be true or false, not 'yes'"),
        ({"policy": "{"}, "should be a JSON object, not '{'"),
        ({"policy": []}, "should be a JSON object, not []"),
        ({"issuer": "login.example.org"}, "should be an https URL"),
        ({"issuer": "http://login.example.org"}, "should be an https URL"),
        ({"provider": "gogle"}, "Did you mean `google`?"),
        ({"variable": "my token"}, "should be a variable's name"),
        ({"region": None}, "not None"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_file_and_profile(write, load, keys, said):
    """And with the nearest right one, or with what is expected."""
    file = write("user", profiles={"research": keys})
    with pytest.raises(ConfigurationError) as caught:
        load().profile("research")
    assert str(caught.value).startswith(f"{file}, federation profile 'research': ")
    assert said in str(caught.value)


@pytest.mark.parametrize("unfit", ["\x1b[2J", "\x9b2J", "\r", "\u202e", "\ud800"])
@pytest.mark.parametrize("place", ["outermost key", "key", "issuer", "client_id", "ca_bundle"])
def test_what_would_do_something_to_a_terminal_is_marked_in_errors_and_taken_in_no_setting(
    directories, load, unfit, place
):
    """It cannot hide what is there, and half of a pair of surrogates does not swallow the whole error."""
    profile = {"source": "oidc", "issuer": "https://a", "client_id": "a", "role_arn": ROLE, "ca_bundle": "/a"}
    if place in profile:
        profile[place] += unfit
    elif place == "key":
        profile[unfit] = "a"
    outermost = unfit if place == "outermost key" else "profiles"
    file = directories["user"] / "jupyter_federation_config.json"
    file.write_text(json.dumps({"Federation": {outermost: {"research": profile}}}))
    with pytest.raises(ConfigurationError) as caught:
        load().profile("research")
    if place in profile:
        assert f"the character U+{ord(unfit[0]):04X}" in caught.value.fix
    for said in (str(caught.value), *caught.value.diagnostics().split("\n"), *caught.value._render_traceback_()):
        assert unfit not in said
        assert said.encode()


@pytest.mark.parametrize(
    "keys",
    [
        {"token": JWT},
        {"password": "hunter2hunter2"},
        {"aws_secret_access_key": "hunter2hunter2"},
        {"path": JWT},
        {"provider": JWT},
        {"scopes": ["email", JWT]},
        {"policy": {"Statement": JWT}},
        {"source": "entra", "client_secret": "hunter2hunter2"},
        {"client_secret": ["hunter2hunter2"]},
        {"source": "oidc", "issuer": "https://ada:hunter2hunter2@idp.example.org"},
    ],
)
def test_a_secret_in_a_profile_is_refused_and_not_repeated(write, load, keys):
    """Wherever it stands, but for a Google desktop client's."""
    file = write("user", profiles={"research": keys})
    with pytest.raises(ConfigurationError) as caught:
        load().profile("research")
    assert str(file) in caught.value.problem
    assert not [secret for secret in (JWT, "hunter2hunter2") if secret in caught.value.diagnostics()]


@pytest.mark.parametrize("source", ["entra", "oidc", "google", "cognito-user-pool"])
def test_a_client_secret_s_place_is_taken_and_one_is_enough(write, load, source):
    """The name of a variable or a file; not two of them, nor one beside the secret itself."""
    keys = {"source": source, "client_id": "abc", "role_arn": ROLE}
    keys |= {"tenant": "contoso.com"} if source == "entra" else {}
    keys |= {} if source in {"entra", "google"} else {"issuer": "https://login.example.org"}
    write("user", profiles={"research": keys | {"client_secret_env": "SECRET"}})
    assert "SECRET" == load().profile("research").client_secret_env
    with pytest.raises(ConfigurationError, match=r"`client_secret_file`, and `client_secret_env` as well"):
        load().profile("research", client_secret_file="~/secret")
    if source == "google":
        with pytest.raises(ConfigurationError, match=r"`client_secret_env`.* and `client_secret` as well"):
            load().profile("research", client_secret="GOCSPX-abc")


def test_a_google_desktop_clients_secret_is_taken_and_not_shown(write, load):
    """Google documents it as not confidential."""
    google = {"source": "google", "client_id": "abc", "client_secret": "GOCSPX-abc", "role_arn": ROLE}
    write("user", profiles={"research": google})
    profile = load().profile("research")
    assert profile.client_secret == "GOCSPX-abc"
    assert "GOCSPX" not in repr(profile)


# One broken profile among others


def test_what_is_wrong_in_one_profile_is_that_profile_s_alone(write, load):
    """The others and lines without a profile work; it is refused when it is used, each time as a new error."""
    write("user", default_profile="research", profiles={"research": FILE, "old": {**FILE, "redirect_port": 99_999}})
    loaded = load()
    assert ("research", ["research"]) == (loaded.profile().name, list(loaded.profiles))
    assert loaded.profile(source="env", variable="TOKEN", role_arn=ROLE).name is None
    errors = []
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="'old': `redirect_port` should be a port") as caught:
            loaded.profile("old")
        errors.append(caught.value)
    assert errors[0] is not errors[1]
    with pytest.raises(ConfigurationError, match="There are: research, old"):
        loaded.profile("other")


def test_a_default_profile_that_is_broken_is_refused_without_its_name(write, load):
    """The line alone uses it; a line that says everything does not."""
    write("user", default_profile="old", profiles={"old": {**FILE, "region": "?"}})
    with pytest.raises(ConfigurationError, match="'old': `region` should be"):
        load().profile()
    with pytest.raises(ConfigurationError, match="'old': `region` should be"):
        load().for_identity_pool(None)
    assert load().profile(source="env", variable="TOKEN", role_arn=ROLE)


@pytest.mark.parametrize(("wrong", "right"), [("user", "system"), ("system", "user"), ("environment", "user")])
@pytest.mark.parametrize("locked", [True, False])
def test_no_other_file_mends_a_broken_profile(write, load, wrong, right, locked):
    """Neither a value that would be overridden nor a lock is lost on the way: the profile is not used at all."""
    write(wrong, profiles={"research": {**FILE, "region": "?", "locked": locked and wrong != "user"}})
    write(right, profiles={"research": {**FILE, "region": "eu-west-1"}})
    with pytest.raises(ConfigurationError, match="`region` should be"):
        load().profile("research")


# What a command lays over a profile


def test_an_option_overrides_a_profile_key_and_says_so(write, load):
    """None is not set; a number may come as text, a list as one string, a policy as an object."""
    write("user", profiles={"research": {**FILE, "flow": "classic", "role_arn": ROLE}})
    policy = {"Version": "2012-10-17"}
    said = {"duration_seconds": "1800", "policy": policy, "policy_arns": f"{POLICY_ARN},{POLICY_ARN}", "region": None}
    profile = load().profile("research", **said)
    assert (1800, '{"Version":"2012-10-17"}') == (profile.duration_seconds, profile.policy)
    assert (POLICY_ARN, POLICY_ARN) == profile.policy_arns
    assert (profile.origins["duration_seconds"], profile.region) == ("the command", None)


def test_options_alone_make_a_profile_without_a_name(write, load):
    """Where they say what takes the token, the default profile stays out of it."""
    write("user", default_profile="research", profiles={"research": {**FILE, "region": "eu-west-1"}})
    profile = load().profile(source="env", variable="TOKEN", role_arn=ROLE)
    assert (None, None, None) == (profile.name, profile.region, profile.identity_pool_id)


def test_other_options_are_laid_over_the_default_profile(write, load):
    """A token from elsewhere for once, everything else as usual."""
    write("user", default_profile="research", profiles={"research": FILE})
    profile = load().profile(source="env", variable="TOKEN")
    assert ("research", POOL, None) == (profile.name, profile.identity_pool_id, profile.path)


def test_the_same_profile_and_options_are_equal(write, load):
    """So a second %federate finds that nothing changes, whichever file said it."""
    write("user", profiles={"research": FILE})
    before = load().profile("research")
    write("system", profiles={"research": FILE})
    assert before == load("system").profile("research")


def test_a_wrong_option_is_named_without_a_file(load):
    """As a Python argument, too, which is not the same as a profile's name."""
    with pytest.raises(ConfigurationError, match=r"The command: .* `identity_pool`. Did you mean `identity_pool_id`"):
        load().profile(identity_pool=POOL)


def test_an_unknown_profile_names_the_nearest_those_there_are_and_where(write, load, directories):
    """Also where a subcommand was meant."""
    write("user", profiles={"research": FILE, "prod": FILE})
    with pytest.raises(
        ConfigurationError, match=r"no federation profile 'reserch'\. Did you mean `research`"
    ) as caught:
        load().profile("reserch")
    assert "There are: research, prod (in " in caught.value.fix
    assert all(str(each) in caught.value.diagnostics() for each in directories.values())
    assert str(directories["system"]) not in str(caught.value)
    with pytest.raises(ConfigurationError, match=r"Did you mean `status`\?"):
        load().profile("stauts")


@pytest.mark.parametrize(("word", "said"), [("login", "%federate alone signs in"), ("logout", "%federate clear")])
def test_the_word_of_another_tool_leads_to_ours(load, word, said):
    """Other command lines sign in by a subcommand."""
    with pytest.raises(ConfigurationError, match=f"no federation profile '{word}'. {said}"):
        load().profile(word)


def test_a_default_profile_that_is_not_there_is_named_with_its_file(write, load):
    """The person may never have seen that file."""
    file = write("system", default_profile="gone")
    with pytest.raises(
        ConfigurationError, match=rf"'gone', which {file} makes the default\. No federation profile is set up"
    ):
        load().profile()


def test_without_any_profile_the_error_says_what_to_type_and_where_one_would_stand(load, monkeypatch, tmp_path):
    """The first thing that a new user sees."""
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    with pytest.raises(ConfigurationError, match="There is no federation profile yet") as caught:
        load().profile()
    assert "--token-file PATH --identity-pool-id POOL" in caught.value.fix
    assert str(tmp_path / "jupyter_federation_config.json") in caught.value.fix


def test_without_a_default_the_profiles_are_named(write, load):
    """None of several is taken silently."""
    write("user", profiles={"research": FILE, "prod": FILE})
    with pytest.raises(
        ConfigurationError, match=r"no default federation profile\. Name one: %federate research \| prod"
    ):
        load().profile()


# What does not go together


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"source": "file", "path": "/t"}, "neither `identity_pool_id` nor `role_arn`"),
        ({"identity_pool_id": POOL}, "there is no `source`"),
        ({**FILE, "role_arn": ROLE}, 'add `"flow": "classic"`'),
        ({**FILE, "flow": "classic"}, "needs `role_arn`"),
        ({**FILE, "flow": "classic", "role_arn": ROLE, "custom_role_arn": ROLE}, "the classic flow takes `role_arn`"),
        ({**FILE, "variable": "TOKEN"}, "The command says `variable`, and it is for env and var alone, not file"),
        ({**FILE, "source": "prompt"}, "The command says `path`, and it is for file alone, not prompt"),
        ({"source": "env", "role_arn": ROLE}, "The command says `source`, which needs `variable` too"),
        ({"source": "entra", "client_id": "a", "role_arn": ROLE}, "needs `tenant`"),
        ({"source": "oidc", "client_id": "a", "role_arn": ROLE}, "needs `issuer`"),
        (
            {"source": "google", "role_arn": ROLE},
            "needs `client_id` too. Add it. What `client_id` is: The application's id",
        ),
        ({**FILE, "duration_seconds": 900}, "goes with `role_arn` only"),
        ({**FILE, "role_session_name": "ada"}, "goes with `role_arn` or `assume_role_arn` only"),
        ({"source": "prompt", "role_arn": ROLE, "custom_role_arn": ROLE}, "goes with `identity_pool_id` only"),
        ({"source": "prompt", "role_arn": ROLE, "flow": "classic"}, "goes with `identity_pool_id` only"),
        ({**FILE, "provider": "guest"}, "a guest has no token"),
    ],
)
def test_what_is_missing_or_conflicts_is_named(load, keys, said):
    """With where each was said."""
    with pytest.raises(ConfigurationError) as caught:
        load().profile(**keys)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "keys",
    [
        FILE,
        {**FILE, "flow": "classic", "role_arn": ROLE, "duration_seconds": 43_200},
        {**FILE, "assume_role_arn": ROLE, "role_session_name": "ada"},
        {**FILE, "custom_role_arn": ROLE, "identity_id": POOL, "provider": "login.example.org/realms/x"},
        {"source": "prompt", "role_arn": ROLE, "region": "us-gov-west-1", "policy_arns": [POLICY_ARN]},
        {"source": "jupyterhub", "role_arn": ROLE},
        {"source": "oidc", "client_id": "a", "issuer": "https://login.example.org", "identity_pool_id": POOL},
        {"source": "oidc", "client_id": "a", "issuer": "http://127.0.0.1:8000/x", "identity_pool_id": POOL},
        {"provider": "guest", "identity_pool_id": POOL},
    ],
)
def test_what_goes_together_is_taken(load, keys):
    """Sources whose sign-in comes in a later release too."""
    profile = load().profile(**keys)
    assert keys["identity_pool_id"] == profile.identity_pool_id if "identity_pool_id" in keys else profile.role_arn


# Locks


@pytest.mark.parametrize("locking", ["system", "environment"])
@pytest.mark.parametrize("order", [("environment", "user", "system"), ("user", "environment", "system")])
def test_a_users_file_cannot_change_a_locked_profile(write, load, locking, order):
    """Nor add to it, whichever of the two directories is the stronger; the error names both files."""
    locked = write(locking, profiles={"research": {**FILE, "locked": True}})
    assert load(*order).profile("research").locked_by == locked
    own = write("user", profiles={"research": {"custom_role_arn": ROLE}})
    with pytest.raises(ConfigurationError, match="locked by") as caught:
        load(*order)
    assert all(str(file) in caught.value.problem for file in (locked, own))
    assert "`custom_role_arn`" in caught.value.problem


def test_a_users_file_may_repeat_a_locked_profile_and_define_others(write, load):
    """Nothing changes by it."""
    write("system", profiles={"research": {**FILE, "locked": True}})
    write("user", profiles={"research": FILE, "mine": FILE})
    assert set(load().profiles) == {"research", "mine"}


def test_files_of_the_locking_directory_work_together(write, load):
    """They belong to the same administrator."""
    write("system", "jupyter_federation_config.d/10.json", profiles={"research": {**FILE, "locked": True}})
    write("system", profiles={"research": {"region": "eu-west-1"}})
    assert load().profile("research").region == "eu-west-1"


def test_the_policy_can_be_locked(write, load):
    """An administrator's word stays."""
    write("system", policy={"export": False, "locked": True})
    write("user", policy={"export": True})
    with pytest.raises(ConfigurationError, match=r"`policy`: this is locked by .* and `export` would change it"):
        load()


def test_a_lock_outside_a_system_directory_is_an_error(write, load):
    """It would promise what it cannot hold."""
    write("user", profiles={"research": {**FILE, "locked": True}})
    with pytest.raises(ConfigurationError, match="`locked` has no effect here"):
        load()


def test_options_cannot_change_a_locked_profile_but_for_the_manner_of_signing_in(write, load):
    """The same value is no change."""
    entra = {"source": "entra", "tenant": "contoso.com", "client_id": "abc", "role_arn": ROLE, "locked": True}
    file = write("system", default_profile="research", profiles={"research": entra})
    with pytest.raises(ConfigurationError, match=rf"locked by {file}, and the command changes region"):
        load().profile(region="eu-west-1")
    profile = load().profile("research", role_arn=ROLE, no_browser=True, redirect_port=8400)
    assert (True, (8400,)) == (profile.no_browser, profile.redirect_port)


SIGN_IN = {"source": "oidc", "issuer": "https://login.example.org", "client_id": "abc", "identity_pool_id": POOL}


def test_a_pasted_token_keeps_a_source_that_signs_in_itself(write, load):
    """With its issuer and its checks: how, not as whom, so a lock leaves it free."""
    write("system", profiles={"research": {**SIGN_IN, "locked": True}})
    plain, pasted = load().profile("research"), load().profile("research", token_prompt=True)
    assert ("oidc", SIGN_IN["issuer"], True) == (pasted.source, pasted.issuer, pasted.token_prompt)
    assert config.same_sign_in(plain, pasted)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("other", {}),
        (None, {"role_arn": ROLE, "region": "eu-west-1"}),
        ("other", {"source": "prompt"}),
        ("research", {"source": "prompt"}),
    ],
)
def test_a_pasted_token_is_the_source_anywhere_else(write, load, name, options):
    """Over a profile that brings its token another way, without a profile, or where the command says so."""
    write("user", profiles={"research": SIGN_IN, "other": {**FILE, "identity_pool_id": POOL}})
    profile = load().profile(name, token_prompt=True, **options)
    assert ("prompt", None, None) == (profile.source, profile.path, profile.issuer)
    assert profile.token_prompt is None


def test_a_pasted_token_and_another_source_are_one_too_many(load):
    """The command says twice where the token comes from."""
    with pytest.raises(ConfigurationError, match=r"`source: file` and `token_prompt`.*Keep one of the two"):
        load().profile(**FILE, token_prompt=True)


def test_the_policy_bounds_the_life_of_a_roles_credentials(write, load):
    """The error names the file that says so."""
    file = write("system", policy={"max_session_hours": 2})
    options = {"source": "prompt", "role_arn": ROLE}
    assert load().profile(**options, duration_seconds=7200).duration_seconds == 7200
    with pytest.raises(ConfigurationError, match=rf"allows 2 hours \({file}\)\. Ask for 7200 seconds at most"):
        load().profile(**options, duration_seconds=7201)


def test_the_working_directory_is_no_configuration(tmp_path, monkeypatch):
    """An empty or relative element of JUPYTER_CONFIG_PATH must not make a cloned repository's file count."""
    content = {"Federation": {"profiles": {"evil": {"source": "env", "variable": "X", "region": "eu-west-1"}}}}
    (tmp_path / "jupyter_federation_config.json").write_text(json.dumps(content))
    monkeypatch.chdir(tmp_path)
    assert config.load(["", ".", "sub/.."]).profiles == {}
    assert list(config.load([tmp_path]).profiles) == ["evil"]


@pytest.mark.parametrize("ports", [[8400, 8401], "8400,8401", "8400 8401", ["8400", "8401"]])
def test_several_ports_are_a_list_or_a_text(write, load, ports):
    """As they come from a file and from the command."""
    sign_in = {"source": "oidc", "issuer": "https://login.example.org", "client_id": "abc", "identity_pool_id": POOL}
    write("user", profiles={"research": sign_in | {"redirect_port": ports}})
    assert (8400, 8401) == load().profile("research").redirect_port
