"""The policy file while the service runs: what comes into force, what stays, and what is on record of it."""

import os

import anyio
import pytest

from approvals.errors import Invalid, Unavailable
from approvals.policy.loader import read
from approvals.policy.model import DefaultPolicy, policy_hash
from approvals.protocol.registration import Annotations, ToolDefinition
from approvals.service.policies import versions
from approvals.service.policies.file import MOST, PolicyFile
from approvals.service.service import Service

ASK = "version: 1\nrules:\n  - {id: ask, match: {server: '*'}, action: require_approval, risk: low}\n"
DENY = "version: 1\nrules:\n  - {id: no, match: {server: '*'}, action: deny, reason: not today}\n"
BROKEN = "version: 1\nrulez: []\n"


@pytest.fixture
async def ruled(database_url, open_scenario, tmp_path):
    """A scenario whose policy is a file that says ASK, and its path."""
    path = tmp_path / "policy.yaml"
    path.write_text(ASK)
    scenario = open_scenario(database_url, policy_file=PolicyFile(path))
    scenario.build()
    scenario.service.begin_policy()
    scenario.service.database.start()
    yield scenario, path
    scenario.service.database.stop()


async def look(scenario, times=2):
    """Whether it was news: a file is taken when two looks found the same."""
    return [await scenario.service.policy_watch.look(scenario.service.policy) for _ in range(times)][-1]


def loads(scenario):
    return [(row.hash, row.by) for row in scenario.read(versions.loads)]


async def test_what_the_file_says_anew_judges_the_next_call(ruled):
    scenario, path = ruled
    first = scenario.file()
    path.write_text(DENY)
    assert await look(scenario)
    second = scenario.file(scenario.filing({"order_id": 7, "amount_cents": 1}))
    rows = [scenario.row(filed.request_id) for filed in (first, second)]
    assert [(row.action, row.rule, row.state) for row in rows] == [
        ("require_approval", "ask", "pending"),
        ("deny", "no", "denied"),
    ]
    kept = dict(scenario.rows("SELECT hash, text FROM policy_version"))
    assert [kept[row.policy_hash] for row in rows] == [ASK, DENY]


async def test_each_coming_into_force_is_on_record_once_with_its_event(ruled):
    scenario, path = ruled
    path.write_text(DENY)
    await look(scenario, 4)
    by = f"file:{path}"
    names = [scenario.service.policy.hash, policy_hash_of(ASK)]
    assert loads(scenario) == [(name, by) for name in names]
    events = scenario.rows("SELECT subject, actor FROM audit_event WHERE kind = 'policy.loaded' ORDER BY id DESC")
    assert events == [(name, by) for name in names]


