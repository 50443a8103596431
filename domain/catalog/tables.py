"""The tables of the catalog, as Piccolo knows them."""

from piccolo.columns import JSONB, UUID, Array, BigInt, Boolean, Integer, Text, Timestamptz
from piccolo.table import Table

from domain.journal.tables import Xid8


class Products(Table):
    """Products, each of the seller who made it."""

    id = UUID(primary_key=True, default=None)
    seller_id = UUID(default=None)
    title = Text(default=None)
    status = Text(default=None)
    created_at = Timestamptz()
    category_id = UUID(null=True, default=None)
    slug = Text(default=None)
    description = Text(default="")
    attributes = JSONB(default="{}")
    meta_title = Text(default="")
    meta_description = Text(default="")
    reason = Text(default="")
    version = Integer(default=1)
    updated_at = Timestamptz()


class ProductSlugs(Table):
    """The slugs that products have and had."""

    slug = Text(primary_key=True, default=None)
    product_id = UUID(default=None)


class Listings(Table):
    """What lists of products filter and sort by, keyed (product, currency)."""

    product_id = UUID(primary_key=True, default=None)
    currency = Text(default=None)
    price_minor = BigInt(default=None)
    status = Text(default=None)
    seller_id = UUID(default=None)
    category_id = UUID(null=True, default=None)
    slug = Text(default=None)
    created_at = Timestamptz(default=None)
    sellers = Array(base_column=UUID(), default=None)
    tokens = Array(base_column=Text(), default=None)
    due_at = Timestamptz(null=True, default=None)


class Relistings(Table):
    """Sellers whose products are to be listed anew."""

    seller_id = UUID(primary_key=True, default=None)
    after = Text(default="")


class Variants(Table):
    """What of a product can be bought."""

    id = UUID(primary_key=True, default=None)
    product_id = UUID(default=None)
    attributes = JSONB(default="{}")
    active = Boolean(default=True)
    created_at = Timestamptz()
    barcode = Text(null=True, default=None)
    weight_grams = Integer(null=True, default=None)
    version = Integer(default=1)


class Offers(Table):
    """One seller's price and SKU of a variant, keyed (variant, seller)."""

    variant_id = UUID(primary_key=True, default=None)
    seller_id = UUID(default=None)
    sku = Text(default=None)
    price_minor = BigInt(default=None)
    currency = Text(default=None)
    active = Boolean(default=True)
    version = Integer(default=1)
    created_at = Timestamptz()
    valid_from = Timestamptz(null=True, default=None)
    valid_until = Timestamptz(null=True, default=None)
    quantity_max = Integer(null=True, default=None)
    quantity_window_seconds = Integer(null=True, default=None)


class CatalogChanges(Table):
    """Which transaction changed a thing of the catalog last."""

    thing = UUID(primary_key=True, default=None)
    at = Timestamptz()
    xid = Xid8()


class Categories(Table):
    """The tree of categories."""

    id = UUID(primary_key=True, default=None)
    parent_id = UUID(null=True, default=None)
    name = Text(default=None)
    slug = Text(default=None)
    path = Array(base_column=UUID(), default=None)
    position = Integer(default=0)
    version = Integer(default=1)
    created_at = Timestamptz()


class Attributes(Table):
    """What products may say of themselves."""

    id = UUID(primary_key=True, default=None)
    code = Text(default=None)
    name = Text(default=None)
    kind = Text(default=None)
    unit = Text(null=True, default=None)
    required = Boolean(default=False)
    choices = Array(base_column=Text(), default=[])
    variant_making = Boolean(default=False)
    version = Integer(default=1)
    created_at = Timestamptz()


class CategoryAttributes(Table):
    """Which category asks for which attribute, keyed (category, attribute)."""

    category_id = UUID(primary_key=True, default=None)
    attribute_id = UUID(default=None)
    required = Boolean(null=True, default=None)
    position = Integer(default=0)
