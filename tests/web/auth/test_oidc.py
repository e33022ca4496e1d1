"""Signing in through an identity provider: `oidc-provider-mock`, honest and tampered with."""

import base64
import hashlib
import time
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from approvals.errors import Duplicate, Invalid
from approvals.instant import SECOND
from approvals.policy.model import DefaultPolicy
from approvals.policy.reviewers import Reviewers
from approvals.service.identity import roles, users
from approvals.service.identity.admins import Operator
from approvals.service.identity.sso import SsoPolicy
from approvals.service.identity.users import by_handle
from approvals_web.auth.claims import identity as identity_of
from approvals_web.auth.oidc import Provider
from approvals_web.auth.oidc_client import Client
from approvals_web.settings import Settings
from support import identity_provider
from support.identity_provider import now, query

pytestmark = pytest.mark.databases("one")

CAROL = {
    "name": "Carol",
    "email": "Carol@Example.org",
    "email_verified": True,
    "groups": ["payments", "staff", "two words"],
}
PEOPLE = {
    "carol-1": CAROL,
    "dave-2": {"name": "Dave", "email": "ann", "email_verified": True, "groups": ["staff"]},
    "eve-3": {"name": "Eve", "email": "carol@example.org", "email_verified": False},
    "mal-4": {"name": "Mal", "email": "carol@example.org", "email_verified": True},
}


@pytest.fixture(scope="module")
def provider_of_all():
    with identity_provider.running(PEOPLE) as running:
        yield running


@pytest.fixture
def idp(provider_of_all, served):
    """The provider, and a service that knows it. The clock is the provider's."""
    provider_of_all.change, provider_of_all.documents = None, {}
    provider_of_all.sign = identity_provider.IdentityProvider({}).sign
    provider_of_all.asked.clear()
    served.scenario.clock.at = max(served.scenario.clock.at, round(time.time() * SECOND))
    provider_of_all.ahead = served.scenario.clock.at // SECOND - now()
    connect(served, provider_of_all)
    return provider_of_all


def connect(served, idp, **more):
    service = served.scenario.service
    client = Client(**{"issuer": idp.issuer, "client_id": "gate", "client_secret": "s&cret"} | more)
    served.app.state.provider = Provider(client, service.database.clock)

    def at_the_scenarios_time(claims):
        for name in ("iat", "exp"):
            claims[name] += idp.ahead

    idp.change = at_the_scenarios_time


def also(idp, change):
    """Change a token further."""
    before = idp.change

    def both(claims):
        before(claims)
        change(claims)

    idp.change = both


async def leave(visitor, **asked):
    answer = await visitor.http.get("/login/oidc", params=asked)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def come_back(visitor, address):
    parts = urlsplit(address)
    assert parts.path == "/login/oidc/callback"
    return await visitor.http.get(f"{parts.path}?{parts.query}", headers={"Sec-Fetch-Site": "cross-site"})


async def sign_in(visitor, idp, who="carol-1", **asked):
    return await come_back(visitor, await idp.consent(await leave(visitor, **asked), who))


class Rules(DefaultPolicy):
    """Asks whoever `reviewers` says."""

    reviewers = Reviewers()

    def judge(self, call):
        return replace(super().judge(call), reviewers=self.reviewers)


@pytest.fixture
def rules(served):
    served.scenario.service.policy.present = made = Rules()
    return made


def account(served, subject):
    rows = served.scenario.rows(
        "SELECT name, handle, email, claimed_groups, roles FROM user_account WHERE subject = :s", s=subject
    )
    return rows[0] if rows else None


async def test_somebody_new_signs_in_and_is_a_viewer_until_an_admin_says_more(served, visitors, idp):
    visitor = visitors.stranger()
    assert "Sign in with 127.0.0.1" in (await visitor.http.get("/login")).text
    answer = await sign_in(visitor, idp, next="/history")
    assert (answer.status_code, answer.headers["location"]) == (303, "/history")
    assert (await visitor.http.get("/history")).status_code == 200
    assert account(served, "carol-1") == (
        "Carol",
        "carol@example.org",
        "carol@example.org",
        "payments\nstaff\ntwo words",
        "viewer",
    )
    assert served.scenario.rows("SELECT method FROM web_session ORDER BY created_at DESC LIMIT 1") == [("oidc",)]
    again = await sign_in(visitors.stranger(), idp)
    assert again.status_code == 303
    assert served.scenario.rows("SELECT COUNT(*) FROM user_account WHERE subject = 'carol-1'") == [(1,)]