@pytest.mark.parametrize("trouble", ["broken", "gone", "folder", "closed", "long", "bytes", "pipe"])
async def test_p5_a_file_that_cannot_be_used_leaves_the_old_policy_in_force_and_says_so_once(ruled, caplog, trouble):
    scenario, path = ruled
    if trouble == "closed" and os.getuid() == 0:
        pytest.skip("root reads everything")
    path.unlink()
    match trouble:
        case "broken":
            path.write_text(BROKEN)
        case "folder":
            path.mkdir()
        case "closed":
            path.write_text(ASK)
            path.chmod(0)
        case "long":
            path.write_text("#" * (MOST + 1))
        case "bytes":
            path.write_bytes(b"\xff")
        case "pipe":
            os.mkfifo(path)
    assert not await look(scenario, 5)
    assert scenario.service.policy.text == ASK
    assert scenario.service.policy.trouble is not None
    if trouble == "pipe":
        assert "no regular file" in scenario.service.policy.trouble.report
    (said,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "cannot be used" in said.getMessage()
    assert len(loads(scenario)) == 1
    assert scenario.row(scenario.file().request_id).policy_hash == policy_hash_of(ASK)


async def test_a_mended_file_ends_the_trouble_whether_it_says_the_same_or_something_new(ruled):
    scenario, path = ruled
    for mended, news in ((ASK, False), (DENY, True)):
        path.write_text(BROKEN)
        await look(scenario)
        assert scenario.service.policy.trouble is not None
        path.write_text(mended)
        assert await look(scenario) is news
        assert scenario.service.policy.trouble is None
        assert scenario.service.policy.text == mended
    assert len(loads(scenario)) == 2


async def test_a_second_broken_content_is_said_too(ruled, caplog):
    scenario, path = ruled
    for content in (BROKEN, BROKEN + "more: 1\n", ASK, BROKEN):
        path.write_text(content)
        await look(scenario, 3)
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 3


async def test_p1_half_of_a_file_that_is_being_written_is_no_policy(ruled):
    scenario, path = ruled
    for half in (DENY[:12], DENY.replace("no", "half"), DENY):
        path.write_text(half)
        assert not await look(scenario, 1)
        assert scenario.service.policy.text == ASK
    assert await look(scenario, 1)
    assert scenario.service.policy.text == DENY


async def test_p5_a_reader_that_crashes_leaves_the_old_policy_in_force(ruled, monkeypatch):
    scenario, path = ruled
    path.write_text(DENY)
    monkeypatch.setattr("approvals.service.policies.watcher.read", lambda text, tools: 1 / 0)
    assert not await look(scenario)
    assert "ZeroDivisionError" in scenario.service.policy.trouble.report
    assert scenario.service.policy.text == ASK


async def test_a_policy_that_cannot_be_put_on_record_does_not_come_into_force(ruled, monkeypatch):
    scenario, path = ruled
    path.write_text(DENY)

    def away(*_):
        raise Unavailable("The database is away.")

    with monkeypatch.context() as patch:
        patch.setattr(versions, "load", away)
        with pytest.raises(Unavailable):
            await look(scenario)
    assert scenario.service.policy.text == ASK
    assert await look(scenario, 1), "the next look tries again"


async def test_a_transaction_that_meets_a_reload_halfway_names_what_judged_it(ruled):
    scenario, _ = ruled
    policies, old, new = scenario.service.policy, scenario.service.policy.present, read(DENY)

    class Replaced:
        """Judges as the old policy, which is replaced meanwhile."""

        text = old.text

        def judge(self, call):
            policies.present = new
            return old.judge(call)

    policies.present = Replaced()
    row = scenario.row(scenario.file().request_id)
    assert policies.present is new
    assert (row.rule, row.policy_hash) == ("ask", policy_hash(old))


TYPED = "version: 1\nrules:\n  - {id: odd, match: {tool: new}, when: args.size > 3, action: allow}\n"
MISFIT = ToolDefinition(
    name="new",
    input_schema={"type": "object", "properties": {"size": {"type": "string"}}},
    annotations=Annotations(),
)
FITTING = MISFIT.model_copy(update={"input_schema": {"type": "object", "properties": {"size": {"type": "integer"}}}})


async def test_a_file_that_fits_no_tool_is_tried_again_when_others_are_registered_and_said_once(ruled, caplog):
    scenario, path = ruled
    scenario.register(MISFIT)
    path.write_text(TYPED)
    assert not await look(scenario, 3)
    scenario.register(MISFIT, scenario.tool(name="other"))
    assert not await look(scenario, 3)
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1
    scenario.register(FITTING)
    assert await look(scenario, 1)
    assert scenario.service.policy.trouble is None


def restarted(scenario, path):
    """A service that starts over the same database, with its policy."""
    service = Service(scenario.service.database, scenario.service.keyring, "http://x", policy_file=PolicyFile(path))
    service.begin_policy()
    return service


async def test_p5_no_tool_that_is_registered_later_keeps_the_service_from_starting_and_its_calls_are_held(ruled):
    scenario, path = ruled
    path.write_text(TYPED)
    await look(scenario)
    scenario.register(MISFIT)
    scenario.service.policy.present = restarted(scenario, path).policy.present
    row = scenario.row(scenario.file(scenario.filing({"size": "9"}, tool="new")).request_id)
    assert (row.state, row.rule) == ("pending", "odd")


async def test_p5_a_file_that_was_never_in_force_has_to_fit_every_tool_to_start_with(ruled):
    scenario, path = ruled
    scenario.register(MISFIT)
    path.write_text(TYPED)
    with pytest.raises(Invalid, match="cannot be used"):
        restarted(scenario, path)


async def test_replicas_that_load_the_same_file_make_one_record_of_it(ruled, open_scenario):
    scenario, path = ruled
    other = open_scenario(scenario.url, scenario.clock, scenario.keys, policy_file=PolicyFile(path))
    other.service.begin_policy()
    other.service.database.start()
    try:
        path.write_text(DENY)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(look, scenario)
            tasks.start_soon(look, other)
        assert scenario.service.policy.text == other.service.policy.text == DENY
        assert len(loads(scenario)) == 2
    finally:
        other.service.database.stop()


def test_p5_the_service_does_not_start_with_a_file_that_cannot_be_used(scenario, tmp_path):
    path = tmp_path / "policy.yaml"
    for content in (None, BROKEN, ""):
        if content is not None:
            path.write_text(content)
        service = Service(scenario.service.database, scenario.service.keyring, "http://x", policy_file=PolicyFile(path))
        with pytest.raises(Invalid, match="cannot be used") as refused:
            service.begin_policy()
        assert str(path) in refused.value.detail
    assert not scenario.read(versions.loads)


def test_without_a_file_the_built_in_policy_is_on_record(scenario):
    for _ in range(2):
        Service(scenario.service.database, scenario.service.keyring, "http://x").begin_policy()
    assert loads(scenario) == [(policy_hash(DefaultPolicy()), "system")]
    assert scenario.rows("SELECT text FROM policy_version") == [(DefaultPolicy.text,)]


def policy_hash_of(text):
    return policy_hash(type("Text", (), {"text": text})())
