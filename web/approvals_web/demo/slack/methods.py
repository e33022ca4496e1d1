"""The Web API, as far as apps like this one need it. Errors are Slack's own words."""

import json
from collections.abc import Callable
from typing import Any

from approvals_web.demo.slack.limits import message_fault, view_fault
from approvals_web.demo.slack.state import Channel, Said, State

BOT = "U0BOT"
SCOPES = "chat:write,commands,im:write,users:read,users:read.email,channels:read"
_JSON = ("blocks", "view", "metadata")

Given = dict[str, Any]


def answer(state: State, method: str, token: str, given: Given) -> Given:
    """What the method says: `{"ok": true, …}`, or `{"ok": false, "error": …}`."""
    state.calls.append((method, given))
    if method == "apps.connections.open":
        return {"ok": True} if token == state.app_token else _no("invalid_auth")
    known = _METHODS.get(method)
    if known is None:
        return _no("unknown_method")
    if not token or token != state.token or state.revoked:
        return _no("token_revoked" if state.revoked else "invalid_auth" if token else "not_authed")
    try:
        for name in _JSON:
            if isinstance(given.get(name), str):
                given = given | {name: json.loads(given[name])}
    except ValueError:
        return _no("invalid_arguments")
    try:
        return {"ok": True} | known(state, given)
    except ValueError as error:
        word, _, why = str(error).partition(": ")
        return _no(word) | ({"response_metadata": {"messages": [why]}} if why else {})


def _who(state: State, _: Given) -> Given:
    return {"team": "Demo", "team_id": state.team_id, "user": "approvals", "user_id": BOT, "bot_id": "B0BOT"}


def _post(state: State, given: Given) -> Given:
    channel = _channel(state, given)
    if fault := message_fault(given.get("text", ""), given.get("blocks")):
        raise ValueError(fault)
    if not state.may_post(channel.id):
        raise ValueError("ratelimited")
    thread = given.get("thread_ts", "")
    if thread and state.find(channel.id, thread) is None:
        raise ValueError("thread_not_found")
    said = state.say(channel.id, given.get("text", ""), given.get("blocks") or [], thread)
    said.broadcast = given.get("reply_broadcast") == "true"
    return {"channel": said.channel, "ts": said.ts}


def _update(state: State, given: Given) -> Given:
    if wait := state.update_wait():
        raise ValueError(f"ratelimited: {wait}")
    said = _message(state, given)
    if fault := message_fault(given.get("text", ""), given.get("blocks")):
        raise ValueError(fault)
    said.text, said.blocks, said.edits = given.get("text", ""), given.get("blocks") or [], said.edits + 1
    state.changed()
    return {"channel": said.channel, "ts": said.ts}


def _delete(state: State, given: Given) -> Given:
    _message(state, given).deleted = True
    state.changed()
    return {"channel": given["channel"], "ts": given["ts"]}


def _view(state: State, given: Given) -> Given:
    if fault := view_fault(given.get("view")):
        raise ValueError(fault)
    user_id = state.spend_trigger(str(given.get("trigger_id", "")))
    state.dialogs[user_id] = given["view"] | {"id": f"V{len(state.calls)}", "team_id": state.team_id}
    state.changed()
    return {"view": state.dialogs[user_id]}


def _conversation(state: State, given: Given) -> Given:
    if given.get("users") not in state.users:
        raise ValueError("user_not_found")
    channel_id = f"D{given['users']}"
    state.channels.setdefault(channel_id, Channel(channel_id, f"direct with {given['users']}"))
    return {"channel": {"id": channel_id}}


def _channel_info(state: State, given: Given) -> Given:
    found = state.channel(str(given.get("channel", "")))
    if found is None:
        raise ValueError("channel_not_found")
    kept = {"id": found.id, "name": found.name, "is_member": found.member, "is_archived": found.archived}
    return {"channel": kept}


def _users(state: State, _: Given) -> Given:
    return {"members": list(state.users.values())}


def _user(state: State, given: Given) -> Given:
    if given.get("user") == BOT:
        return {"user": {"id": BOT, "name": "approvals", "is_bot": True, "team_id": state.team_id}}
    if given.get("user") not in state.users:
        raise ValueError("user_not_found")
    return {"user": state.users[given["user"]]}


_METHODS: dict[str, Callable[[State, Given], Given]] = {
    "auth.test": _who,
    "chat.postMessage": _post,
    "chat.update": _update,
    "chat.delete": _delete,
    "views.open": _view,
    "conversations.open": _conversation,
    "conversations.info": _channel_info,
    "users.info": _user,
    "users.list": _users,
}


def _channel(state: State, given: Given) -> Channel:
    found = state.channel(str(given.get("channel", "")))
    if found is None:
        raise ValueError("channel_not_found")
    if found.archived:
        raise ValueError("is_archived")
    if not found.member:
        raise ValueError("not_in_channel")
    return found


def _message(state: State, given: Given) -> Said:
    channel = _channel(state, given)
    if not str(given.get("channel")).startswith(("C", "D")):
        raise ValueError("channel_not_found")  # updates go by id
    said = state.find(channel.id, str(given.get("ts", "")))
    if said is None:
        raise ValueError("message_not_found")
    return said


def _no(word: str) -> Given:
    return {"ok": False, "error": word}
