"""What the sample sells: a small tree of categories, what each asks of its products, twenty products.

Everything stands in the order it is written in. Products name their category by the last word of its path.
"""

from collections.abc import Mapping

from msgspec import Struct

from domain.catalog.schema import AttributeKind, Value
from domain.catalog.taxonomy import AttributeEdit
from ops.goods import Shelf

SELLERS = ("Fjord & Field", "Copper Kettle", "Night Train Books")
OWNERS = ("ingrid@fjord-and-field.example", "tomas@copper-kettle.example", "noor@night-train-books.example")
FJORD, KETTLE, BOOKS = range(3)


def _choice(code: str, name: str, *choices: str) -> AttributeEdit:
    return AttributeEdit(code, name, AttributeKind.CHOICE, choices=choices)


def _making(code: str, name: str, *choices: str) -> AttributeEdit:
    return AttributeEdit(code, name, AttributeKind.CHOICE, choices=choices, variant_making=True)


ATTRIBUTES = (
    AttributeEdit("brand", "Brand", AttributeKind.TEXT),
    _choice("material", "Material", "merino", "wool", "canvas", "steel", "copper", "cast iron", "ceramic", "paper"),
    _making("size", "Size", "S", "M", "L", "XL"),
    _making("sock_size", "Size", "37-40", "41-43", "44-46"),
    _making("colour", "Colour", "slate", "moss", "oat", "olive", "white", "orange", "black", "blue-black", "burgundy"),
    _making("binding", "Binding", "hardcover", "paperback"),
    _making("nib", "Nib", "EF", "F", "M", "B"),
    AttributeEdit(
        "care", "Care", AttributeKind.MULTI_CHOICE, choices=("hand wash", "30 °C", "do not tumble dry", "dishwasher")
    ),
    AttributeEdit("capacity", "Capacity", AttributeKind.NUMBER, unit="l"),
    AttributeEdit("brightness", "Brightness", AttributeKind.NUMBER, unit="lm"),
    AttributeEdit("net_weight", "Net weight", AttributeKind.NUMBER, unit="g"),
    AttributeEdit("waterproof", "Waterproof", AttributeKind.BOOLEAN),
    _choice("roast", "Roast", "light", "medium", "dark"),
    AttributeEdit("author", "Author", AttributeKind.TEXT),
    AttributeEdit("pages", "Pages", AttributeKind.NUMBER),
    AttributeEdit("published", "Published", AttributeKind.DATE),
)


def _shelf(path: str, asks: tuple[str, ...] = (), required: tuple[str, ...] = ()) -> Shelf:
    return Shelf(tuple(path.split("/")), asks, required)


SHELVES = (
    _shelf("Outdoor", ("brand",)),
    _shelf("Outdoor/Clothing", ("material", "colour", "care"), required=("material",)),
    _shelf("Outdoor/Clothing/Base layers", ("size",), required=("size",)),
    _shelf("Outdoor/Clothing/Socks", ("sock_size",), required=("sock_size",)),
    _shelf("Outdoor/Bags", ("colour", "capacity", "waterproof"), required=("capacity",)),
    _shelf("Outdoor/Camp", ("colour", "brightness", "material")),
    _shelf("Kitchen", ("material", "capacity", "care")),
    _shelf("Kitchen/Coffee"),
    _shelf("Kitchen/Tea", ("colour",)),
    _shelf("Food & drink", ("net_weight",), required=("net_weight",)),
    _shelf("Food & drink/Coffee beans", ("roast",), required=("roast",)),
    _shelf("Food & drink/Tea leaves"),
    _shelf("Books & paper"),
    _shelf("Books & paper/Books", ("author", "binding", "pages", "published"), required=("author", "binding")),
    _shelf("Books & paper/Stationery", ("colour", "pages")),
    _shelf("Books & paper/Stationery/Pens", ("nib",), required=("nib",)),
)


class Article(Struct, frozen=True):
    """A product of a seller. ``extra`` is what choices cost more than ``price``, in cents.

    ``also`` are other sellers of its first variant, with their prices.
    """

    seller: int
    title: str
    category: str
    price: int
    grams: int
    description: str
    attributes: Mapping[str, Value] = {}
    extra: Mapping[str, int] = {}
    also: Mapping[int, int] = {}