async def test_the_mocks_own_signature_counts_too(served, visitors, idp):
    idp.change = None
    served.app.state.provider._clock = type("Wall", (), {"now": lambda _: now() * SECOND})()
    assert (await sign_in(visitors.stranger(), idp)).status_code == 303


async def test_what_is_asked_carries_pkce_state_nonce_and_our_own_address(served, visitors, idp):
    visitor = visitors.stranger(Host="evil.example")
    asked = query(await leave(visitor))
    assert asked["redirect_uri"] == f"{served.scenario.service.public_url}/login/oidc/callback"
    assert asked["code_challenge_method"] == "S256"
    assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3
    visitor = visitors.stranger()
    url = await leave(visitor)
    await come_back(visitor, await idp.consent(url, "carol-1"))
    authorization, form = idp.asked[-1]
    challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).decode().rstrip("=")
    assert challenge == query(url)["code_challenge"]
    assert base64.b64decode(authorization.split()[1]) == b"gate:s%26cret"
    assert form["redirect_uri"] == query(url)["redirect_uri"]


async def test_p1_an_e_mail_address_links_to_no_account_and_takes_nobodys_handle(served, visitors, idp):
    before = served.scenario.person("ann").id
    await sign_in(visitors.stranger(), idp, "dave-2")  # the address is a local account's sign-in name
    await sign_in(visitors.stranger(), idp, "carol-1")
    await sign_in(visitors.stranger(), idp, "eve-3")  # not verified
    await sign_in(visitors.stranger(), idp, "mal-4")  # verified, but carol has it
    assert [account(served, who)[1] for who in ("dave-2", "carol-1", "eve-3", "mal-4")] == [
        None,
        "carol@example.org",
        None,
        None,
    ]
    assert account(served, "eve-3")[2] == ""
    assert served.scenario.read(lambda reader: by_handle(reader, "ann")).id == before


async def test_p1_the_handle_follows_the_verified_address_and_what_was_a_handle_becomes_nobody_elses(
    served, visitors, idp
):
    scenario = served.scenario
    await sign_in(visitors.stranger(), idp)
    also(idp, lambda claims: claims.update(email="Carol.New@example.org"))
    await sign_in(visitors.stranger(), idp)
    assert account(served, "carol-1")[1:3] == ("carol.new@example.org", "carol.new@example.org")
    carol = scenario.read(lambda reader: by_handle(reader, "carol.new@example.org"))
    assert scenario.events(f"user:{carol.id}").count("user.handle_set") == 2
    assert scenario.rows("SELECT words FROM admin_notice ORDER BY id DESC LIMIT 1") == [
        ("Rules call them carol.new@example.org (before: carol@example.org)",)
    ]
    connect(served, idp)
    await sign_in(visitors.stranger(), idp, "mal-4")  # was given carol's old address
    assert account(served, "mal-4")[1:3] == (None, "carol@example.org")
    with pytest.raises(Duplicate):
        add(scenario, "carol@example.org")
    await sign_in(visitors.stranger(), idp)  # carol has it back
    assert account(served, "carol-1")[1] == "carol@example.org"
    with pytest.raises(Duplicate):
        add(scenario, "carol.new@example.org")


def add(scenario, name):
    scenario.write(lambda tx: users.add(tx, "test", subject=name, name="", roles="viewer", password_hash=None))


