"""Texts that people, trials and libraries may write, each of which has a way to break something."""

import os

ODD = {
    "markup": "[/data/imagenet/train] [bold] [cls] [/] [link=x]y[/link]",
    "emoji code": ":warning: :smile:",
    "formula": "$x^ \\frac{$$ \\$ _{",
    "html": "</script><script>alert('a & b')</script><!-- \"' ]]>",
    "escape": "a\x1b[31mred\x1b]0;title\x07b",
    "control": "a\x00b\rc\x08d\x7fe\x9bf",
    "lines": "\n\nfirst\r\nsecond\u2028third\x0b\t.",
    "bidi": "abc\u202etxt.exe\u2066\u200b\ufeff",
    "surrogate": os.fsdecode(b"caf\xe9 \xff") + "\ud83d",
    "astral": "🔥 层 é עברית العربية \U0010ffff",
    "format": "%s %(x)d {0} {x!r} {{ x }} {% x %}",
    "csv": "=1+1,\"a\";'b'\t|",
    "stroke": "_hidden",
    "long": "word " * 4000,
    "long word": "x" * 20_000,
    "blank": "   ",
}
"""By what is odd in them."""
