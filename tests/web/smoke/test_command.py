"""`approvals smoke` as its users run it."""

import json
import subprocess
import sys

import pytest

from support.processes import clean_environment

pytestmark = pytest.mark.slow


def smoke(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "approvals_web.cli", "smoke", *arguments],
        env=clean_environment(APPROVALS_URL="http://127.0.0.1:1", APPROVALS_SERVER_KEY="mcps_of_the_real_service"),
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_shop_is_green_and_its_data_is_as_before(tmp_path):
    shop = (sys.executable, "-m", "approvals_server.shop.cli", "--database-url", f"sqlite:///{tmp_path / 'shop.db'}")
    done = smoke("--json", "--call", 'get_order={"order_id": 1042}', "--", *shop)
    said = json.loads(done.stdout)
    assert done.returncode == 0 and said["passed"], done.stdout + done.stderr
    denied = {one["tool"] for one in said["findings"] if one["check"] == "write waits"}
    assert denied == {"refund_order", "delete_customer"} <= set(said["tested"])
    assert {"passed"} == {one["result"] for one in said["findings"] if one["check"] != "read credential"}


def test_p5_a_command_that_is_none_is_red_with_a_fix():
    done = smoke("--", "/no/such/command")
    assert done.returncode == 1 and "Fix: Start it by hand" in done.stdout and "Traceback" not in done.stderr


def test_arguments_that_are_no_json_are_refused_with_an_example():
    done = smoke("--call", "get_order=1042", "--", "true")
    assert done.returncode == 1 and "For example get_order=" in done.stderr