@pytest.mark.parametrize("said", ["bob", "carol@example.org", "not a handle", ""])
async def test_p1_no_address_takes_a_handle_that_is_somebody_elses_or_none_at_all(served, visitors, idp, said):
    await sign_in(visitors.stranger(), idp)
    connect(served, idp)
    also(idp, lambda claims: claims.update(email="dave@example.org"))
    await sign_in(visitors.stranger(), idp, "dave-2")
    connect(served, idp)
    also(idp, lambda claims: claims.update(email=said))
    await sign_in(visitors.stranger(), idp, "dave-2")
    assert account(served, "dave-2")[1] == "dave@example.org"
    assert account(served, "carol-1")[1] == "carol@example.org"


async def test_p1_a_rule_that_names_the_new_address_lets_its_person_decide(served, visitors, idp, rules):
    scenario = served.scenario
    connect(served, idp, policy=SsoPolicy({"staff": "reviewer"}))
    await sign_in(visitors.stranger(), idp)
    rules.reviewers = Reviewers(people=("new@example.org",))
    filed = scenario.file()
    also(idp, lambda claims: claims.update(email="new@example.org"))
    visitor = visitors.stranger()
    await sign_in(visitor, idp)
    assert (await visitor.decide(filed.request_id)).status_code == 303
    assert scenario.status(filed.request_id).state == "approved"


@pytest.mark.parametrize(
    ("verified", "handle"),
    [
        ("true", "carol@example.org"),
        ("True", "carol@example.org"),
        ("false", None),
        ("", None),
        (1, None),
        (None, None),
    ],
)
async def test_p1_an_address_that_is_verified_in_words_is_verified(served, visitors, idp, verified, handle):
    also(idp, lambda claims: claims.update(email_verified=verified))
    await sign_in(visitors.stranger(), idp)
    assert account(served, "carol-1")[1] == handle


@pytest.mark.parametrize(
    ("claim", "said", "groups"),
    [
        ("realm_access.roles", {"realm_access": {"roles": ["staff", "boss"]}}, ["boss", "staff"]),
        ("https://example.org/groups", {"https://example.org/groups": ["staff"]}, ["staff"]),
        ("groups", {"groups": "staff, on call"}, ["on call", "staff"]),
        ("groups", {"groups": "staff boss"}, ["boss", "staff"]),
        ("groups", {"groups": "[staff, boss]"}, ["boss", "staff"]),
        ("groups", {"groups": ["Payments Team", "/a/b"]}, ["/a/b", "Payments Team"]),
        ("groups", {"groups": ["a\nb", " a", "", "x" * 101, 7, None]}, []),
        ("groups.names", {"groups": ["staff"]}, []),
        ("a.b", {"a": {"b": {"c": 1}}}, []),
    ],
)
async def test_groups_are_read_from_nested_claims_lists_in_words_and_with_blanks(served, idp, claim, said, groups):
    connect(served, idp, groups_claim=claim)
    identity = identity_of(served.app.state.provider.client, {"sub": "carol-1", **said})
    assert list(identity.groups) == groups


async def test_p1_a_group_with_blanks_gives_roles_and_fits_rules(served, visitors, idp, rules):
    scenario = served.scenario
    connect(served, idp, policy=SsoPolicy({"two words": "reviewer"}))
    rules.reviewers = Reviewers(groups=("two words",))
    filed = scenario.file()
    visitor = visitors.stranger()
    await sign_in(visitor, idp)
    assert (await visitor.decide(filed.request_id)).status_code == 303
    assert "payments, staff, two words" in (await visitor.http.get("/account")).text


@pytest.mark.parametrize(
    "settings",
    [{"oidc_roles": "x\ty=viewer"}, {"oidc_roles": "x" * 101 + "=viewer"}, {"oidc_groups_claim": " "}],
)
def test_what_no_claim_can_ever_fit_is_refused_at_start(settings):
    with pytest.raises(Invalid, match="APPROVALS_OIDC_"):
        Settings(oidc_issuer="https://idp.example", oidc_client_id="gate", **settings).oidc()


