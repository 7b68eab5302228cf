"""Two people with a federation profile each."""

import json

import pytest


@pytest.fixture
def profiles(pool, provider, tmp_path, isolated_home, monkeypatch):
    """Federation profiles ada and grace, each with a token file of that person."""
    directory = tmp_path / "jupyter"
    directory.mkdir()
    profiles = {}
    for user in ("ada", "grace"):
        token = tmp_path / f"{user}.token"
        token.write_text(provider.id_token(user))
        token.chmod(0o600)
        profiles[user] = {"source": "file", "path": str(token), "identity_pool_id": pool.id}
    content = {"Federation": {"default_profile": "ada", "profiles": profiles}}
    (directory / "jupyter_federation_config.json").write_text(json.dumps(content))
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(directory))
    return profiles
