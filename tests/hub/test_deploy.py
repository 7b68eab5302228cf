"""The administrator's kit in docs/deploy, read as those read it for whom it is written."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from aws_command_line import operations_in
from hubs import Template, resources, role_of, trust_statement
from IPython.core.application import SYSTEM_CONFIG_DIRS
from oauthenticator.generic import GenericOAuthenticator
from servers import PACKAGE
from traitlets.config import Config, PyFileConfigLoader

from jupyter_federation import config, documentation

DOCS = PACKAGE.parent / "docs"
DEPLOY = DOCS / "deploy"
CULLER = {  # the chart's own role, as it begins
    "name": "jupyterhub-idle-culler",
    "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
    "services": ["jupyterhub-idle-culler"],
}
TEMPLATES = ("sts.yaml", "identity-pool.yaml")


@pytest.mark.slow
def test_the_templates_are_clean():
    """By AWS's own linter."""
    paths = [str(DEPLOY / name) for name in TEMPLATES]
    answer = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), *paths], capture_output=True, text=True, timeout=60, check=False
    )
    assert (0, "") == (answer.returncode, answer.stdout)


@pytest.mark.parametrize("name", TEMPLATES)
def test_each_trust_policy_names_its_audience(name):
    """And a session without the tag gets no role; the prefix is the tag's."""
    role = resources(name)["Researcher"]
    statement = trust_statement(role)
    (audience,) = statement["Condition"]["StringEquals"].items()
    assert audience in {("${Issuer}:aud", "${ClientId}"), ("cognito-identity.amazonaws.com:aud", "Pool")}
    assert {"aws:RequestTag/person": "?*"} == statement["Condition"]["StringLike"]
    assert {"sts:AssumeRoleWithWebIdentity", "sts:TagSession"} == set(statement["Action"])
    objects, listing = role["Policies"][0]["PolicyDocument"]["Statement"]
    assert objects["Resource"].endswith(":s3:::${BucketName}/${!aws:PrincipalTag/person}/*")
    assert ["${aws:PrincipalTag/person}/*"] == listing["Condition"]["StringLike"]["s3:prefix"]


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_tag_leads_into_another_s_prefix(name):
    """`team/ada` would be what the person `team` owns; and no other tag comes in by the token."""
    role = role_of(name)
    assert role.trusts_tags({"person": "ada"})
    assert not role.trusts_tags({})
    assert not role.trusts_tags({"person": "team/ada"})
    tags_of_the_pool = {"person"} == set(resources(name).get("Tags", {}).get("PrincipalTags", ()))
    assert tags_of_the_pool or not role.trusts_tags({"person": "ada", "administrator": "yes"})


def test_the_values_are_what_the_chart_reads(tmp_path):
    """25 lines at most: what OAuthenticator takes, hub.py where the chart runs it, and a good profile."""
    text = (DEPLOY / "z2jh-values.yaml").read_text()
    assert len(text.splitlines()) <= 25
    values = yaml.safe_load(text)
    c = Config()
    c.JupyterHub.load_roles.append(CULLER)
    for section, settings in values["hub"]["config"].items():  # as the chart's jupyterhub_config.py does it
        c[section].update(settings)
    run_by_the_chart = r"/usr/local/etc/jupyterhub/jupyterhub_config\.d/\w+\.py"
    assert re.fullmatch(run_by_the_chart, values["hub"]["extraFiles"]["federation"]["mountPath"])
    exec(compile(documentation.page("deploy/hub.py"), "federation", "exec"), {"c": c})
    assert CULLER == c.JupyterHub.load_roles[0]
    unknown = set(values["hub"]["config"]["GenericOAuthenticator"]) - set(GenericOAuthenticator.class_trait_names())
    assert set() == unknown
    authenticator = GenericOAuthenticator(config=c)
    assert authenticator.enable_auth_state
    assert "openid" in authenticator.scope
    at_start = values["singleuser"]["extraFiles"]["at-start"]
    (tmp_path / "ipython_kernel_config.py").write_text(at_start["stringData"])
    assert str(Path(at_start["mountPath"]).parent) in SYSTEM_CONFIG_DIRS
    assert ["jupyter_federation.at_start"] == extensions_of(tmp_path)
    file = values["singleuser"]["extraFiles"]["federation"]
    (tmp_path / Path(file["mountPath"]).name).write_text(json.dumps(file["data"]))
    assert "jupyterhub" == config.load([tmp_path]).profile().source