async def test_groups_and_mapped_roles_follow_the_claims_at_each_sign_in(served, visitors, idp):
    connect(served, idp, policy=SsoPolicy({"payments": "reviewer", "staff": "viewer", "boss": "admin"}))
    await sign_in(visitors.stranger(), idp)
    assert account(served, "carol-1")[3:] == ("payments\nstaff\ntwo words", "reviewer viewer")
    also(idp, lambda claims: claims.update(groups=["boss"]))
    await sign_in(visitors.stranger(), idp)
    assert account(served, "carol-1")[3:] == ("boss", "admin")
    also(idp, lambda claims: claims.update(groups=[]))
    refused = await sign_in(visitors.stranger(), idp)
    assert refused.status_code == 403
    assert account(served, "carol-1")[3:] == ("", "")
    stranger = await sign_in(visitors.stranger(), idp, "eve-3")
    assert (stranger.status_code, account(served, "eve-3")) == (403, None)


async def test_accounts_are_made_only_if_wanted_and_required_claims_are_required(served, visitors, idp):
    connect(served, idp, policy=SsoPolicy(newcomers=False))
    assert (await sign_in(visitors.stranger(), idp)).status_code == 403
    connect(served, idp, required={"hd": "example.org"})
    assert (await sign_in(visitors.stranger(), idp)).status_code == 403
    for hd, code in ((True, 403), ("example.com", 403), ("example.org", 303)):
        also(idp, lambda claims, hd=hd: claims.update(hd=hd))
        assert (await sign_in(visitors.stranger(), idp)).status_code == code


async def test_a_disabled_account_stays_out(served, visitors, idp):
    visitor = visitors.stranger()
    await sign_in(visitor, idp)
    scenario = served.scenario
    ((user_id,),) = scenario.rows("SELECT id FROM user_account WHERE subject = 'carol-1'")
    scenario.write(lambda tx: roles.disable(tx, user_id, Operator("test")))
    assert (await visitor.http.get("/")).status_code == 303
    assert (await sign_in(visitors.stranger(), idp)).status_code == 401


WRONG = {
    "nonce": lambda claims: claims.update(nonce="another"),
    "no nonce": lambda claims: claims.pop("nonce"),
    "issuer": lambda claims: claims.update(iss="https://evil.example"),
    "no issuer": lambda claims: claims.pop("iss"),
    "audience": lambda claims: claims.update(aud="another"),
    "audiences": lambda claims: claims.update(aud=["another", "third"]),
    "no audience": lambda claims: claims.pop("aud"),
    "two audiences without azp": lambda claims: claims.update(aud=["gate", "another"], azp=None),
    "azp": lambda claims: claims.update(azp="another"),
    "expired": lambda claims: claims.update(exp=claims["iat"] - 61),
    "no expiry": lambda claims: claims.pop("exp"),
    "expiry as text": lambda claims: claims.update(exp="9999999999"),
    "of the future": lambda claims: claims.update(iat=claims["iat"] + 600),
    "not yet": lambda claims: claims.update(nbf=claims["iat"] + 600),
    "nobody": lambda claims: claims.pop("sub"),
    "too long a subject": lambda claims: claims.update(sub="x" * 256),
    "a number as subject": lambda claims: claims.update(sub=7),
    "authenticated in the future": lambda claims: claims.update(auth_time=claims["iat"] + 600),
}


@pytest.mark.parametrize("what", WRONG)
async def test_p1_an_id_token_with_anything_wrong_signs_nobody_in(served, visitors, idp, what):
    also(idp, WRONG[what])
    visitor = visitors.stranger()
    answer = await sign_in(visitor, idp)
    assert answer.status_code == 401, what
    assert "does not count" in answer.text
    assert account(served, "carol-1") is None
    assert (await visitor.http.get("/")).status_code == 303


@pytest.mark.parametrize("sign", ["unsigned", "signed_with_the_public_key", "signed_by_somebody"])
async def test_p1_a_token_that_the_provider_did_not_sign_signs_nobody_in(served, visitors, idp, sign):
    idp.sign = getattr(identity_provider, sign)
    assert (await sign_in(visitors.stranger(), idp)).status_code == 401
    assert account(served, "carol-1") is None


