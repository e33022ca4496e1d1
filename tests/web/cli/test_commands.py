"""The `approvals` command: what it says of itself, and what it does where there is nothing to speak to."""

import contextlib
import json
import os
import re
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import pytest
import typer
import typer.core
import typer.main
from typer.testing import CliRunner

from approvals.errors import ApprovalsError
from approvals.protocol.registration import Annotations
from approvals.service.keyring import keep_beside
from approvals.service.storage import migrate, schema_version
from approvals_web.cli import main
from approvals_web.cli.commands import app
from support.serving import SECRET

NOBODY = 65534
COMMANDS = (
    "freeze",
    "freeze --list",
    "unfreeze",
    "erase 0190",
    "withdraw 0190",
    "server add shop",
    "server list",
    "server rotate shop",
    "server revoke shop",
    "server audience shop",
    "server offers",
    "server reject shop refund_order 0",
    "server grants shop --allow",
    "agent add scout",
    "agent list",
    "agent keys scout",
    "agent rotate scout",
    "agent revoke scout",
    "agent owner scout",
    "agent groups scout",
    "agent limits scout",
    "agent scopes scout key */*",
    "user add ann",
    "user invite ann",
    "user list",
    "user disable ann",
    "user roles ann admin",
    "user groups ann",
    "user enable ann",
    "user sign-out ann",
    "user invitations",
    "user uninvite ann",
    "grant list",
    "grant revoke 0190",
    "rollout set shop observe",
    "rollout clear shop",
    "rollout list",
    "audit verify",
    "audit export",
    "policy replay",
)
ONE_OF_EACH_KIND = ("freeze", "server list", "audit verify", "audit export", "policy replay")
OTHERS = {"serve", "migrate", "doctor", "smoke", "slack manifest", "slack doctor"} | {
    f"policy {name}" for name in ("lint", "explain", "test", "schema")
}
"""They make a database, or need none."""


@pytest.fixture
def folder(monkeypatch):
    """Where the command is run: an empty folder that everybody may look into."""
    found = Path(tempfile.mkdtemp())
    found.chmod(0o755)
    monkeypatch.chdir(found)
    for name in [name for name in os.environ if name.startswith("APPROVALS_")]:
        monkeypatch.delenv(name)
    yield found
    found.chmod(0o755)
    shutil.rmtree(found)


def text_file(folder, migrated):
    (folder / "approvals.db").write_text("Dear diary, nothing of note happened today.\n" * 50)


def foreign(folder, migrated):
    with contextlib.closing(sqlite3.connect(folder / "approvals.db")) as other:
        other.execute("CREATE TABLE song (title TEXT)")


def ours(folder, migrated, version=None):
    shutil.copyfile(migrated, folder / "approvals.db")
    keep_beside(folder / "approvals.db")
    if version is not None:
        with contextlib.closing(sqlite3.connect(folder / "approvals.db")) as database:
            database.execute("UPDATE alembic_version SET version_num = ?", (version,))
            database.commit()


def older(folder, migrated):
    ours(folder, migrated, "0000")


def newer(folder, migrated):
    ours(folder, migrated, "9000")


def without_key(folder, migrated):
    ours(folder, migrated)
    (folder / "approvals.db.key").unlink()


def open_key(folder, migrated):
    ours(folder, migrated)
    (folder / "approvals.db.key").chmod(0o644)


def other_key(folder, migrated):
    ours(folder, migrated)
    with contextlib.closing(sqlite3.connect(folder / "approvals.db")) as database:
        database.execute("INSERT INTO meta (name, value) VALUES ('audit_key_id', 'another')")
        database.commit()


def read_only(folder, migrated):
    ours(folder, migrated)
    for path in (folder / "approvals.db", folder / "approvals.db.key"):
        path.chmod(0o444)
    if os.geteuid() == 0:  # as_nobody gives up root's rights; an ordinary user has none to give up
        os.chown(folder / "approvals.db.key", NOBODY, -1)
    folder.chmod(0o555)


