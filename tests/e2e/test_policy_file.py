"""`serve` with a policy file: it starts with a good one only, and a broken one changes nothing but what it says."""

import time

import httpx2
import pytest

from support.processes import PATIENCE

ASK = "version: 1\nrules:\n  - {id: ask, match: {server: '*'}, action: require_approval}\n"
DENY = "version: 1\nrules:\n  - {id: no, match: {server: '*'}, action: deny, reason: not today}\n"
BROKEN = "version: 1\nrules:\n  - {id: no, match: {sever: '*'}, action: deny}\n"


def ready(installed, condition):
    """What /readyz says of the policy, once it is so."""
    until = time.monotonic() + PATIENCE
    while True:
        answer = httpx2.get(f"{installed.url}/readyz", trust_env=False)
        assert answer.status_code == 200
        said = answer.json()["policy"]
        if condition(said):
            return said
        assert time.monotonic() < until, said
        time.sleep(0.1)


@pytest.mark.slow
def test_p5_a_policy_file_is_broken_and_mended_while_it_serves(installed):
    path = installed.folder / "policy.yaml"
    path.write_text(BROKEN)
    refused = installed.cli("serve", "--policy", "policy.yaml", code=1)
    assert "policy.yaml:3:" in refused
    assert "sever" in refused
    assert "Did you mean server" in refused
    assert "Traceback" not in refused

    path.write_text(ASK)
    service = installed.serve(APPROVALS_POLICY="policy.yaml")
    first = ready(installed, lambda said: "trouble" not in said)
    path.write_text(BROKEN)
    broken = ready(installed, lambda said: "trouble" in said)
    assert broken["in_force"] == first["in_force"]
    path.write_text(DENY)
    mended = ready(installed, lambda said: "trouble" not in said)
    assert mended["in_force"] != first["in_force"]
    path.unlink()
    ready(installed, lambda said: "trouble" in said)
    assert service.stop() == 0
    errors = [line for line in service.lines if '"ERROR"' in line]
    assert len(errors) == 2, errors
    assert "sever" in errors[0]
    assert "cannot be read" in errors[1]
    loads = installed.rows("SELECT hash FROM policy_load ORDER BY id")
    assert [name for (name,) in loads] == [first["in_force"], mended["in_force"]]
    assert installed.rows("SELECT count(*) FROM audit_event WHERE kind = 'policy.loaded'") == [(2,)]

    assert "cannot be read" in installed.cli("serve", code=1, APPROVALS_POLICY="policy.yaml")
    path.write_text(ASK)
    replayed = installed.cli("policy", "replay", "--since", "7d", "--policy", "policy.yaml")
    assert "0 calls of the last 7d judged again: 0 otherwise." in replayed