async def test_p1_a_state_counts_once_in_the_browser_that_began_and_for_ten_minutes(served, visitors, idp):
    visitor, other = visitors.stranger(), visitors.stranger()
    back = await idp.consent(await leave(visitor), "carol-1")
    assert (await come_back(other, back)).status_code == 401, "a browser that began nothing"
    await leave(other)
    assert (await come_back(other, back)).status_code == 401, "a browser that began another one"
    cookie = visitor.http.cookies["approvals-pending"]
    assert (await come_back(visitor, back)).status_code == 303
    replay = visitors.stranger()
    replay.http.cookies.set("approvals-pending", cookie)
    asked = len(idp.asked)
    assert (await come_back(replay, back)).status_code == 401, "the same state again"
    assert len(idp.asked) == asked, "and its code was not even tried"
    late = visitors.stranger()
    back = await idp.consent(await leave(late), "carol-1")
    served.scenario.clock.forward(600)
    late.http.cookies.set("approvals-pending", late.http.cookies["approvals-pending"])
    assert (await come_back(late, back)).status_code == 401, "too late"


async def test_p1_a_code_of_another_sign_in_does_not_count(served, visitors, idp):
    """Injected into the victim's browser: the nonce is another's."""
    attacker, victim = visitors.stranger(), visitors.stranger()
    stolen = query(await idp.consent(await leave(attacker), "mal-4"))["code"]
    state = query(await leave(victim))["state"]
    answer = await victim.http.get("/login/oidc/callback", params={"code": stolen, "state": state})
    assert answer.status_code == 401
    used = await idp.consent(await leave(attacker), "mal-4")
    assert (await come_back(attacker, used)).status_code == 303
    state = query(await leave(attacker))["state"]
    spent = await attacker.http.get("/login/oidc/callback", params={"code": query(used)["code"], "state": state})
    assert spent.status_code == 401, "a code is good once"


@pytest.mark.parametrize("value", ["", "x", "x.y", "e30=.00", "é"])
async def test_a_cookie_that_we_did_not_make_begins_nothing(served, visitors, idp, value):
    answer = await visitors.stranger().http.get(
        "/login/oidc/callback?code=c&state=s", headers={"Cookie": f"approvals-pending={value}".encode()}
    )
    assert answer.status_code == 401


async def test_an_answer_in_another_providers_name_does_not_count(served, visitors, idp):
    visitor = visitors.stranger()
    back = await idp.consent(await leave(visitor), "carol-1")
    assert (await come_back(visitor, f"{back}&iss=https://evil.example")).status_code == 401


async def test_saying_no_there_is_a_page_here(served, visitors, idp):
    visitor = visitors.stranger()
    state = query(await leave(visitor))["state"]
    answer = await visitor.http.get(f"/login/oidc/callback?state={state}&error=access_denied<script>")
    assert answer.status_code == 401
    assert "said no: access_denied&lt;script&gt;" in answer.text


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/.well-known/openid-configuration", {"issuer": "https://evil.example"}),
        ("/.well-known/openid-configuration", b"not json"),
        ("/.well-known/openid-configuration", ["a list"]),
        ("/.well-known/openid-configuration", b"[" * (600 * 1024)),
        ("/jwks", {"keys": []}),
        ("/jwks", b"{"),
        ("/oauth2/token", {"access_token": "only"}),
        ("/oauth2/token", {"id_token": "a.b"}),
    ],
)
async def test_p5_a_provider_that_makes_no_sense_signs_nobody_in(served, visitors, idp, path, document):
    visitor = visitors.stranger()
    idp.documents[path] = document
    answer = await visitor.http.get("/login/oidc")
    if answer.status_code == 303:
        answer = await come_back(visitor, await idp.consent(answer.headers["location"], "carol-1"))
    assert answer.status_code in {401, 503}
    assert account(served, "carol-1") is None


