"""A small folder of recorded orders in the layout that Olist published, with what its real files hold.

Byte-order marks, an empty and an untranslated category, prices that change over time and between sellers, several
units on a line, several sellers in an order, rows that don't stand in the order of their dates.
"""

from pathlib import Path

BOM = "\ufeff"
_HEADERS = {
    "order_items.csv": "order_id,order_item_id,product_id,seller_id,shipping_limit_date,price,freight_value",
    "products.csv": "product_id,product_category_name,product_name_lenght",
    "sellers.csv": "seller_id,seller_zip_code_prefix,seller_city,seller_state",
    "category_translation.csv": "product_category_name,product_category_name_english",
}
ROWS = {
    "order_items.csv": [
        f"{'a4':0>32},1,{'c1':0>32},{'b1':0>32},12/31/2017 23:59,64.9,10",
        f"{'a1':0>32},1,{'c1':0>32},{'b1':0>32},9/19/2017 9:45,58.9,13.29",
        f"{'a1':0>32},2,{'c1':0>32},{'b1':0>32},9/19/2017 9:45,58.9,13.29",
        f"{'a2':0>32},1,{'c1':0>32},{'b2':0>32},9/20/2017 9:45,61,0",
        f"{'a2':0>32},2,{'c2':0>32},{'b1':0>32},9/18/2017 9:45,7.05,0",
        f"{'a3':0>32},1,{'c1':0>32},{'b1':0>32},10/2/2017 00:00,64.90,10",
        f"{'a5':0>32},1,{'c3':0>32},{'b3':0>32},1/1/2018 0:00,0.99,10",
        f"{'a6':0>32},1,{'c1':0>32},{'b1':0>32},1/2/2018 0:00,58.9,10",
    ],
    "products.csv": [f"{'c1':0>32},beleza_saude,10", f"{'c2':0>32},,", f"{'c3':0>32},pc_gamer,", f"{'c4':0>32},,"],
    "sellers.csv": [
        f'{"b1":0>32},13844,"mogi guacu, brasil",SP',
        f"{'b2':0>32},20031,rio de janeiro,RJ",
        f"{'b3':0>32},9080,santo andré,SP",
    ],
    "category_translation.csv": ["beleza_saude,health_beauty", "automotivo,auto"],
}
ORDERS, LINES, UNITS = 6, 7, 8
FREIGHT_MINOR = 2 * 1329 + 4 * 1000
TOTAL_MINOR = 2 * 5890 + (6100 + 705) + 6490 + 6490 + 99 + 5890


def write_folder(folder: Path, **changed: list[str]) -> Path:
    """Write the four files; ``order_items=[...]`` puts other rows in place of the usual ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, header in _HEADERS.items():
        rows = changed.get(name.removesuffix(".csv"), ROWS[name])
        mark = BOM if name in {"category_translation.csv", "order_items.csv"} else ""
        # Lines end as on the machine they were exported on.
        (folder / name).write_bytes((mark + "\r\n".join([header, *rows, ""])).encode())
    return folder


def item(**changed: str) -> str:
    """A row of ``order_items.csv`` of its own, good but for what is changed."""
    cells = {
        "order_id": f"{'af':0>32}",
        "order_item_id": "1",
        "product_id": f"{'c1':0>32}",
        "seller_id": f"{'b1':0>32}",
        "shipping_limit_date": "9/19/2017 9:45",
        "price": "58.9",
        "freight_value": "0",
    }
    return ",".join((cells | changed).values())
