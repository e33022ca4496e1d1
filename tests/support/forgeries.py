"""What can be done to a lived-in database (`lived_in`) by SQL, and what the verification says of it."""

DENIAL = "SELECT id FROM audit_event WHERE kind = 'decision.deny' ORDER BY id LIMIT 1"
OTHER = "'" + "0" * 64 + "'"
PERMISSION = (
    "INSERT INTO permission (id, request_id, source, grant_id, content_version, digest, created_at)"
    " SELECT 'forged', id, '{source}', NULL, content_version, digest, changed_at FROM request WHERE id = '{of}'"
)
EXECUTION = (
    "INSERT INTO execution (id, permission_id, request_id, claim_id, session_id, claimed_at, lease_until)"
    " SELECT 'forged', 'forged', id, 'forged', session_id, changed_at, changed_at FROM request WHERE id = '{of}'"
)
VOTE = (
    "INSERT INTO decision (id, request_id, content_version, digest, user_id, verdict, comment, may_ask_again,"
    " grant_terms, suggestion, channel, auth_method, auth_at, session_id, address, card_hash, decided_at)"
    " SELECT 'forged', id, content_version, digest, '{bob}', 'approve', '', FALSE, '', '', 'web', 'password', 0, '', '', '',"
    " changed_at FROM request WHERE id = '{half}'"
)