ARTICLES = (
    Article(
        FJORD,
        "Merino base layer",
        "Base layers",
        6900,
        210,
        "A long-sleeved shirt of 190 g merino, knitted without side seams. Warm when wet, and it doesn't smell.",
        {
            "brand": "Fjord & Field",
            "material": "merino",
            "size": ["M", "S", "L", "XL"],
            "colour": ["slate", "moss"],
            "care": ["30 °C", "do not tumble dry"],
        },
        extra={"XL": 400},
    ),
    Article(
        FJORD,
        "Wool hiking socks, pair",
        "Socks",
        1800,
        90,
        "Terry-lined heel and toe, a flat seam, and elastic that stays up on the third day.",
        {"material": "wool", "sock_size": ["41-43", "37-40", "44-46"], "colour": ["oat"], "care": ["30 °C"]},
    ),
    Article(
        FJORD,
        "Waxed canvas rucksack, 24 l",
        "Bags",
        12900,
        1350,
        "One large compartment, a roll top and leather straps. Wax it once a year and it outlives its owner.",
        {"brand": "Fjord & Field", "colour": ["olive", "black"], "capacity": 24, "waterproof": True},
    ),
    Article(
        FJORD,
        "Enamel camp mug",
        "Camp",
        1450,
        140,
        "Steel under two layers of enamel, 350 ml. Chips in time, and keeps the coffee warm meanwhile.",
        {"colour": ["white", "olive"], "material": "steel"},
        also={KETTLE: 1590},
    ),
    Article(
        FJORD,
        "Head torch, 400 lm",
        "Camp",
        4500,
        95,
        "Four levels, a red light for the map, and a lock that keeps it off in the bag. Charges by USB-C.",
        {"brand": "Fjord & Field", "brightness": 400},
    ),
    Article(
        FJORD,
        "Dry bag, 10 l",
        "Bags",
        1990,
        120,
        "Welded seams and a roll closure: what is in it stays dry, also under water for a while.",
        {"colour": ["orange", "slate"], "capacity": 10, "waterproof": True},
    ),
    Article(
        FJORD,
        "Folding saw",
        "Camp",
        3200,
        260,
        "A 21 cm blade that cuts when pulled and folds into a beech handle.",
        {"material": "steel"},
    ),
    Article(
        KETTLE,
        "Copper kettle, 1.2 l",
        "Tea",
        8900,
        1100,
        "Spun from one sheet of copper and tinned inside. Whistles in two tones.",
        {"material": "copper", "capacity": 1.2, "care": ["hand wash"]},
    ),
    Article(
        KETTLE,
        "Burr grinder, manual",
        "Coffee",
        5400,
        620,
        "Conical steel burrs with thirty clicks between espresso and French press.",
        {"material": "steel"},
    ),
    Article(
        KETTLE,
        "Pour-over dripper",
        "Coffee",
        2400,
        480,
        "Ceramic, for one to four cups; takes the usual cone filters.",
        {"material": "ceramic", "care": ["dishwasher"]},
    ),
    Article(
        KETTLE,
        "Filter papers, 100",
        "Coffee",
        650,
        160,
        "Unbleached cone filters, folded once, that don't tear when rinsed.",
        {"material": "paper"},
    ),
    Article(
        KETTLE,
        "Espresso beans, 1 kg",
        "Coffee beans",
        2650,
        1010,
        "A blend of four Arabicas, roasted slowly: chocolate, walnut, little acid.",
        {"roast": "dark", "net_weight": 1000},
    ),
    Article(
        KETTLE,
        "Sencha, 100 g",
        "Tea leaves",
        1275,
        120,
        "First harvest from Kagoshima, steamed long. Brew at 70 °C, three times.",
        {"net_weight": 100},
    ),
    Article(
        KETTLE,
        "Cast-iron teapot, 0.8 l",
        "Tea",
        7250,
        1750,
        "Holds its heat for an hour. Enamelled inside, with a strainer of steel.",
        {"material": "cast iron", "capacity": 0.8, "colour": ["black", "burgundy"], "care": ["hand wash"]},
    ),
    Article(
        KETTLE,
        "Kitchen scale, 0.1 g",
        "Kitchen",
        3999,
        410,
        "Weighs up to 2 kg, keeps time, and shuts off when you are done and not before.",
        {"material": "steel"},
    ),
    Article(
        BOOKS,
        "Atlas of remote islands",
        "Books",
        2800,
        890,
        "Fifty islands, each with its map, its distance from everywhere and one true story.",
        {"author": "J. Halvorsen", "binding": ["hardcover", "paperback"], "pages": 144, "published": "2019-09-02"},
        extra={"paperback": -900},
    ),
    Article(
        BOOKS,
        "The long way round",
        "Books",
        1399,
        340,
        "From Lisbon to Vladivostok by local trains only: a novel of connections, most of them missed.",
        {"author": "M. Okafor", "binding": ["paperback", "hardcover"], "pages": 412, "published": "2022-03-17"},
        extra={"hardcover": 1000},
    ),
    Article(
        BOOKS,
        "Notebook, dotted, A5",
        "Stationery",
        1150,
        310,
        "192 numbered pages of 100 g paper that ink doesn't bleed through, thread-bound so that it lies flat.",
        {"pages": 192, "colour": ["black", "moss", "burgundy"]},
    ),
    Article(
        BOOKS,
        "Fountain pen",
        "Pens",
        4200,
        28,
        "Brushed steel, a spring clip, and a converter in the box. Writes at once after a week in the drawer.",
        {"nib": ["F", "EF", "M", "B"]},
    ),
    Article(
        BOOKS,
        "Bottled ink, 50 ml",
        "Stationery",
        1600,
        190,
        "Iron-gall ink that darkens as it dries and stays on the page for a century.",
        {"colour": ["blue-black", "burgundy"]},
        also={FJORD: 1750},
    ),
)
