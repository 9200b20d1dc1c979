"""A text as signs are looked for in it: one spelling for the many that shells accept."""

import re
import unicodedata

_STRIP = str.maketrans("", "", "^\"'`")
_INVISIBLE = re.compile(
    r"[\u00ad\u034f\u061c\u115f\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]"
)
# Letters of other scripts that look like Latin ones, dashes that PowerShell takes for its own, and
# quotation marks that it takes for straight ones.
_LIKE_LATIN = str.maketrans(
    "аеорсухіјѕԁһӏкмтвгпбАВЕКМНОРСТУХІЈЅαορνικτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ–—―−ı",
    "aeopcyxijsdhlkmtbrn6ABEKMHOPCTYXIJSaopviktuxABEZHIKMNOPTYX----i",
)
_QUOTES = str.maketrans("", "", "\u2018\u2019\u201a\u201b\u201c\u201d\u201e")


def folded(text: str) -> str:
    """The text with look-alike letters replaced by Latin ones, and without invisible signs."""
    if text.isascii():
        return text
    visible = _INVISIBLE.sub("", text).translate(_QUOTES)
    return unicodedata.normalize("NFKC", visible.translate(_LIKE_LATIN)).translate(_LIKE_LATIN)


def plain(text: str) -> str:
    """Lower case, without quotes, carets, backticks and `.exe`; blanks folded, one before it."""
    bare = folded(text).lower().translate(_STRIP)
    return " " + " ".join(bare.split()).replace(".exe", "")


def unescaped(text: str) -> str:
    """The text without carets and backticks, which shells drop; everything else as it was."""
    return text.replace("^", "").replace("`", "") if "^" in text or "`" in text else text
