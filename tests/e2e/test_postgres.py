"""approvals-postgres as its users run it: a person approves in Chromium, the row changes once, whatever is killed."""

import sqlite3

import anyio
import pytest

from support.postgres_world import AGAIN, SECRET_WORD, PostgresWorld

pytestmark = [pytest.mark.databases("one"), pytest.mark.slow]

FILING, CLAIM = rb"^POST /api/v1/requests HTTP", rb"^PUT /api/v1/requests/[^/]+/claim "
OUTCOME = rb"^PUT /api/v1/requests/[^/]+/outcome "
STEPS = {
    "looking": ("sql", rb"EXPLAIN", False),
    "filing sent": ("front", FILING, False),
    "filing kept": ("front", FILING, True),
    "claim sent": ("front", CLAIM, False),
    "claim kept": ("front", CLAIM, True),
    "looking again": ("sql", rb"EXPLAIN", False),
    "marking": ("sql", rb"INSERT INTO approvals.write_marker", False),
    "writing": ("sql", rb"UPDATE orders", False),
    "written": ("sql", rb"UPDATE approvals.write_marker", False),
    "commit sent": ("sql", rb"COMMIT", False),
    "commit arrives late": ("sql", rb"COMMIT", False),
    "committed": ("sql", rb"COMMIT", True),
    "outcome sent": ("front", OUTCOME, False),
    "outcome kept": ("front", OUTCOME, True),
}
BEFORE_APPROVAL = ("looking", "filing sent", "filing kept")


@pytest.fixture(scope="module")
def world(postgres, tmp_path_factory):
    with (
        postgres.database(migrated=False) as url,
        PostgresWorld(tmp_path_factory.mktemp("postgres"), postgres, url).closing() as made,
    ):
        made.reviewer = made.product.sign_in(made.service)
        yield made
        made.reviewer.close()


SAMPLED = {"filing kept", "marking", "commit arrives late", "committed", "outcome kept"}
NUMBERS = [
    pytest.param(number, marks=() if step in SAMPLED else pytest.mark.deep) for number, step in enumerate(STEPS, 1)
]


@pytest.mark.parametrize("number", NUMBERS)
async def test_p3_a_server_killed_at_any_step_changes_the_row_exactly_once(world, number):
    step = [*STEPS][number - 1]
    network, wanted, after = STEPS[step]
    sql = f"UPDATE orders SET cents = cents + 1 WHERE id = {number} RETURNING cents"
    with anyio.fail_after(120):
        async with anyio.create_task_group() as tasks:
            proxy = getattr(world, network)
            if step in BEFORE_APPROVAL:
                held = proxy.hold(wanted, after=after)
                tasks.start_soon(world.ask, sql)
            else:
                tasks.start_soon(world.ask, sql)
                request_id = await world.until(sql, "pending")
                held = proxy.hold(wanted, after=after)
                assert (await decided(world, request_id)).status_code == 303
            await world.reach(held)
            if step == "claim kept":
                await world.until(sql, "executing")
            world.server.kill()
            (proxy.release if step == "commit arrives late" else proxy.drop)(held)
            if world.states(sql)[-1:] and world.states(sql)[-1][1] == "executing":
                world.age()
                await world.until(sql, "unknown", "succeeded")  # its report may have been on its way
            world.server = world.start_server()
            tasks.cancel_scope.cancel()
        answer = await ask_until_known(world, sql)
    assert world.run("SELECT cents FROM orders WHERE id = %s", number) == [(101,)], step
    assert world.run("SELECT count(*) FROM orders WHERE cents NOT IN (100, 101)") == [(0,)]
    states = [state for _, state in world.states(sql)]
    ran = [request_id for request_id, state in world.states(sql) if state == "succeeded"]
    assert states == (["not_executed"] * (len(states) - 1)) + ["succeeded"], states
    assert len(ran) == 1
    found = world.run("SELECT ran FROM approvals.write_marker WHERE request_id = %s", ran[0])
    assert found == [(True,)]
    assert step not in {"committed", "commit arrives late", "outcome sent", "outcome kept"} or len(states) == 1
    assert answer, step


async def decided(world, request_id):
    return await anyio.to_thread.run_sync(lambda: world.product.decide(world.reviewer, request_id))


async def ask_until_known(world, sql):
    """As agents do: again while the answer says that it has not run, with a reviewer who approves what waits."""
    answer = ""
    with anyio.fail_after(120):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(approve_all, world, sql)
            while not answer or answer.startswith(AGAIN):
                answer = await world.ask(sql)
            tasks.cancel_scope.cancel()
    return answer


async def approve_all(world, sql):
    while True:
        for request_id, state in world.states(sql):
            if state == "pending":
                await decided(world, request_id)
        await anyio.sleep(0.1)


async def test_an_agents_write_is_approved_in_the_browser_and_changes_the_rows(world, browser):
    sql = "UPDATE orders SET status = 'shipped' WHERE id BETWEEN 90 AND 94"
    context = await browser.new_context(base_url=world.product.url, viewport={"width": 1280, "height": 1000})
    await context.add_cookies(
        [{"name": name, "value": value, "url": world.product.url} for name, value in world.reviewer.cookies.items()]
    )
    page = await context.new_page()
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            answers = []

            async def call():
                answers.append(await world.ask(sql))

            tasks.start_soon(call)
            request_id = await world.until(sql, "pending")
            await page.goto(f"/requests/{request_id}")
            box = await page.inner_text(".foreseen")
            assert "Changes 5 rows of public.orders" in box.replace("about ", "")
            await page.screenshot(path=str(world.product.folder / "card.png"), full_page=True)
            await page.click("#card button.good")
            await page.wait_for_selector(".state:has-text('Succeeded')")
    assert '"rows": 5' in answers[0]
    assert world.run("SELECT count(*) FROM orders WHERE status = 'shipped'") == [(5,)]
    await context.close()


async def test_p8_no_address_and_no_password_is_in_any_record_or_line(world):
    """After a write, one that fails, and one that meets no database."""
    await ask_until_known(world, "UPDATE orders SET cents = 101 WHERE id = 100")
    refused = await world.ask("UPDATE nowhere SET cents = 1")
    assert "nowhere" in refused and not world.states("UPDATE nowhere SET cents = 1"), refused
    world.sql.accepts = False
    world.sql.cut()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.ask, "DELETE FROM orders WHERE id = 99")
        request_id = await world.until("DELETE FROM orders WHERE id = 99", "pending")
        page = await anyio.to_thread.run_sync(lambda: world.reviewer.get(f"/requests/{request_id}").text)
        assert "The database cannot be reached now." in page
        tasks.cancel_scope.cancel()
    world.sql.restore()
    world.database.stop()
    names = (SECRET_WORD, *world.roles, f"127.0.0.1:{world.sql.port}")
    connection = sqlite3.connect(world.product.database)
    try:
        dumped = "\n".join(connection.iterdump())
    finally:
        connection.close()
    printed = "\n".join(line for child in world.product.children for line in child.lines)
    assert "UPDATE orders SET cents" in dumped
    assert [name for name in names if name in dumped or name in printed] == []