def test_the_page_s_command_for_a_pool_fits_the_api(tmp_path):
    """And it does what the template does."""
    page = (DOCS / "jupyterhub.md").read_text()
    (block,) = (block for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if block.startswith("aws "))
    ((operation, parameters),) = operations_in(block, tmp_path)
    assert "SetPrincipalTagAttributeMap" == operation
    tags = resources("identity-pool.yaml")["Tags"]
    assert {name: tags[name] for name in ("UseDefaults", "PrincipalTags")} == {
        name: parameters[name] for name in ("UseDefaults", "PrincipalTags")
    }
    assert "Provider.Arn" == tags["IdentityProviderName"]
    assert parameters["IdentityProviderName"].startswith("arn:aws:iam::")


def test_the_page_s_commands_need_the_package_alone(tmp_path):
    """Its first ones print each file that a later one names, as it is in the package, and no name has a folder."""
    page = (DOCS / "jupyterhub.md").read_text()
    prints = re.findall(r"^jupyter federation docs .*$", page, re.MULTILINE)
    printed = tmp_path / "printed"
    printed.mkdir()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(tmp_path)}
    subprocess.run(["sh", "-euc", "\n".join(prints)], check=True, cwd=printed, env=environment)
    files = {"hub.py": PACKAGE / "hub.py", **{name: DEPLOY / name for name in (*TEMPLATES, "z2jh-values.yaml")}}
    assert {name: file.read_bytes() for name, file in files.items()} == {
        file.name: file.read_bytes() for file in printed.iterdir()
    }
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    blocks = "\n".join(text for language, text in fenced if language in ("", "sh"))
    named = {each[1]: each.start() for each in re.finditer(r"(?:--template-file|--values|stringData=) ?(\S+)", blocks)}
    assert ["z2jh-values.yaml", "hub.py", "secret.yaml", "identity-pool.yaml"] == list(named)
    assert all(blocks.index(f" > {name}\n") < named[name] for name in named if name != "secret.yaml")
    assert not re.search(r"docs/deploy|jupyter_federation/hub\.py|\./jupyter", blocks)


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_page_s_stack_gives_a_template_all_that_it_asks_for(name):
    """Each parameter, by the one command for both."""
    (given,) = re.findall(r"--parameter-overrides (.*)", (DOCS / "jupyterhub.md").read_text())
    template = yaml.load((DEPLOY / name).read_text(), Template)
    assert list(template["Parameters"]) == [each.partition("=")[0] for each in given.split()]


def extensions_of(directory):
    """What a kernel that is configured by ``directory`` loads."""
    lazy = PyFileConfigLoader("ipython_kernel_config.py", str(directory)).load_config().InteractiveShellApp.extensions
    return lazy.get_value([])


def test_the_page_s_own_files_are_good(tmp_path):
    """The hub's and the kernels' configuration is Python, the profile can be loaded; the commands are a shell's."""
    page = (DOCS / "jupyterhub.md").read_text()
    configuration, profile, kernels = re.findall(r"<<'END'\n(.*?)\nEND\n", page, re.DOTALL)
    compile(configuration, "jupyterhub_config.py", "exec")
    (tmp_path / "jupyter_federation_config.json").write_text(profile)
    assert "jupyterhub" == config.load([tmp_path]).profile().source
    (tmp_path / "ipython_kernel_config.py").write_text(kernels)
    assert ["jupyter_federation.at_start"] == extensions_of(tmp_path)
    for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL):
        subprocess.run(["sh", "-n", "-c", block], check=True)
