"""What the names of columns say, and names for our own use."""

import re
import unicodedata
from collections.abc import Container

from addrl_keras.config import RESERVED, TEACHER_PARTS

# Names that mean something else: canonical columns, the id's modality, chunks, slices, and parts of
# the teacher. The model refuses them.
TAKEN = frozenset(("item_id", "title", "id", *RESERVED, *TEACHER_PARTS))

# Words by role, in the order of trust. A column is named so if its name is one of them or ends or
# begins with one.
USER = ("user", "customer", "client", "visitor", "member", "account", "buyer", "reviewer",
        "shopper", "person", "patron", "subscriber", "listener", "reader", "uid", "kunde",
        "kunden", "nutzer")  # fmt: skip
ITEM = ("item", "product", "article", "sku", "asin", "isbn", "movie", "film", "book", "song",
        "track", "show", "recipe", "listing", "offer", "content", "iid", "good", "artikel",
        "produkt")  # fmt: skip
TITLE = ("title", "name", "label", "headline", "titel", "bezeichnung")
TIME = ("timestamp", "datetime", "time", "date", "dat", "ts", "created", "bought", "ordered",
        "purchased", "when", "day", "unixreviewtime", "at", "datum")  # fmt: skip
RATING = ("rating", "stars", "score", "overall", "grade", "vote")
FEEDBACK = ("clicked", "purchased", "liked", "label", "target", "converted", "feedback")
WEIGHT = ("quantity", "qty", "weight", "plays", "count", "times", "units", "pieces")
PRICE = ("price", "cost", "amount", "paid", "msrp", "fare", "preis")
BRAND = ("brand", "maker", "manufacturer", "vendor", "label", "publisher", "studio", "author",
         "artist", "designer", "seller", "supplier", "marke", "hersteller")  # fmt: skip
GROUP = ("category", "genre", "type", "class", "department", "section", "group", "kind", "topic",
         "colour", "color", "style", "material", "size", "season", "gender")  # fmt: skip
COUNTED = ("popularity", "popular", "reviews", "ratings", "sales", "sold", "views", "clicks",
           "downloads", "purchases", "bestseller", "salesrank")  # fmt: skip
CODE = ("id", "code", "no", "nr", "number", "key", "uuid", "ean", "upc", "barcode")


def split_name(name: str) -> list[str]:
    """Split a column's name into lower-case words.

    Example:
        >>> split_name("productTypeName"), split_name("t_dat"), split_name("Item ID")
        (['product', 'type', 'name'], ['t', 'dat'], ['item', 'id'])
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [word.lower() for word in re.split(r"[\W_]+", spaced) if word]


def is_named(name: str, words: tuple[str, ...]) -> bool:
    """Tell whether a column's name has one of some words, alone or run together with `id`.

    Example:
        >>> is_named("customer_id", USER), is_named("userid", USER), is_named("useful", USER)
        (True, True, False)
    """
    parts = split_name(name)
    parts += [part.removesuffix("id") for part in parts if part.endswith("id")]
    parts += [part[:-1] for part in parts if part.endswith("s")]
    return any(word in parts for word in words)


def make_name(name: str, taken: Container[str]) -> str:
    """Make a name that may be a column, a feature and a chunk: `[a-z][a-z0-9_]*`, not yet taken.

    Example:
        >>> make_name("Größe (cm)", ()), make_name("2nd colour", ()), make_name("価格", ())
        ('grosse_cm', 'column_2nd_colour', 'column')
    """
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss"))
    words = split_name(plain.encode("ascii", "ignore").decode())
    made = re.sub(r"[^a-z0-9_]", "", "_".join(words))
    if not made or not made[0].isalpha():
        made = "_".join(filter(None, ("column", made)))
    candidate, number = made, 2
    while candidate in taken:
        candidate, number = f"{made}_{number}", number + 1
    return candidate
