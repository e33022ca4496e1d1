"""`approvals doctor`: each check, well and not."""

import json
from types import SimpleNamespace

import anyio.to_thread
import pytest
from typer.testing import CliRunner

from approvals_web.cli.commands import app
from approvals_web.operator import doctor
from approvals_web.operator.doctor import CHECKS, examine
from approvals_web.settings import Settings
from support.serving import SECRET


@pytest.fixture
def settings(served, monkeypatch):
    """Of a service that is well."""

    def made(**changes):
        return Settings(
            **{"database_url": served.scenario.url, "secret_key": SECRET, "public_url": served.url} | changes
        )

    return made


async def found(settings):
    """By name; beside the event loop, which answers."""
    return {finding.what: finding for finding in await anyio.to_thread.run_sync(lambda: list(examine(settings)))}


async def test_where_all_is_well_every_check_says_so(settings):
    findings = await found(settings())
    assert list(findings) == list(CHECKS)
    assert [finding for finding in findings.values() if not finding.ok] == []
    assert "answers" in findings["address"].said


@pytest.mark.parametrize(
    ("changes", "failed", "mend"),
    [
        ({"port": "x"}, "settings", "number"),
        ({"database_url": "sqlite:////nowhere/a.db"}, "database disk", "--database-url"),
        ({"database_url": "mysql://a"}, "database", "Use sqlite"),
        ({"secret_key": "short"}, "key", "Make one"),
        ({"secret_key": "another key, and long enough to be one"}, "key", "Use the key"),
        ({"policy": "/nowhere"}, "policy", "APPROVALS_POLICY"),
        ({"public_url": "http://127.0.0.1:9"}, "address", "APPROVALS_PUBLIC_URL"),
        ({"public_url": "http://a.invalid/b"}, "settings encryption", "nothing after it"),
        ({"public_url": "https://127.0.0.1:9"}, "address proxy", "X-Forwarded-For"),
        ({"oidc_issuer": "http://127.0.0.1:9"}, "sign-in", "APPROVALS_OIDC_ISSUER"),
        ({"slack_bot_token": "xoxb-1"}, "settings", "Say where"),
    ],
    ids=str,
)
async def test_what_is_wrong_is_named_with_what_to_do(settings, changes, failed, mend):
    if "oidc_issuer" in changes:
        changes = changes | {"oidc_client_id": "a", "oidc_client_secret": "b"}
    findings = await found(settings(**changes))
    bad = {what: finding for what, finding in findings.items() if not finding.ok}
    assert set(bad) == set(failed.split())
    assert any(mend in finding.mend for finding in bad.values()), bad
    assert len({finding.said for finding in bad.values()}) == len(bad), "nothing is said twice"


async def test_a_disk_with_little_left_and_a_clock_that_is_wrong_are_named(settings, monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: SimpleNamespace(free=5 << 20))
    monkeypatch.setattr(doctor, "_answer", lambda url: "Thu, 01 Jan 1970 00:00:10 GMT")
    findings = await found(settings())
    assert "clock is" in findings["clock"].said
    if settings().file is not None:
        assert findings["disk"].said.startswith("5 MiB are left")


async def test_a_policy_with_a_fault_is_told_with_its_line(settings, tmp_path):
    (tmp_path / "p.yaml").write_text("version: 1\nrules: []\nx: 1\n")
    finding = (await found(settings(policy=str(tmp_path / "p.yaml"))))["policy"]
    assert (finding.ok, "p.yaml:3:1" in finding.said) == (False, True)


async def test_its_exit_status_and_json_say_the_same(served, monkeypatch):
    monkeypatch.setenv("APPROVALS_DATABASE_URL", served.scenario.url)
    monkeypatch.setenv("APPROVALS_SECRET_KEY", SECRET)

    def asked(url):
        monkeypatch.setenv("APPROVALS_PUBLIC_URL", url)
        return CliRunner().invoke(app, ["doctor", "--json"])

    well = await anyio.to_thread.run_sync(asked, served.url)
    assert (well.exit_code, {row["ok"] for row in json.loads(well.stdout)}) == (0, {True})
    ill = await anyio.to_thread.run_sync(asked, "http://127.0.0.1:9")
    assert (ill.exit_code, [row["what"] for row in json.loads(ill.stdout) if not row["ok"]]) == (1, ["address"])
