"""Settings whose names are misspelt are said, wherever a process of this product starts."""

import logging
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from approvals import GatedServer, setting_names
from approvals.gate import settings as gate_settings
from approvals_web.cli.commands import app
from approvals_web.settings import Settings


def test_every_setting_has_its_name_there():
    read = set(re.findall(r'"(APPROVALS_[A-Z_]+)"', Path(gate_settings.__file__).read_text()))
    assert {f"APPROVALS_{name}" for name in setting_names.GATE.split()} == read
    assert {f"APPROVALS_{name.upper()}" for name in Settings.model_fields} == setting_names.KNOWN - read


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "APPROVALS_PUBLIC_ULR",
            "'APPROVALS_PUBLIC_ULR' is no setting, and changes nothing. Did you mean APPROVALS_PUBLIC_URL?",
        ),
        ("APPROVAL_URL", "'APPROVAL_URL' is no setting, and changes nothing. Did you mean APPROVALS_URL?"),
        ("approvals_hold_by_clent", "Did you mean APPROVALS_HOLD_BY_CLIENT?"),
        ("APPROVALS_ZZZZZZZZZZZZZZZZZZZZ", "'APPROVALS_ZZZZZZZZZZZZZZZZZZZZ' is no setting, and changes nothing."),
    ],
)
def test_p5_a_misspelt_name_is_said_with_the_nearest_that_there_is(name, said):
    (sentence,) = setting_names.misspelt([name, "PATH", "APPROVALS_URL", "approvals_port"])
    assert sentence.endswith(said)


def test_p5_every_command_says_a_misspelt_name_and_never_its_value(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("APPROVALS_SECRET_KEI", "do-not-print-this")
    for command in (["policy", "schema"], ["freeze"], ["user", "list"]):
        beside = CliRunner().invoke(app, command).stderr
        assert "Did you mean APPROVALS_SECRET_KEY?" in beside
        assert "do-not-print-this" not in beside


def test_p5_a_gate_says_a_misspelt_name_when_it_is_made(monkeypatch, caplog):
    monkeypatch.setenv("APPROVALS_HOLDS", "4")
    with caplog.at_level(logging.WARNING):
        GatedServer("shop")
    assert "Did you mean APPROVALS_HOLD?" in caplog.text
