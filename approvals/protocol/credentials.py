"""What credentials look like, as a table.

The shapes are those that gitleaks (config/gitleaks.toml) and detect-secrets (detect_secrets/plugins) look for and that
have a mark of their own: what is known by its length alone would hide ordinary words. Lengths are lower bounds. Each
row has the words without which it cannot match, in lower case, so that most text is not looked at twice; and it reads a
text in steps that grow with its length: what may repeat without end stands last, or takes all it can get (`++`), and
everything else is bounded.
"""

import functools
import re
from collections.abc import Iterator

_STARTS = r"(?:(?<![A-Za-z0-9])|(?<=\\[bfnrtv])|(?<=%[0-9A-Fa-f]{2}))"
"""Where a word begins, also behind an escaped line break (`\\n`) or an escape of a URL (`%3D`)."""

_MARKED = {
    "this product's keys": ("mcp", r"mcp[asu]_[0-9a-f]{6,40}_[\w-]{16,}"),
    "webhook signing secrets": ("whsec_", r"whsec_[\w+/=-]{24,}"),
    "1Password": ("ops_eyj a3-", r"ops_eyJ[\w+/=-]{50,}|A3-[A-Z0-9]{6}-[A-Z0-9-]{24,}"),
    "Adobe": ("p8e-", r"p8e-[A-Za-z0-9]{32}"),
    "age": ("age-secret", r"AGE-SECRET-KEY-1[A-Z0-9]{50,}"),
    "Airtable": ("pat", r"pat[A-Za-z0-9]{14}\.[0-9a-f]{60,}"),
    "Alibaba Cloud": ("ltai", r"LTAI[A-Za-z0-9]{17,}"),
    "Artifactory": ("akcp", r"AKCp[A-Za-z0-9]{60,}"),
    "Atlassian": ("tt3", r"AT[AC]TT3[\w=-]{60,}"),
    "AWS": ("a3t akia asia abia acca", r"(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Z0-9])"),
    "Braintree": ("access_token$", r"access_token\$(?:production|sandbox)\$[0-9a-z]{16}\$[0-9a-f]{32}"),
    "Brevo": ("xkeysib-", r"xkeysib-[0-9a-f]{64}-\w{16}"),
    "Clojars": ("clojars_", r"CLOJARS_[A-Za-z0-9]{50,}"),
    "crates.io": ("cio", r"cio[A-Za-z0-9]{32}(?![A-Za-z0-9])"),
    "Databricks": ("dapi", r"dapi[0-9a-f]{32}"),
    "DigitalOcean": ("_v1_", r"do[opr]_v1_[0-9a-f]{60,}"),
    "Docker Hub": ("dckr_", r"dckr_[op]at_[\w-]{20,}"),
    "Doppler": ("dp.", r"dp\.(?:audit|ct|pt|sa|scim|st)\.[\w.-]{40,}"),
    "Duffel": ("duffel_", r"duffel_(?:live|test)_[\w=-]{40,}"),
    "Dynatrace": ("dt0", r"dt0[a-z]\d{2}\.[A-Z0-9]{24}\.[A-Z0-9]{60,}"),
    "EasyPost": ("ezak eztk", r"EZ[AT]K[A-Za-z0-9]{50,}"),
    "Facebook": ("eaa", r"EAA[A-Z][A-Za-z0-9]{60,}"),
    "Flutterwave": ("flw", r"FLWSECK(?:_TEST)?-[A-Za-z0-9-]{12,}"),
    "Fly.io": ("fo1_ fm1 fm2", r"fo1_[\w-]{40,}|fm[12][ar]?_[\w+/=-]{60,}"),
    "GitHub": ("ghp_ gho_ ghs_ ghr_ ghu_ github_pat_", r"gh[opsru]_[0-9A-Za-z]{30,}|github_pat_\w{40,}"),
    "GitLab": (
        "gl gr1348941",
        r"gl(?:agent|cbt|dt|ffct|ft|imt|oas|pat|ptt|rtr?|soat|wt)-[\w-]{20,}|GR1348941[\w-]{20,}",
    ),
    "Google": ("aiza gocspx- ya29. 1//0", r"AIza[\w-]{35}|GOCSPX-[\w-]{20,}|ya29\.[\w-]{20,}|1//0[\w-]{30,}"),
    "Grafana": ("glc_ glsa_", r"glc_[\w+/=-]{32,}|glsa_\w{32}_[0-9a-fA-F]{8}"),
    "Groq": ("gsk_", r"gsk_\w{40,}"),
    "HashiCorp": ("hvb. hvr. hvs. .atlasv1.", r"hv[brs]\.[\w-]{20,}|[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{50,}"),
    "Heroku": ("hrku-", r"HRKU-[\w-]{30,}"),
    "Hugging Face": ("hf_ api_org_", r"hf_[A-Za-z0-9]{30,}|api_org_[A-Za-z0-9]{30,}"),
    "Linear": ("lin_", r"lin_(?:api|oauth)_[A-Za-z0-9]{32,}"),
    "Mailgun": ("key-", r"key-(?<![-_]key-)[0-9a-f]{32}"),
    "New Relic": ("nrak- nrii- nrjs-", r"NR(?:AK|II|JS)-[\w-]{19,}"),
    "Notion": ("ntn_ secret_", r"ntn_[A-Za-z0-9]{40,}|secret_[A-Za-z0-9]{43}(?![A-Za-z0-9])"),
    "npm": ("npm_", r"npm_[A-Za-z0-9]{36}"),
    "NuGet": ("oy2", r"oy2[a-z0-9]{43}(?![a-z0-9])"),
    "OpenAI, Anthropic and the like": (
        "sk-",
        r"sk-(?:admin|ant|proj|svcacct)-[\w-]{20,}|sk-(?=[\w-]{0,60}[0-9])(?=(?:\w{1,20}-){0,4}\w{16})[\w-]{24,}",
    ),
    "OpenShift": ("sha256~", r"sha256~[\w-]{43}"),
    "Perplexity": ("pplx-", r"pplx-[A-Za-z0-9]{40,}"),
    "PlanetScale": ("pscale_", r"pscale_(?:oauth|pw|tkn)_[\w=.-]{32,}"),
    "Postman": ("pmak-", r"PMAK-[0-9a-f]{24}-[0-9a-f]{30,}"),
    "Prefect": ("pnu_", r"pnu_[A-Za-z0-9]{36}"),
    "Pulumi": ("pul-", r"pul-[0-9a-f]{40}"),
    "PyPI": ("pypi-", r"pypi-[\w-]{50,}"),
    "ReadMe": ("rdme_", r"rdme_[a-z0-9]{60,}"),
    "Replicate": ("r8_", r"r8_[A-Za-z0-9]{30,}"),
    "RubyGems": ("rubygems_", r"rubygems_[0-9a-f]{48}"),
    "SendGrid": ("sg.", r"SG\.[\w-]{16,32}\.[\w-]{32,}"),
    "Sentry": ("sntry", r"sntry[su]_[\w+/=-]{40,}"),
    "Shippo": ("shippo_", r"shippo_(?:live|test)_[0-9a-fA-F]{40}"),
    "Shopify": ("shp", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    "Slack": ("xox xapp-", r"xox[abeoprs](?:\.xox[bp])?-[\w-]{10,}|xapp-[\w-]{20,}"),
    "Square": ("sq0", r"sq0(?:atp|csp)-[\w-]{22,}"),
    "Stripe": ("k_live_ k_prod_ k_test_", r"[prs]k_(?:live|prod|test)_\w{16,}"),
    "Supabase": ("sbp_ sb_secret_", r"sbp_[0-9a-f]{40}|sb_secret_[\w-]{20,}"),
    "Tailscale": ("tskey-", r"tskey-[\w-]{20,}"),
    "Telegram": (":aa", r"(?:bot)?\d{8,10}:AA[\w-]{32,}"),
    "Twilio": ("sk", r"SK[0-9a-f]{32}(?![0-9a-f])"),
    "Typeform": ("tfp_", r"tfp_[\w=.-]{50,}"),
    "xAI": ("xai-", r"xai-[A-Za-z0-9]{60,}"),
    "Yandex Cloud": ("aqvn", r"AQVN[\w-]{35,}"),
}
"""By a mark at the beginning of a word: the words, and the shape."""

_QUOTE = r"""\\{0,3}["']"""
_NAME = (
    r"[APSTapst](?i:oken(?<!page.token)(?<!pagetoken)(?<!next.token)(?<!nexttoken)(?<!sync.token)(?<!synctoken)"
    r"|ecret(?:[_-]?key)?|assw(?:or)?d|assphrase|wd(?!=/)|ignature|ig(?<=[?&]sig)"
    r"|(?:pi|ccess|ccount|rivate|hared[_-]?access)[_-]?key)"
)
_SURROUNDED = {
    "JSON Web Token": (
        "eyj",
        r"(?:(?<![\w-])|(?<=\\[bfnrtv])|(?<=%[0-9A-Fa-f]{2}))eyJ[\w-]{8,}+"
        r"(?:\.eyJ[\w-]{8,}+\.[\w-]{8,}|\.[\w-]*+\.[\w-]{8,}+\.[\w-]{8,}+\.[\w-]{8,})",
    ),
    "private key, PEM or PGP": (
        "begin",
        r"-{4,5} ?BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)? ?-{4,5}"
        r"[\s\S]*?(?:-{4,5} ?END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)? ?-{4,5}|\Z)",
    ),
    "private key of PuTTY": ("putty-user-key", r"PuTTY-User-Key-File-\d:[\s\S]*"),
    "URL with a password": (
        r":// \/\/ \\/\\/",
        r"(?:(?<=://)|(?<=:\\/\\/)|(?<=:\\\\/\\\\/))(?<!mailto://)(?!(?<=s[sc][hp]://)[^\s/@]{0,300}/)[^\s/@:\[\"'<>]{0,200}+:(?!\d{1,5}(?![^\s/?#\"'<>,]))"
        r"(?:[^\s\"'<>]|'(?=\w)){1,300}(?=@)",
    ),
    "incoming webhook of a chat": (
        "hooks.slack webhook",
        r"hooks\.slack(?:-gov)?\.com/(?:services|triggers|workflows)/[\w/+-]{10,}"
        r"|discord(?:app)?\.com/api/(?:v\d{1,2}/)?webhooks/\d{5,30}/[\w-]{20,}"
        r"|webhook\.office\.com/webhookb2/[\w@/-]{20,}",
    ),
    "authorization header": (
        "authorization",
        rf"""[Aa](?i:uthorization)\\{{0,3}}["']?\s{{0,4}}[:=]\s{{0,4}}(?:{_QUOTE})?(?:[A-Za-z][A-Za-z-]{{1,20}}\s{{1,4}})?"""
        r"""(?=[^\s"',;]{0,200}[0-9=])[^\s"',;]{4,}""",
    ),
    "bearer token": ("bearer", r"[Bb](?i:earer)\s{1,4}[\w.~+/-]{20,}=*"),
    "basic authentication": (
        "basic",
        r"[Bb](?i:asic)\s{1,4}(?=(?:[A-Za-z0-9+/]{4}){0,100}"
        r"(?:O[g-v]|[A-Za-z0-9+/][DTjz][o-r]|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]6))[\w+/-]{8,}={0,2}",
    ),
    "user and password of a command": (
        "curl",
        r"curl(?=\s)[^\n|;]{0,300}?\s(?:-[uU]|--user|--proxy-user)[\s=]?[\"']?[^\s:\"'$]{1,100}:[^\s\"'$]{2,}",
    ),
    "value under a secret's name": (
        "token secret passw passphrase pwd signature sig= key",
        rf"""{_NAME}(?:=[^\s"'&;,<>{{}}$*\[]{{6,}}"""
        rf"""|\s{{0,2}}[:=]\s{{1,2}}(?=\S{{0,60}}[0-9])(?=\S{{0,60}}[A-Za-z])[^\s"'&;,<>{{}}$*\[\\(]{{6,}}"""
        rf"""|(?:{_QUOTE})?\s{{0,2}}[:=]\s{{0,2}}{_QUOTE}[^"'\\\n<>{{}}$*\[]{{6,}})""",
    ),
}
"""By what stands around it."""

_FEW = 3
"""Rows that are searched for one by one; more of them at once are faster as one expression."""
_SHORTEST = 6
"""Characters, as in `://:b@`."""
_MARKS = [(word, _STARTS + f"(?:{shape})") for words, shape in _MARKED.values() for word in words.split(" ")]
_PLACES = [(word, shape) for words, shape in _SURROUNDED.values() for word in words.split(" ")]
_ALL_MARKED = _STARTS + f"(?:{'|'.join(shape for _, shape in _MARKED.values())})"


def likely(text: str) -> tuple[str, ...]:
    """The expressions that may find something in a text; nearly always none."""
    if len(text) < _SHORTEST:
        return ()
    low = text.lower()
    marked = _present(_MARKS, low)
    return *(marked if len(marked) <= _FEW else [_ALL_MARKED]), *_present(_PLACES, low)


def spans(text: str, shapes: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Where a text looks like a credential by these expressions: begin and end."""
    for shape in shapes:
        yield from (found.span() for found in _compiled(shape).finditer(text))


def _present(rows: list[tuple[str, str]], low: str) -> list[str]:
    found = [shape for word, shape in rows if word in low]
    return list(dict.fromkeys(found)) if found else found


_compiled = functools.cache(re.compile)
