"""What a rule and the defaults say of how calls are held, made one."""

from collections.abc import Collection, Iterable
from typing import Any, TypeVar

from approvals.policy.diagnostics import Diagnostics, nearest
from approvals.policy.document import EditsPart, Escalation, ReviewersPart, TermsPart
from approvals.policy.edits import EditLimits
from approvals.policy.model import GrantLimits, Notify, Reminder
from approvals.policy.reviewers import DECIDE, Channels, Reviewers
from approvals.policy.rules import Terms
from approvals.policy.yaml_nodes import Node

T = TypeVar("T")


class TermsCompiler:
    """The terms of one policy; what is wrong with them is told to `diagnostics`."""

    def __init__(self, diagnostics: Diagnostics, known_groups: Collection[str]) -> None:
        self._diagnostics = diagnostics
        self._known_groups = known_groups

    def compile(self, part: TermsPart, node: Node, defaults: TermsPart) -> Terms:
        """The terms that a rule says, over those of the defaults."""
        first = part.model_dump(exclude_none=True).keys()

        def said(name: str) -> Any:
            return getattr(part if name in first else defaults, name)

        risk, ttl = said("risk"), said("ttl") or 3600
        reviewers = self._reviewers(part, node, defaults, risk)
        grants, notify = said("grants"), said("notify")
        if risk == "critical" and grants not in {None, "off"} and (part.grants is not None or part is defaults):
            key = node.key("grants")
            self._diagnostics.wrong(key, "What is critical is never granted.", "Remove `grants`, or write off.")
        limits = None if grants == "off" else GrantLimits() if grants is None else GrantLimits(**grants.model_dump())
        usual = Terms()
        return Terms(
            risk=risk,
            reviewers=reviewers,
            enforced=said("assurance") is not None,
            ttl=ttl,
            execute_within=said("execute_within") or ttl,
            cool_down=_or(said("cool_down"), usual.cool_down),
            replay_window=_or(said("replay_window"), usual.replay_window),
            reminders=self._reminders(part, node, said("reminders") or [], said("escalate"), ttl),
            grants=limits,
            notify=Notify(notify.slack, notify.direct, _once(notify.mention)) if notify else Notify(),
            needs_preview=said("require") is not None,
            edits=_edits(said("edits")),
        )

    def _reviewers(self, part: TermsPart, node: Node, defaults: TermsPart, risk: str | None) -> Reviewers:
        here, above = part.reviewers or ReviewersPart(), defaults.reviewers or ReviewersPart()
        who = here if here.people is not None or here.groups is not None or here.each_group is not None else above
        people, groups = _once(who.people or ()), _once(who.groups or ())
        quorum = _or(here.quorum, _or(above.quorum, 1))
        place = node.at("reviewers")
        self._groups(groups if who is here else (), place.at("groups"))
        if len(people) < quorum and people and not groups:
            self._diagnostics.wrong(
                place.at("quorum"),
                f"{quorum} people have to approve, and only {len(people)} may.",
                "Name more people or a group, or ask for fewer.",
            )
        if who.each_group and len(groups) < 2:
            key = place.key("each_group")
            self._diagnostics.wrong(key, "each_group is about several groups.", "Name them in `groups`.")
        exclude = _or(here.exclude_requester, _or(above.exclude_requester, True))
        channels = self._channels(part, node, defaults, risk)
        return Reviewers(quorum, people, groups, bool(who.each_group), exclude, channels)

    def _groups(self, names: Iterable[str], node: Node) -> None:
        for number, name in enumerate(names):
            if name not in self._known_groups:
                hint = nearest(name, self._known_groups) if self._known_groups else ""
                declare = (
                    f"Add `{name}: [handles]` to `groups`, or `{name}: []` if its members are kept in the service."
                )
                self._diagnostics.wrong(node.at(number), f"There is no group {name!r}.", hint or declare)

    def _channels(self, part: TermsPart, node: Node, defaults: TermsPart, risk: str | None) -> Channels:
        given = defaults.channels.model_dump(exclude_none=True) if defaults.channels else {}
        given |= part.channels.model_dump(exclude_none=True) if part.channels else {}
        channels = Channels(**given)
        by_token = channels.api == DECIDE and risk not in {"high", "critical"}
        if DECIDE not in {channels.web, channels.slack} and not by_token:
            token = " (a token never decides what is high or critical)" if channels.api == DECIDE else ""
            self._diagnostics.wrong(node.key("channels"), f"Nobody can decide anywhere{token}.", "Write `web: decide`.")
        return channels

    def _reminders(
        self, part: TermsPart, node: Node, reminders: list[int], escalate: Escalation | None, ttl: int
    ) -> tuple[Reminder, ...]:
        for number, after in enumerate(reminders):
            if after >= ttl:
                place = node.at("reminders", number)
                self._diagnostics.wrong(place, "By then the request has expired (ttl).", "Remind earlier.")
        found = [Reminder(after) for after in reminders if after < ttl]
        if escalate is not None:
            if part.escalate is not None:
                self._groups(escalate.groups, node.at("escalate", "groups"))
            if escalate.after >= ttl:
                place = node.at("escalate", "after")
                self._diagnostics.wrong(place, "By then the request has expired (ttl).", "Escalate earlier.")
            found.append(Reminder(escalate.after, tuple(escalate.groups)))
        return tuple(sorted(found, key=lambda one: (one.after, one.groups)))


def _edits(said: bool | EditsPart | None) -> EditLimits:
    if isinstance(said, EditsPart):
        return EditLimits(only=_once(said.only or ()), lower=said.lower)
    return EditLimits(allowed=said is not False)


def _or(value: T | None, other: T) -> T:
    return other if value is None else value


def _once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