PLACES = {
    "an empty folder": (lambda folder, migrated: None, r"There is no database /\S+/approvals\.db\. .*--database-url"),
    "a text of that name": (text_file, r"approvals\.db cannot be used: file is not a database"),
    "another program's database": (foreign, r"has no tables of this product.*approvals migrate"),
    "an older schema": (older, r"older than this version \(0000, not \d+\).*approvals migrate"),
    "a newer schema": (newer, r"newer than this version \(9000"),
    "no key": (without_key, r"key is not where it should be.*APPROVALS_SECRET_KEY"),
    "a key that others can read": (open_key, r"others can open it \(mode 0644\).*chmod 600"),
    "another key": (other_key, r"belongs to another APPROVALS_SECRET_KEY"),
    "a folder to read only": (read_only, r"approvals\.db cannot be used: .*yours to write"),
}


@contextlib.contextmanager
def as_nobody():
    """Modes mean nothing to the superuser."""
    if os.getuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def kept(folder):
    """What is there; SQLite's own files beside a database come and go."""
    return {path.name for path in folder.iterdir() if not path.name.endswith(("-wal", "-shm"))}


@pytest.mark.parametrize(
    ("place", "command"),
    [("an empty folder", command) for command in COMMANDS]
    + [(place, command) for place in list(PLACES)[1:] for command in ONE_OF_EACH_KIND],
)
def test_p5_a_command_where_there_is_nothing_to_speak_to_fails_and_says_what_to_do(folder, migrated, place, command):
    make, complaint = PLACES[place]
    make(folder, migrated)
    before = kept(folder)
    with as_nobody() if make is read_only else contextlib.nullcontext(), pytest.raises(ApprovalsError) as refused:
        app(command.split(), standalone_mode=False)
    assert re.search(complaint, f"{refused.value.detail} {refused.value.hint}")
    assert kept(folder) == before


def leaves(command, name=""):
    """Every subcommand, by its words."""
    if not isinstance(command, typer.core.TyperGroup):
        return {name}
    return set().union(*(leaves(child, f"{name} {word}".strip()) for word, child in command.commands.items()))


def test_every_command_is_among_these():
    every = leaves(typer.main.get_command(app))
    missing = {name for name in every - OTHERS if not any(command.startswith(name) for command in COMMANDS)}
    assert missing == set()


def test_the_newest_schema_is_the_one_that_migrations_lead_to():
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(migrate.configuration("sqlite:///x.db"))
    assert schema_version.newest() == scripts.get_current_head()


def test_help_introduces_the_product():
    said = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())
    assert "Human approval for AI agents: a tool that writes waits until a person lets it." in said
    assert "approvals serve --demo" in said


@pytest.mark.parametrize(
    ("flags", "trusted", "words"),
    [
        ("", 0, ("Cooperative: ", "not trusted")),
        ("--trusted", 1, ("Cooperative: ", "are trusted")),
        ("--assurance enforced", 1, ("Enforced: ", "are trusted")),
        ("--assurance enforced --untrusted", 0, ("Enforced: ", "not trusted")),
    ],
)
def test_p1_a_server_is_believed_by_default_only_where_its_agent_cannot_reach_it_and_the_command_says_so(
    folder, flags, trusted, words
):
    assert CliRunner().invoke(app, ["migrate"]).exit_code == 0
    added = CliRunner().invoke(app, ["server", "add", "shop", *flags.split()])
    assert added.exit_code == 0, added.output
    for said in words:
        assert said in added.stderr
    with contextlib.closing(sqlite3.connect("approvals.db")) as database:
        assert database.execute("SELECT trusted FROM installation").fetchall() == [(trusted,)]


def test_p8_an_operator_lists_what_is_offered_and_rejects_it(scenario, monkeypatch):
    loose = scenario.tool(annotations=Annotations(read_only=True))
    scenario.register(loose)
    monkeypatch.setenv("APPROVALS_DATABASE_URL", scenario.url)
    monkeypatch.setenv("APPROVALS_SECRET_KEY", SECRET)
    (offer,) = json.loads(CliRunner().invoke(app, ["server", "offers", "--json"]).stdout)
    assert (offer["server"], offer["tool"], offer["label"]) == ("shop", "refund_order", "(enforced ones)")
    assert offer["loosens"] == "says it only reads"
    rejected = CliRunner().invoke(app, ["server", "reject", "shop", "refund_order", offer["hash"]])
    assert "that definition is rejected" in rejected.stdout, rejected
    scenario.register(loose)
    assert json.loads(CliRunner().invoke(app, ["server", "offers", "--json"]).stdout) == []
    ((by,),) = scenario.rows("SELECT rejected_by FROM tool_rejection")
    assert by.startswith("cli:")


