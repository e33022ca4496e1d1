"""What a request's columns say of its content, once the policy has judged it; pure, but for keeping the policy."""

from dataclasses import asdict
from functools import partial

from approvals.instant import Instant
from approvals.policy.model import GrantLimits, Judgement, Policy, policy_hash
from approvals.protocol.canonical import JsonObject, canonical
from approvals.protocol.previews import Preview, differs, dumped, stored
from approvals.service.policies import versions
from approvals.service.requests import reminders
from approvals.service.storage.database import Transaction
from approvals.service.storage.tables.rows import RequestRow
from approvals.service.tools import summary
from approvals.service.tools.layout import Layout
from approvals.service.tools.registry import Standing


class StoredPolicies:
    """Keeps every policy that judged a request."""

    def __init__(self) -> None:
        self._kept = ""
        """The hash of a policy that is known to be on record."""

    def store(self, tx: Transaction, policy: Policy) -> str:
        """Keep a policy; its hash. It was kept when it came into force: looking once makes sure, and costs nothing
        afterwards."""
        name = policy_hash(policy)
        if name != self._kept:
            versions.store(tx, policy)
            tx.after_commit.append(partial(setattr, self, "_kept", name))
        return name


def summary_of(server: str, tool: Standing, arguments: JsonObject) -> tuple[str, bool]:
    """The effect sentence, and whether it comes from an accepted template."""
    template = tool.definition.summary
    if template is not None and tool.accepted:
        return summary.render(template, arguments), True
    shown = Layout(tool.definition.input_schema).arranged(arguments)
    return summary.plain(server, tool.definition.name, shown), False


def asked_of(judgement: Judgement, filed_at: Instant) -> dict[str, object]:
    """Who is asked, as the rule says: the columns of a request that hang on its content's judgement."""
    return {
        "risk": judgement.risk,
        "preview_required": judgement.needs_preview,
        "quorum": judgement.reviewers.quorum,
        "reviewers": judgement.reviewers.dump(),
        "grants": _dumped(judgement.grants),
        "notify": judgement.notify.dump(),
        "reminders": reminders.dump(judgement.reminders),
        "remind_at": reminders.next_at(judgement.reminders, filed_at),
    }


def previewed(preview: Preview | None, why_not: str, now: Instant) -> dict[str, object]:
    """What it would do, or why that is not known: columns of a request."""
    known = preview is not None
    return {
        "preview": dumped(preview).decode() if preview is not None else "",
        "previewed_at": now if known else None,
        "no_preview": "" if known else why_not,
    }


def shows_another(row: RequestRow, preview: Preview | None) -> bool:
    """Whether the same call, looked at again, would do something else; what cannot be looked up says nothing of it."""
    shown = stored(row.preview)
    return preview is not None and (shown is None or differs(shown, preview))


def _dumped(limits: GrantLimits | None) -> str:
    return canonical({} if limits is None else asdict(limits)).decode()
