"""Forms, as browsers send them."""

from urllib.parse import parse_qsl, urlencode

from hypothesis import given
from hypothesis import strategies as st

from approvals_web.app import create_app
from approvals_web.http.forms import FORM, FormRequest, FormRoute

TEXTS = st.dictionaries(
    st.text("abc", min_size=1), st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\r\n%0DAa&+="))
)


async def read(body, kind=FORM):
    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", kind.encode())]}
    return await FormRequest(scope, receive).body()


def lines(text):
    return text.replace("\r\n", "\n").replace("\r", "\n")


@given(typed=TEXTS)
async def test_every_text_of_every_form_has_one_character_for_a_lines_end(typed):
    sent = {lines(name): lines(text).replace("\n", "\r\n") for name, text in typed.items()}
    said = dict(parse_qsl((await read(urlencode(sent).encode())).decode(), keep_blank_values=True))
    assert said == {name: lines(text) for name, text in typed.items()}


async def test_what_is_no_form_is_left_as_it_is():
    assert await read(b"a\r\nb", "application/json") == b"a\r\nb"
    assert await read(b"a=1\r\n2", f"{FORM}; charset=utf-8") == b"a=1%0A2"


def test_every_page_that_takes_a_form_reads_it_so(scenario):
    posting = [
        route for route in create_app(scenario.service).routes if "POST" in (getattr(route, "methods", None) or ())
    ]
    others = {route.path for route in posting if not isinstance(route, FormRoute)}
    assert not [path for path in others if not path.startswith(("/api/", "/slack/actions"))]
    assert len(posting) > len(others) + 30