def options(command, name=""):
    """Every option that takes text, after its command's words."""
    if isinstance(command, typer.core.TyperGroup):
        found = [options(child, f"{name} {word}".strip()) for word, child in command.commands.items()]
        return [option for each in found for option in each]
    taken = [param for param in command.params if isinstance(param, typer.core.TyperOption) and not param.is_flag]
    return [(*name.split(), param.opts[0]) for param in taken if param.type_descriptor.annotation in TEXTS]


TEXTS = (str, list[str])
WORDS_OF_ONES_OWN = {"--reason"}
"""Nothing to say is as good as nothing said."""
EVERY_OPTION = [words for words in options(typer.main.get_command(app)) if words[-1] not in WORDS_OF_ONES_OWN]


@pytest.mark.parametrize("words", EVERY_OPTION, ids=" ".join)
def test_p1_no_option_takes_an_empty_value_for_everything(folder, words):
    refused = CliRunner().invoke(app, [*words, " "])
    assert refused.exit_code == 2
    assert "is empty" in refused.stderr


@pytest.mark.parametrize("lever", ["freeze", "unfreeze"])
@pytest.mark.parametrize("option", ["--server", "--agent"])
def test_p5_a_scope_that_is_empty_freezes_nothing_and_lifts_nothing(folder, lever, option):
    assert CliRunner().invoke(app, ["migrate"]).exit_code == 0
    if lever == "unfreeze":
        assert CliRunner().invoke(app, ["freeze"]).exit_code == 0
    before = CliRunner().invoke(app, ["freeze", "--list"]).stdout
    refused = CliRunner().invoke(app, [lever, option, ""])
    assert (refused.exit_code, CliRunner().invoke(app, ["freeze", "--list"]).stdout) == (2, before)
    assert f"'{option}'" in refused.stderr


@pytest.mark.parametrize("name", ["PORT", "DEMO_PORT", "SLACK_LINK_BY_EMAIL", "OIDC_AUTO_CREATE", "PUBLIC_URL"])
def test_p5_writes_can_be_frozen_whatever_is_wrong_with_what_a_freeze_does_not_need(folder, monkeypatch, name):
    assert CliRunner().invoke(app, ["migrate"]).exit_code == 0
    monkeypatch.setenv(f"APPROVALS_{name}", "nonsense")
    frozen = CliRunner().invoke(app, ["freeze"])
    assert frozen.stdout.startswith("All writes are frozen"), frozen.output


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
def test_p5_a_host_that_is_not_this_machine_is_not_blamed_on_the_port(folder, host):
    refused = CliRunner().invoke(app, ["serve", "--host", host])
    assert refused.exception.detail == f"APPROVALS_HOST is {host!r}, which is no address of this machine."


@pytest.mark.parametrize("command", ["user invite ann", "server add shop"])
def test_p5_no_link_is_printed_that_leads_nowhere(folder, monkeypatch, command):
    assert CliRunner().invoke(app, ["migrate"]).exit_code == 0
    monkeypatch.setenv("APPROVALS_PUBLIC_URL", "approvals.example")
    refused = CliRunner().invoke(app, command.split())
    assert refused.exception.detail.startswith("APPROVALS_PUBLIC_URL is 'approvals.example'")
    with contextlib.closing(sqlite3.connect("approvals.db")) as database:
        assert database.execute("SELECT count(*) FROM audit_event WHERE kind LIKE '%added'").fetchone() == (0,)


@pytest.mark.parametrize(
    ("flag", "mode", "words"),
    [([], "refuse", "New writes are refused"), (["--hold"], "hold", "New writes are filed and wait")],
)
def test_p7_a_freeze_says_what_becomes_of_new_writes(folder, flag, mode, words):
    assert CliRunner().invoke(app, ["migrate"]).exit_code == 0
    made = json.loads(CliRunner().invoke(app, ["freeze", *flag, "--json"]).stdout)
    assert (made["mode"], made["new"], made["revoked"]) == (mode, True, 0)
    assert words in CliRunner().invoke(app, ["freeze", *flag]).stdout


