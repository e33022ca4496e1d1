"""A person edits a call, and a process dies at any step of that, with real processes; then the agent asks again. What
the agent asked at first never runs, what was edited and approved runs once, or is called unknown (P2, P3, P4)."""

import contextlib
import html
import re

import anyio
import anyio.to_thread
import httpx2
import pytest

from support.deployment import AGAIN, Deployment

pytestmark = [pytest.mark.databases("one"), pytest.mark.slow]

HELD = {
    "edit asked": (rb"^GET /api/v1/requests/[^/]+/edits/", False),
    "edit read": (rb"^GET /api/v1/requests/[^/]+/edits/", True),
    "answer sent": (rb"^PUT /api/v1/requests/[^/]+/edits/", False),
    "answer kept": (rb"^PUT /api/v1/requests/[^/]+/edits/", True),
    "claim sent": (rb"^PUT /api/v1/requests/[^/]+/claim ", False),
    "claim kept": (rb"^PUT /api/v1/requests/[^/]+/claim ", True),
}
TOOL = {"looking again": "hold-look", "tool started": "hold-before", "effect done": "hold-after"}
STEPS = (*list(HELD)[:4], "edited", *list(HELD)[4:], *TOOL)
CASES = [
    *(("gate", step) for step in STEPS),
    *(("service", step) for step in ("answer sent", "answer kept", "claim kept")),
]
SAMPLED = {("gate", "answer kept"), ("gate", "edited"), ("gate", "claim kept"), ("service", "answer kept")}
LOST = {"claim kept": 0, "looking again": 0, "tool started": 0, "effect done": 1}
"""Effects of a call whose gate died there: nobody can know of them."""
_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


class Edited(Deployment):
    """Each call asks for a write that a person changes: a thousand higher."""

    @property
    def wanted(self) -> int:
        return self.order + 1000

    def happened(self, order: int) -> int:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return lines.count(f"slow {order}")

    def requests(self) -> list[tuple[str, str]]:
        sql = "SELECT id, state FROM request WHERE arguments = :call OR proposed = :call ORDER BY id"
        return self.rows(sql, call=f'{{"order_id":{self.order}}}')

    def is_edited(self, request_id: str) -> bool:
        return bool(self.rows("SELECT 1 FROM request WHERE id = :id AND edited <> ''", id=request_id))

    def edit(self, request_id: str) -> None:
        """On the form, as a person does."""
        page = self.reviewer.get(f"/requests/{request_id}/edit").text
        fields = {name: html.unescape(value) for name, value in _HIDDEN.findall(page)}
        given = fields | {"v0": str(self.wanted), "reason": "the other one", "act": "edit"}
        self.reviewer.post(f"/requests/{request_id}/edits", data=given)

    async def edited(self, request_id: str) -> None:
        with contextlib.suppress(httpx2.HTTPError):  # the service may die meanwhile
            await anyio.to_thread.run_sync(self.edit, request_id)

    async def see_to_it(self) -> None:
        """A reviewer edits whatever waits, and approves it as edited alone."""
        while True:
            for request_id in [request_id for request_id, state in self.requests() if state == "pending"]:
                if not self.is_edited(request_id):
                    await self.edited(request_id)
                elif self.states()[-1:] == ["pending"]:
                    with contextlib.suppress(httpx2.HTTPError, TypeError):
                        await self.decide(request_id)
            await anyio.sleep(0.05)

    async def ask_until_known(self) -> str:
        answer = ""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.see_to_it)
            while not answer or answer.startswith(AGAIN):
                answer = await self.ask()
            tasks.cancel_scope.cancel()
        return answer


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    made = Edited(tmp_path_factory.mktemp("edited"))
    yield made
    assert made.verify().startswith("Intact")
    made.close()


@pytest.mark.parametrize(
    ("who", "step"), [pytest.param(*case, marks=() if case in SAMPLED else pytest.mark.deep) for case in CASES]
)
async def test_p2_p3_p4_a_crash_at_any_step_of_an_edit_runs_what_was_approved_or_nothing(deployment, who, step):
    deployment.next_call()
    try:
        with anyio.fail_after(90):
            await crash(deployment, who, step)
            answer = await deployment.ask_until_known()
        assert deployment.happened(deployment.order) == 0, "what the agent asked at first was approved by nobody"
        if who == "gate" and step in LOST:
            assert answer.startswith("OUTCOME UNKNOWN")
            assert deployment.happened(deployment.wanted) == LOST[step]
        else:
            assert "[edited]" in answer
            assert answer.endswith(f"wrote {deployment.wanted}")
            assert deployment.happened(deployment.wanted) == 1
    finally:
        deployment.heal()


async def crash(deployment: Edited, who: str, step: str) -> None:
    """Bring an edited call to this step, and kill."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(deployment.ask)
        request_id = await deployment.until("pending")
        held = deployment.front.hold(HELD[step][0], after=HELD[step][1]) if step in HELD else None
        if step in TOOL:
            await deployment.edited(request_id)
            deployment.hold_tool(TOOL[step])
        elif step == "edited" or "claim" in step:
            await deployment.edited(request_id)
        else:
            tasks.start_soon(deployment.edited, request_id)
        if "claim" in step or step in TOOL:
            assert deployment.is_edited(request_id)
            await deployment.approve(request_id)
        if held is not None:
            await deployment.reach(held)
        elif step in {"looking again", "tool started"}:
            await deployment.until_held()
        elif step == "effect done":
            with anyio.fail_after(30):
                while not deployment.happened(deployment.wanted):
                    await anyio.sleep(0.02)
        if who == "gate":
            deployment.gate.kill()
            if held is not None:
                deployment.front.drop(held)
            if deployment.states()[-1:] == ["executing"]:
                deployment.run_out_the_lease()
            deployment.release_tool()
            deployment.gate = deployment.start_gate()
        else:
            deployment.kill_service()
            deployment.release_tool()
            deployment.restart_service()
        deployment.heal()
        tasks.cancel_scope.cancel()