async def test_addresses_beside_https_are_refused_and_so_is_a_provider_that_is_away(served, visitors, idp):
    visitor = visitors.stranger()
    well_known = "/.well-known/openid-configuration"
    idp.documents[well_known] = {
        "issuer": idp.issuer,
        "authorization_endpoint": "http://idp.example/a",
        "token_endpoint": f"{idp.issuer}/t",
        "jwks_uri": f"{idp.issuer}/jwks",
    }
    assert "no https addresses" in (await visitor.http.get("/login/oidc")).text
    idp.documents.clear()
    served.app.state.provider = Provider(
        Client(issuer="http://127.0.0.1:9", client_id="gate"), served.scenario.service.database.clock
    )
    away = await visitor.http.get("/login/oidc")
    assert away.status_code == 503
    assert 'name="password"' in away.text, "local sign-in goes on"


async def test_p1_signing_in_makes_a_new_session_and_ends_the_one_before(served, visitors, idp):
    visitor = await visitors.signed_in("bob")
    before = visitor.http.cookies["approvals"]
    answer = await sign_in(visitor, idp)
    after = answer.cookies["approvals"]
    assert after != before
    planted = visitors.stranger()
    planted.http.cookies.set("approvals", before)
    assert (await planted.http.get("/")).status_code == 303


@pytest.mark.parametrize("following", ["//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example"])
async def test_coming_back_leads_to_no_other_site(served, visitors, idp, following):
    assert (await sign_in(visitors.stranger(), idp, next=following)).headers["location"] == "/"


async def test_fresh_authentication_has_to_be_said_by_the_provider(served, visitors, idp):
    connect(served, idp, policy=SsoPolicy({"staff": "reviewer"}))
    visitor = visitors.stranger()
    url = await leave(visitor, fresh="true", next="/account")
    assert (query(url)["max_age"], query(url)["prompt"]) == ("0", "login")
    assert (await come_back(visitor, await idp.consent(url, "carol-1"))).status_code == 401, "it does not say"
    also(idp, lambda claims: claims.update(auth_time=claims["iat"] - 3600))
    assert (await sign_in(visitor, idp, fresh="true")).status_code == 401, "an hour ago"
    assert (await sign_in(visitor, idp)).status_code == 303
    assert "Create token that decides" not in (await visitor.http.get("/account")).text
    also(idp, lambda claims: claims.update(auth_time=claims["iat"]))
    assert (await sign_in(visitor, idp, fresh="true", next="/account")).headers["location"] == "/account"
    assert "Create token that decides" in (await visitor.http.get("/account")).text


async def test_behind_https_the_pending_login_is_bound_to_the_host(served, visitors, idp):
    served.scenario.service.public_url = "https://approvals.example"
    answer = await visitors.stranger().http.get("/login/oidc")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-approvals-pending=")
    assert {"Secure", "HttpOnly", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert query(answer.headers["location"])["redirect_uri"] == "https://approvals.example/login/oidc/callback"


async def test_without_a_provider_there_is_no_such_way(served, visitors):
    visitor = visitors.stranger()
    assert "Sign in with" not in (await visitor.http.get("/login")).text
    assert (await visitor.http.get("/login/oidc")).status_code == 404


@pytest.mark.parametrize(
    "given",
    [
        {"oidc_issuer": "http://idp.example"},
        {"oidc_issuer": "ftp://idp.example"},
        {"oidc_client_id": ""},
        {"oidc_roles": "admins=king"},
        {"oidc_roles": "admins"},
        {"oidc_scopes": "profile"},
        {"oidc_require": "hd"},
    ],
)
def test_p5_settings_that_make_no_sense_are_refused_at_the_start(given):
    good = {"oidc_issuer": "https://idp.example", "oidc_client_id": "gate"}
    assert Settings(**good).oidc().shown == "idp.example"
    with pytest.raises(Invalid):
        Settings(**good | given).oidc()


def test_settings_name_roles_by_group_and_secrets_by_reference(tmp_path):
    (tmp_path / "secret").write_text("hush\n")
    client = Settings(
        oidc_issuer="https://idp.example",
        oidc_client_id="gate",
        oidc_client_secret=f"file:{tmp_path / 'secret'}",
        oidc_roles="approvals-admins=admin reviewer, staff=viewer",
    ).oidc()
    assert client.client_secret == "hush"
    assert client.policy.roles == {"approvals-admins": "admin reviewer", "staff": "viewer"}
    assert Settings().oidc() is None
