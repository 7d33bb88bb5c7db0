"""Is the token read again when it changes, refused when others can read it, and never shown?"""

from __future__ import annotations

import base64
import json
import os
import pickle
from pathlib import Path

import pytest

from infra.slurm.token import Token, TokenError, TokenFile


def jwt(**claims: object) -> str:
    """Return a JSON web token that nobody has signed."""
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (*parts, b"signed"))


def token_file(top: Path, content: str, mode: int = 0o600) -> TokenFile:
    path = top / "token"
    path.write_text(content)
    path.chmod(mode)
    return TokenFile(str(path), "alice")


@pytest.mark.parametrize("content", ["{}", "{}\n", "SLURM_JWT={}\n", "  {} \n"])
def test_a_token_is_read_as_it_is_or_as_scontrol_prints_it(tmp_path: Path, content: str) -> None:
    secret = jwt(exp=1, sun="alice")
    assert token_file(tmp_path, content.format(secret)).token().reveal() == secret


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    file = token_file(tmp_path, "one")
    first = file.token()
    assert file.token() is first
    (tmp_path / "token").write_text("another")
    assert file.token().reveal() == "another"
    os.rename(token_file(tmp_path, "third").path, tmp_path / "new")
    (tmp_path / "new").rename(tmp_path / "token")
    assert file.token().reveal() == "third"


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644, 0o620])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = token_file(tmp_path, "secret", mode)
    with pytest.raises(TokenError, match=f"chmod 600 {file.path}") as raised:
        file.token()
    assert "secret" not in str(raised.value)


def test_permissions_that_were_opened_later_are_refused_too(tmp_path: Path) -> None:
    file = token_file(tmp_path, "secret")
    file.token()
    (tmp_path / "token").chmod(0o644)
    with pytest.raises(TokenError, match="can be read or written by others"):
        file.token()


@pytest.mark.parametrize("content", ["", "SLURM_JWT=", "two words", "secr\u00e9t", "secret\nsecret"])
def test_what_is_no_token_is_not_quoted(tmp_path: Path, content: str) -> None:
    file = token_file(tmp_path, content)
    with pytest.raises(TokenError, match=r"there is no token .*`scontrol token username=alice") as raised:
        file.token()
    assert "secr" not in str(raised.value)
    assert "two words" not in str(raised.value)


def test_a_missing_file_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(TokenError, match=r"No such file .*umask 077; scontrol token username=alice"):
        TokenFile(str(tmp_path / "none"), "alice").token()


def test_its_end_is_known_where_it_says_so() -> None:
    assert Token(jwt(exp=1795217564, sun="alice")).expires == 1795217564.0
    assert Token(jwt(sun="alice")).expires is None
    assert Token("a.b.c").expires is None
    assert Token("secret").expires is None
    assert Token(jwt(exp="never")).expires is None


def test_a_token_shows_itself_to_nobody(tmp_path: Path) -> None:
    file = token_file(tmp_path, "secret")
    token = file.token()
    assert "secret" not in f"{token} {token!r} {file!r} {vars(file)}"
    with pytest.raises(TypeError):
        pickle.dumps(token)
