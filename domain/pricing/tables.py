"""The tables of pricing, as Piccolo knows them."""

from piccolo.columns import JSONB, UUID, BigInt, Boolean, Integer, SmallInt, Text, Timestamptz
from piccolo.table import Table


class PricingVersions(Table):
    """The version of each part of the rules: it rises with every change, in the same transaction."""

    part = Text(primary_key=True, default=None)
    version = BigInt(default=None)


class Promotions(Table):
    """Promotions, their state and what they do."""

    id = UUID(primary_key=True, default=None)
    seller_id = UUID(null=True, default=None)
    state = Text(default="draft")
    version = Integer(default=1)
    content = JSONB(default=None)
    starts_at = Timestamptz(null=True, default=None)
    ends_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(default=None)
    updated_at = Timestamptz(default=None)


class PromotionVersions(Table):
    """What each version of a promotion did, append-only, keyed (promotion, version)."""

    promotion_id = UUID(primary_key=True, default=None)
    version = Integer(default=None)
    content = JSONB(default=None)
    actor = UUID(default=None)
    at = Timestamptz()


class PromotionCodes(Table):
    """Codes, and the promotion each brings."""

    key = Text(primary_key=True, default=None)
    text = Text(default=None)
    promotion_id = UUID(default=None)
    created_at = Timestamptz()


class CodeBatches(Table):
    """How many codes of a promotion each command has made."""

    command_id = UUID(primary_key=True, default=None)
    promotion_id = UUID(default=None)
    made = Integer(default=None)
    at = Timestamptz(default=None)


class PromotionUses(Table):
    """How often limited promotions were used and may be, keyed (promotion, user); zeros stand for all users."""

    promotion_id = UUID(primary_key=True, default=None)
    user_id = UUID(default=None)
    used = Integer(default=None)
    most = Integer(default=None)


class Redemptions(Table):
    """Uses of promotions by orders, keyed (order, promotion); one that came back has its time."""

    order_id = UUID(primary_key=True, default=None)
    promotion_id = UUID(default=None)
    version = Integer(default=None)
    code = Text(null=True, default=None)
    buyer = UUID(default=None)
    currency = Text(default=None)
    amount_minor = BigInt(default=None)
    redeemed_at = Timestamptz()
    returned_at = Timestamptz(null=True, default=None)


class CommissionRules(Table):
    """Commission rules with all they were, keyed (rule, revision)."""

    id = UUID(primary_key=True, default=None)
    revision = Integer(default=None)
    content = JSONB(default=None)
    used = Boolean(default=False)
    from_version = BigInt(default=None)
    to_version = BigInt(null=True, default=None)
    created_at = Timestamptz(default=None)
    created_by = UUID(default=None)


class CommissionSnapshots(Table):
    """What each line of a confirmed order pays, worked out once, append-only, keyed (order, line number)."""

    order_id = UUID(primary_key=True, default=None)
    line_no = SmallInt(default=None)
    seller_id = UUID(default=None)
    rule_id = UUID(null=True, default=None)
    base_minor = BigInt(default=None)
    amount_minor = BigInt(default=None)
    currency = Text(default=None)
    considered = JSONB(default=None)
    created_at = Timestamptz()


class RateCards(Table):
    """Whole lists of rates, keyed (kind, owner): taxes, price lists, and how sellers and the platform ship."""

    kind = Text(primary_key=True, default=None)
    owner = UUID(default=None)
    version = Integer(default=None)
    content = JSONB(default=None)
    updated_at = Timestamptz(default=None)