def test_one_key_is_no_keys(folder):
    for command in ("migrate", "server add shop", "agent add scout"):
        assert CliRunner().invoke(app, command.split()).exit_code == 0
    for command in ("server revoke shop", "agent revoke scout"):
        assert CliRunner().invoke(app, command.split()).stdout == "1 key revoked.\n"


def every(command, *words):
    """Each command with its words."""
    yield words, command
    for word, child in getattr(command, "commands", {}).items():
        yield from every(child, *words, word)


@pytest.mark.parametrize(
    ("words", "command"), [pytest.param(*each, id=" ".join(each[0])) for each in every(typer.main.get_command(app))]
)
def test_help_shows_all_that_it_was_given_to_say(words, command):
    shown = re.sub(r"[\s│]", "", CliRunner().invoke(app, [*words, "--help"]).stdout)
    for param in command.params:
        assert re.sub(r"\s", "", getattr(param, "help", None) or "") in shown


@pytest.mark.parametrize("name", ["a%20b.db", "100%.db", "a b.db", "ü#.db"])
def test_p5_a_database_of_any_name_is_the_one_that_was_named(folder, name):
    made = CliRunner().invoke(app, ["migrate", "--database-url", f"sqlite:///{name}"])
    assert made.exit_code == 0, made.exception
    assert kept(folder) == {name, f"{name}.key"}
    assert (folder / name).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("command", ["migrate", "migrate --restored", "serve --port 0"])
def test_p5_a_folder_to_read_only_is_said_without_a_traceback(folder, command):
    folder.chmod(0o555)
    with as_nobody(), pytest.raises(ApprovalsError, match=r"cannot be (used|opened)|There is no database"):
        app(command.split(), standalone_mode=False)
    assert kept(folder) == set()


@pytest.mark.parametrize("command", ["migrate", "serve --port 0"])
def test_a_folder_that_is_missing_is_said_without_a_traceback(folder, command):
    with pytest.raises(ApprovalsError, match=r"No such file|There is no folder"):
        app([*command.split(), "--database-url", "sqlite:///nowhere/a.db"], standalone_mode=False)


def test_p4_what_is_not_there_was_not_restored(folder):
    with pytest.raises(ApprovalsError, match="There is no database"):
        app(["migrate", "--restored"], standalone_mode=False)
    assert kept(folder) == set()


def test_p4_a_restored_database_without_its_key_gets_no_other(folder, migrated):
    other_key(folder, migrated)
    (folder / "approvals.db.key").unlink()
    with pytest.raises(ApprovalsError, match="key is not where it should be"):
        app(["migrate", "--restored"], standalone_mode=False)
    assert kept(folder) == {"approvals.db"}


def test_commands_say_what_they_changed_for_whom(folder):
    for command in ("migrate", "server add shop", "agent add scout"):
        assert CliRunner().invoke(app, command.split()).exit_code == 0
    assert "until the next rotation" in CliRunner().invoke(app, ["agent", "rotate", "scout"]).stderr
    assert "until the next rotation" in CliRunner().invoke(app, ["server", "rotate", "shop"]).stderr
    for mode, words in (("observe", "Nobody is asked any more"), ("off", "Nobody is asked"), ("enforce", "wait")):
        said = CliRunner().invoke(app, ["rollout", "set", "shop", mode])
        assert words in said.stdout, said.output


@pytest.mark.parametrize("while_it", ["imports", "runs"])
def test_ctrl_c_ends_a_command_without_a_traceback(monkeypatch, capsys, while_it):
    def interrupted():
        raise KeyboardInterrupt

    if while_it == "runs":
        monkeypatch.setattr("approvals_web.cli.commands.run", interrupted)
    else:
        monkeypatch.setitem(sys.modules, "approvals_web.cli.commands", Interrupting("commands"))
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, capsys.readouterr().err) == (130, "")


class Interrupting(ModuleType):
    def __getattr__(self, name):
        raise KeyboardInterrupt
