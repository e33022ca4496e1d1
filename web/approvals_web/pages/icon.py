"""The tab's icon, with how many wait."""

from typing import Annotated

from fastapi import Query, Response

from approvals_web.http.assets import contents
from approvals_web.http.routers import PageRouter

router = PageRouter()


@router.get("/icon.svg")
async def icon(n: Annotated[int, Query(ge=0, le=99)] = 0) -> Response:
    """With a number in it from 1 on."""
    badge = (
        '<circle cx="70%" cy="70%" r="30%" fill="#c1121f"/><text x="70%" y="82%" font-size="45%" text-anchor="middle" '
        f'fill="#fff" font-family="sans-serif" font-weight="700">{n}</text></svg>'
    )
    drawn = contents("icon.svg").decode().rstrip().removesuffix("</svg>") + (badge if n else "</svg>")
    return Response(drawn, media_type="image/svg+xml", headers={"Cache-Control": "public, max-age=86400"})
