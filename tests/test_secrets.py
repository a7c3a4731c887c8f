"""A secret comes from where the configuration points, or one sentence says why it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from pipelines.config.secrets import reveal
from pipelines.errors import ConfigError

VENUE = "https://venue.example"


def of_file(path: Path) -> str:
    return reveal(SecretStr(f"file:{path}"), VENUE, "desk")


def test_a_file_s_secret_is_its_text_without_the_line_s_end(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("s3cret\n")
    path.chmod(0o600)
    assert of_file(path) == "s3cret"


@pytest.mark.parametrize(
    ("body", "mode", "said"),
    [
        (b"\xff\xfe\x00s", 0o600, r"is not text in UTF-8\. Write the secret into it"),
        (b"", 0o600, r"is empty\. Write the secret into it\."),
        (b" \n", 0o600, "is empty"),
        (b"s3cret", 0o640, "can be read by others. chmod 600"),
    ],
)
def test_a_file_that_holds_no_secret_is_said(tmp_path: Path, body: bytes, mode: int, said: str) -> None:
    path = tmp_path / "key"
    path.write_bytes(body)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=f"The secret file {path} of desk {said}"):
        of_file(path)


def test_neither_a_directory_nor_what_is_not_there_is_advised_to_be_closed(tmp_path: Path) -> None:
    for path, said in ((tmp_path, "Is a directory"), (tmp_path / "none", "No such file")):
        with pytest.raises(ConfigError, match=f"cannot be read: {said}") as told:
            of_file(path)
        assert "chmod" not in str(told.value)