FORGERIES = {
    "a grant beside an event whose payload was erased": (
        [
            "CREATE TEMPORARY TABLE copied AS SELECT * FROM standing_grant",
            "UPDATE copied SET id = 'forged', request_id = (SELECT min(subject) FROM audit_event WHERE kind = 'audit.erased')",
            "INSERT INTO standing_grant SELECT * FROM copied",
        ],
        "standing_grant forged was inserted",
    ),
    "an approval": (
        [
            "UPDATE request SET state = 'approved' WHERE id = '{pending}'",
            PERMISSION.format(source="quorum", of="{pending}"),
        ],
        "request {pending} was changed after",
    ),
    "a permission alone": ([PERMISSION.format(source="policy", of="{pending}")], "permission forged was inserted"),
    "an execution": ([EXECUTION.format(of="{denied}")], "execution forged was inserted"),
    "a whole run": (
        [
            PERMISSION.format(source="quorum", of="{pending}"),
            EXECUTION.format(of="{pending}"),
            "UPDATE request SET state = 'succeeded', attach_key = NULL WHERE id = '{pending}'",
        ],
        "request {pending} was changed after",
    ),
    "a vote": ([VOTE], "decision forged was inserted"),
    "a verdict": (
        ["UPDATE decision SET verdict = 'approve' WHERE request_id = '{denied}'"],
        "was changed after event {n} (decision.deny)",
    ),
    "a decision taken away": (
        ["DELETE FROM decision WHERE request_id = '{denied}'"],
        "was removed after event {n} (decision.deny)",
    ),
    "who decided": ["UPDATE decision SET user_id = '{bob}' WHERE request_id = '{failed}'", "(decision.approve)"],
    "a comment": ["UPDATE decision SET comment = 'other words' WHERE request_id = '{denied}'", "(decision.deny)"],
    "the agent's reason": [
        "UPDATE request SET reason = 'other words' WHERE id = '{denied}'",
        "request {denied} was changed",
    ],
    "arguments": [
        "UPDATE request SET arguments = replace(arguments, '900', '1') WHERE id = '{failed}'",
        "request {failed}: its arguments or its preview are not those of its digest",
    ],
    "arguments and their digest": (
        [
            "UPDATE request SET arguments = replace(arguments, '900', '1'), digest = "
            + OTHER
            + " WHERE id = '{failed}'",
            "UPDATE permission SET digest = " + OTHER + " WHERE request_id = '{failed}'",
            "UPDATE decision SET digest = " + OTHER + " WHERE request_id = '{failed}'",
        ],
        "request {failed} was changed",
    ),
    "an outcome": [
        "UPDATE execution SET outcome = 'succeeded', result = 'done' WHERE request_id = '{failed}'",
        "(request.failed)",
    ],
    "a state": ["UPDATE request SET state = 'succeeded' WHERE id = '{failed}'", "request {failed} was changed"],
    "a quorum": ["UPDATE request SET quorum = 1, reviewers = '{{}}' WHERE id = '{half}'", "request {half} was changed"],
    "an expiry": [
        "UPDATE request SET expires_at = expires_at + 1 WHERE id = '{pending}'",
        "request {pending} was changed",
    ],
    "an attach key": (
        [
            "UPDATE request SET attach_key = NULL WHERE id = '{pending}'",
            "UPDATE request SET attach_key = call_key WHERE id = '{denied}'",
        ],
        "request {denied} was changed",
    ),
    "a request taken away": (
        ["DELETE FROM request WHERE id = '{refused}'"],
        "request {refused} was removed after event",
    ),
    "a settlement": ["UPDATE execution SET settled_by = '{bob}' WHERE request_id = '{settled}'", "was changed"],
    "an incident": [
        "UPDATE execution SET contradiction = NULL WHERE request_id = '{settled}'",
        "(incident.contradiction)",
    ],
    "a role": [
        "UPDATE user_account SET roles = 'admin reviewer' WHERE handle = 'cat'",
        "user_account {cat} was changed",
    ],
    "somebody let in again": [
        "UPDATE user_account SET disabled_at = NULL WHERE handle = 'dan'",
        "was changed after event {n} (user.disabled)",
    ],
    "an account": [
        "INSERT INTO user_account (id, issuer, subject, name, email, groups, claimed_groups, last_notice_id, roles, created_at)"
        " VALUES ('forged', 'local', 'eve', 'Eve', '', '', '', 0, 'admin', 0)",
        "user_account forged was inserted",
    ],
    "a password": ["UPDATE user_account SET password_hash = 'mine' WHERE handle = 'cat'", "(user.password_set)"],
    "a group": ["UPDATE user_account SET groups = 'dba' WHERE handle = 'cat'", "user_account {cat} was changed"],
    "an owner": ["DELETE FROM agent_owner", "(agent.owners_set)"],
    "a key that counts again": [
        "UPDATE credential SET revoked_at = NULL WHERE revoked_at IS NOT NULL AND kind = 'user'",
        "(token.revoked)",
    ],
    "a key of an agent that counts again": [
        "UPDATE credential SET revoked_at = NULL WHERE agent_id = '{rover}'",
        "(agent.revoked)",
    ],
    "an agent that counts again": ["UPDATE agent SET disabled_at = NULL WHERE name = 'rover'", "(agent.revoked)"],
    "a key": [
        "UPDATE credential SET secret_sha256 = " + OTHER + " WHERE kind = 'installation'",
        "was changed after event {n} (server.added)",
    ],
    "trust": ["UPDATE installation SET assurance = 'cooperative'", "(server.added)"],
    "grants for an installation": ["UPDATE installation SET may_grant = FALSE", "(server.added)"],
    "a limit": ["UPDATE agent SET pending_limit = 1000 WHERE name = 'scout'", "(agent.limits_set)"],
    "a freeze lifted": ['UPDATE "freeze" SET lifted_at = made_at WHERE lifted_at IS NULL', "(freeze.made)"],
    "a freeze taken away": ['DELETE FROM "freeze" WHERE lifted_at IS NULL', "was removed after"],
    "a rollout": ["UPDATE rollout SET mode = 'off'", "(rollout.set)"],
    "a rollout put in": [
        "INSERT INTO rollout (server, tool, audience, mode, set_at, set_by) VALUES ('shop', '', '', 'off', 0, 'x')",
        "rollout shop// was inserted",
    ],
    "an audience": ["UPDATE server SET audience = ''", "(server.audience_set)"],
    "a pepper": ["UPDATE server SET pepper = 'known'", "server shop was changed"],
    "a wider grant": ["UPDATE standing_grant SET max_uses = 100", "(grant.used)"],
    "a grant's terms": ["UPDATE standing_grant SET terms = '{{}}'", "(grant.used)"],
    "a grant's count": ["UPDATE standing_grant SET used = 0", "was used otherwise than it counts"],
    "an accepted definition": ["UPDATE tool SET accepted_hash = offered_hash, accepted_by = 'user:eve'", "tool shop/"],
    "who rejected a definition": ["UPDATE tool_rejection SET rejected_by = 'user:eve'", "(tool.rejected)"],
    "a rejection taken away": ["DELETE FROM tool_rejection", "was removed after"],
    "a policy's text": ["UPDATE policy_version SET text = 'allow all'", "the text of the policy"],
    "which policy was loaded": ["UPDATE policy_load SET by = 'user:eve'", "(policy.loaded)"],
    "a policy taken away": ["DELETE FROM policy_version", "which is named on record, is missing"],
    "a tool's definition taken away": ["DELETE FROM tool_definition", "which is named on record, is missing"],
    "a definition given to another server": [
        "UPDATE tool_definition SET server = 'other'",
        "which is named on record, is missing",
    ],
    "a tool's definition": ["UPDATE tool_definition SET body = replace(body, 'Refund', 'Show')", "the definition"],
    "a tool's definition that is none any more": ["UPDATE tool_definition SET body = 'x'", "the definition"],
    "a link to Slack": ["UPDATE slack_link SET slack_user_id = 'UEVE'", "was inserted"],
    "an event taken away": (
        [
            "DELETE FROM audit_link WHERE event_id = (" + DENIAL + ")",
            "DELETE FROM audit_event WHERE id = (" + DENIAL + ")",
        ],
        "is missing",
    ),
    "an event's actor": ["UPDATE audit_event SET actor = 'user:{bob}' WHERE kind = 'decision.deny'", "was changed"],
    "what an event says": (
        [
            "UPDATE audit_payload SET body = '{{}}' WHERE payload_hash = (SELECT payload_hash FROM audit_event WHERE id = 20)"
        ],
        "the payload of event 20 was changed",
    ),
    "an event forged": [
        "INSERT INTO audit_event (id, at, kind, actor, subject, payload_hash, key_id, algorithm, mac)"
        " SELECT 9999, at, 'request.approved', actor, subject, 'forged', key_id, algorithm, mac"
        " FROM audit_event WHERE id = 20",
        "event 9999 was not written by this service",
    ],
    "two events in each other's place": (
        [
            "UPDATE audit_link SET event_id = -1 WHERE seq = 20",
            "UPDATE audit_link SET event_id = 20 WHERE seq = 21",
            "UPDATE audit_link SET event_id = 21 WHERE seq = 20",
        ],
        "record 20 was",
    ),
    "the end cut off": (
        [
            "DELETE FROM audit_link WHERE seq > 60",
            "DELETE FROM audit_payload WHERE payload_hash IN (SELECT payload_hash FROM audit_event WHERE id > 60)",
            "DELETE FROM audit_event WHERE id > 60",
        ],
        "no event tells of it",
    ),
    "words that were erased": [
        "UPDATE request SET reason = 'other words' WHERE id = '{erased}'",
        "request {erased} was changed after event {n} (request.erased)",
    ],
    "erased without a word": [
        "UPDATE request SET erased_at = changed_at, arguments = '{{}}', reason = NULL WHERE id = '{failed}'",
        "request {failed} was changed",
    ],
}
"""By what is forged: the statements, and what is said of it."""
