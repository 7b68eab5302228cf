"""One option's value: what is taken, and what is said of what is not."""

from __future__ import annotations

import pytest

from jupyter_federation.errors import ConfigurationError
from jupyter_federation.options import options_of, read_option
from jupyter_federation.profile import Profile

ROLE = "arn:aws:iam::123456789012:role/research/Reader"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("region", "eu-west-1\u200b", "Write it without the character U+200B, which does not show."),
        ("role_arn", f"{ROLE}\u00a0", "Write it without the character U+00A0, which does not show."),
        ("policy", '{\n  "Version": "2012-10-17",\n}', "What `policy` is"),
        ("redirect_port", "84OO\n", "What `redirect_port` is"),
    ],
)
def test_a_character_that_does_not_show_is_named_where_it_is_what_is_wrong(key, value, said):
    """Line breaks in JSON and around numbers are not."""
    with pytest.raises(ConfigurationError) as caught:
        read_option(options_of(Profile), key, value, where="here")
    assert said in caught.value.fix


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("path", "/home//ada@corp.example/id_token"),
        ("policy", '{"Resource": "arn:aws:s3:::lake/home//ada@corp.example/*"}'),
    ],
)
def test_a_person_s_name_in_a_path_is_no_token(key, value):
    """A home of a directory service has an @, and slashes are easily doubled."""
    assert read_option(options_of(Profile), key, value, where="here")


@pytest.mark.parametrize("before", ["ada:pa/ss", "ada:pa#ss", "ada:12/ss", "ada", "se-cret12345"])
@pytest.mark.parametrize(("key", "scheme"), [("issuer", "https"), ("issuer", "http"), ("authority", "https")])
def test_a_provider_s_address_holds_no_user(key, scheme, before):
    """A password that is not escaped, or a short token, looks like many things; none of them is shown."""
    with pytest.raises(
        ConfigurationError, match=r"should be an https URL, not .*Write it without|a token or a key"
    ) as e:
        read_option(options_of(Profile), key, f"{scheme}://{before}@login.example.org", where="here")
    assert before not in str(e.value)


def test_what_does_not_show_is_named_in_a_list_too():
    """A list may be typed as one text."""
    with pytest.raises(ConfigurationError, match=r"without the character U\+202E"):
        read_option(options_of(Profile), "scopes", "openid\u202e profile", where="here")


def test_an_address_and_a_person_in_json_are_no_password():
    """Quotes are between them."""
    said = '{"a":["http://localhost:8000","ada@example.org"]}'
    assert read_option(options_of(Profile), "policy", said, where="here") == said


@pytest.mark.parametrize("before", ["ada:pass", "ada:p@ss", "me@x.org:pass", ":pass", "ghp_0123456789abcdef"])
def test_an_address_with_a_password_is_none_to_be_kept(before):
    """Nor one with a token in the person's place."""
    with pytest.raises(ConfigurationError, match="looks like a token or a key"):
        read_option(options_of(Profile), "issuer", f"https://{before}@login.example.org", where="here")
