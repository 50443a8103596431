"""For which seller somebody acts, and what of a seller's they may see.

Invariant: a member acts for one seller, while that seller is approved. An admin sees and edits all.
"""

from typing import Any
from uuid import UUID

from msgspec import Struct

from api.problems import refuse
from domain.accounts.model import Role, SellerStatus
from domain.accounts.reads import load_membership
from domain.rejections import Code
from infra.security import Principal

NO_MEMBER = "this account is a member of no seller"


class Viewer(Struct, frozen=True):
    """Who looks: an admin, a member of a seller, or anybody."""

    is_admin: bool = False
    seller_id: UUID | None = None

    def is_of(self, seller_id: UUID) -> bool:
        """Whether what is a seller's is theirs."""
        return self.is_admin or self.seller_id == seller_id


async def viewer_of(conn: Any, principal: Principal | None) -> Viewer:
    """Who looks; None is somebody without a token."""
    if principal is None or principal.is_admin or Role.SELLER not in principal.roles:
        return Viewer(is_admin=principal is not None and principal.is_admin)
    membership = await load_membership(conn, principal.id)
    return Viewer(seller_id=None if membership is None else membership.seller_id)


async def member_or_admin(conn: Any, principal: Principal) -> Viewer:
    """Who looks at what is sellers'; raises a problem of status 403 for whoever acts for none and is no admin."""
    viewer = await viewer_of(conn, principal)
    if not viewer.is_admin and viewer.seller_id is None:
        raise refuse(403, Code.FORBIDDEN, NO_MEMBER)
    return viewer


async def editor_of(conn: Any, principal: Principal) -> Viewer:
    """Who edits; raises a problem of status 403 when they act for no seller that may."""
    return Viewer(is_admin=True) if principal.is_admin else Viewer(seller_id=await seller_of(conn, principal))


async def seller_of(conn: Any, principal: Principal) -> UUID:
    """The seller somebody acts for; raises a problem of status 403 when there is none that may."""
    membership = await load_membership(conn, principal.id)
    if membership is None:
        raise refuse(403, Code.FORBIDDEN, NO_MEMBER)
    if membership.status is not SellerStatus.APPROVED:
        detail = f"the seller is {membership.status.value}: only an approved one may do this"
        raise refuse(403, Code.FORBIDDEN, detail)
    return membership.seller_id
