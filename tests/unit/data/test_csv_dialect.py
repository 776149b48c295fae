"""CSV as people have it: recognized, declared, or refused with a sentence."""

from __future__ import annotations

import csv
import gzip
import io

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelmonitor_api.spec import CSVOptions, DataFormat
from modelmonitor_trainer.data import text_blocks
from modelmonitor_trainer.data.csv_numbers import NumberStyle
from modelmonitor_trainer.data.object_format import FileFormat
from modelmonitor_trainer.data.remarks import COMMA, COMMA_OR_THOUSANDS, GROUPED, POINT, POINT_OR_THOUSANDS
from modelmonitor_trainer.data.tables import Unreadable, read_table, scan
from modelmonitor_trainer.storage.open import open_store


class Reader:
    """Reads text or bytes as CSV."""

    def __init__(self, folder):
        self.folder = folder
        self.recognized: tuple[str, ...] = ()
        self.types: dict[str, pa.DataType] = {}

    def __call__(self, content, *, columns=None, text=(), name="t.csv", **declared):
        data = content if isinstance(content, bytes) else content.encode()
        (self.folder / name).write_bytes(data)
        store = open_store(None)
        [info] = store.list(f"file://{self.folder}/{name}")
        fmt = FileFormat(DataFormat.CSV, CSVOptions(**declared))
        with scan(store, info, columns, fmt, text=text) as opened:
            names, self.recognized = list(opened.types), opened.recognized
            assert {name for name, _ in opened.chunks} <= set(names)
        table = read_table(store, [info], names, fmt, text=text)
        self.types = dict(zip(names, table.schema.types, strict=True))
        return table.to_pydict()


@pytest.fixture
def read(tmp_path):
    return Reader(tmp_path)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", "\x01"])
def test_separators_are_recognized(read, separator):
    text = "price,city,qty\n1.5,Ulm,3\n2.5,Bonn,4\n".replace(",", separator)
    assert read(text) == {"price": [1.5, 2.5], "city": ["Ulm", "Bonn"], "qty": [3, 4]}
    assert bool(read.recognized) is (separator != ",")


def test_a_separator_within_quotes_or_values_does_not_separate(read):
    assert read('a;b\n"1;2";x,y\n"3;4";z\n') == {"a": ["1;2", "3;4"], "b": ["x,y", "z"]}
    assert read('a,b\n"x;y",1\n"v;w",2\n') == {"a": ["x;y", "v;w"], "b": [1, 2]}
    assert read("sep=;\r\na;b\r\n1;2\r\n") == {"a": [1], "b": [2]}


def test_wanted_columns_decide_between_separators(read):
    text = "a|b,c\n1|2,3\n4|5,6\n"
    with pytest.raises(Unreadable, match=r"its separator can be ',' \(2 columns\) or '\|' \(2 columns\); declare"):
        read(text)
    assert read(text, columns=["c"]) == {"c": [3, 6]}
    assert read(text, separator="|") == {"a": [1, 4], "b,c": [2.3, 5.6]}


@pytest.mark.parametrize("char", [":", " ", "^", "~"])
def test_what_could_be_a_separator_is_asked_for(read, char):
    text = "price,city\n1,Ulm\n2,Bonn\n".replace(",", char)
    with pytest.raises(Unreadable, match=r"it has one column.*declare data\.csv\.separator \(--separator\)"):
        read(text)
    assert read(text, separator=char) == {"price": [1, 2], "city": ["Ulm", "Bonn"]}


def test_one_column_is_one_column(read):
    assert read("x\n1\n2\n") == {"x": [1, 2]}
    assert read("x\n") == {"x": []}
    assert read("name\nAnn Lee\nBo\n") == {"name": ["Ann Lee", "Bo"]}


def test_rows_of_several_lengths_are_refused_with_any_separator(read):
    with pytest.raises(Unreadable, match="Expected 2 columns, got 3"):
        read("a;b\n1;2\n3;4;5\n")


ROWS = "1.5,Ulm\n2.5,Bonn\n3.5,Ulm\n4.5,Bonn\n"


@pytest.mark.parametrize(("separator", "newline"), [(",", "\n"), (";", "\r\n"), ("\t", "\n")])
def test_comments_before_the_header_are_left_out(read, separator, newline):
    text = ("# made by x, on Monday\n# 2024\nprice,city\n" + ROWS).replace("\n", newline)
    if separator != ",":
        text = text.replace(",", separator)
    assert read(text)["city"] == ["Ulm", "Bonn", "Ulm", "Bonn"]
    assert "2 lines of comments before the header are left out" in read.recognized


def test_a_header_can_begin_with_a_hash(read):
    assert list(read("#price,city\n" + ROWS)) == ["#price", "city"]
    assert list(read("##x=1,2,3\n#price,city\n" + ROWS)) == ["#price", "city"]
    assert list(read("#\n1\n2\n")) == ["#"]


@pytest.mark.parametrize("title", ["Report of sales\n", "Report of sales\n\n", "Report\nof, all, sales\n\n"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_a_title_is_not_a_header(read, title, separator):
    text = title + ("price,city\n" + ROWS).replace(",", separator)
    with pytest.raises(Unreadable, match=r"its first line, 'Report.*', is not its header.*remove the lines before"):
        read(text)
    with pytest.raises(Unreadable, match="have 2 values; remove the lines before the header"):
        read(text, separator=separator)


def test_text_with_other_separators_is_no_title(read):
    assert list(read("name,comment\n" + "".join(f"{n},a; b\n" for n in range(9)))) == ["name", "comment"]
    with pytest.raises(Unreadable, match="Expected 2 columns, got 3"):
        read("k,c\n" + "".join(f"{n},1,2\n" for n in range(9)))


@pytest.mark.parametrize(
    ("header", "row"),
    [
        *((row, True) for row in ("0.5,Ulm", "-1,Ulm", "4,9", "4")),
        *((names, False) for names in ("0,1,2", "2019,2020", "0", "price,city", "id,1,2", "x1,x1.5")),
    ],
)
def test_a_header_that_looks_like_a_row_is_noted(read, header, row):
    read(header + "\n" + "7," * header.count(",") + "8\n")
    assert any("because the file has no header, add one" in note for note in read.recognized) is row


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"])
def test_encodings_are_recognized(read, encoding):
    text = "city,x\n" + "Köln,1\nUlm,2\n" * 30
    assert read(text.encode(encoding)) == {"city": ["Köln", "Ulm"] * 30, "x": [1, 2] * 30}
    assert bool(read.recognized) is (not encoding.startswith("utf-8"))


def test_an_encoding_that_shows_late_is_recognized(read, monkeypatch):
    monkeypatch.setattr(text_blocks, "BLOCK_BYTES", 1000)
    text = "city,x\n" + "Ulm,1\n" * 30_000 + "Köln,2\n"
    assert read(text.encode("cp1252"))["city"][-1] == "Köln"
    assert "is read as Western European (cp1252)" in read.recognized[0]


@pytest.mark.parametrize(("encoding", "word"), [("cp1251", "Москва"), ("shift_jis", "東京都"), ("koi8-r", "Тверь")])
def test_other_encodings_are_asked_for(read, encoding, word):
    data = f"city,x\n{word},1\n".encode(encoding)
    with pytest.raises(Unreadable, match=r"is not UTF-8, and the encoding cannot be told.*--encoding"):
        read(data)
    assert read(data, encoding=encoding)["city"] == [word]
    with pytest.raises(Unreadable, match=r"its text is not utf-8; correct data\.csv\.encoding|is not UTF-8"):
        read(data, encoding="utf-8")
    with pytest.raises(Unreadable, match="'utf-9', which Python does not know"):
        read(data, encoding="utf-9")


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (["1,5", "-2,25", ""], [1.5, -2.25, None]),
        (["1.5-", "2.25", "1,234.50 -"], [-1.5, 2.25, -1234.5]),
        (["1.234,5", "2", "12.345.678,25"], [1234.5, 2.0, 12345678.25]),
        (["1,234.5", "2", "12,345,678.25"], [1234.5, 2.0, 12345678.25]),
        (["1,234,567", "1,000"], [1234567.0, 1000.0]),
        (["12,34,567.5", "1.0"], [1234567.5, 1.0]),
        (["1 234,5", "1\u00a0234,5", "1\u202f234,5"], [1234.5] * 3),
        (["1'234.50", "1’234.50"], [1234.5] * 2),
        (["$1,234.50", "$7.1", "-$3.0"], [1234.5, 7.1, -3.0]),
        (["1.234,50 €", "7,1 €", "NA"], [1234.5, 7.1, None]),
        (["EUR 12.5", "EUR 7.1"], [12.5, 7.1]),
        (["12 %", "19.9%", "-7.5 %"], [0.12, 0.199, -0.075]),
        (["(5.5)", "7.25", "(1,000.5)"], [-5.5, 7.25, -1000.5]),
        (["\u22125.5", "+7"], [-5.5, 7.0]),
        (["0,125", "0,5"], [0.125, 0.5]),
    ],
)
def test_numbers_as_people_write_them(read, values, numbers):
    assert read("k;x\n" + "".join(f"1;{value}\n" for value in values))["x"] == numbers
    assert read.types["x"] == pa.float64()


@pytest.mark.parametrize(
    "values",
    [
        ["12 kg", "13 kg"],
        ["$5", "€6"],
        ["5 %", "6"],
        ["AB 12", "AB 13"],
        ["1,2,3", "4,5,6"],
        ["1.2.3", "4.5.6"],
        ["12-34", "56-78"],
        ["a", "1,5"],
        ["1.234.56", "1"],
    ],
)
def test_other_text_is_text(read, values):
    assert read("k;x\n" + "".join(f"1;{value}\n" for value in values))["x"] == values


def test_a_comma_that_can_be_either_mark_is_asked_for(read):
    text = "k;x\n1;1,234\n2;5,678\n"
    with pytest.raises(
        Unreadable, match=r"column 'x' can have decimal commas.*declare data\.csv\.decimal \(--decimal\)"
    ):
        read(text)
    assert read(text, decimal=",")["x"] == [1.234, 5.678]
    assert read(text, decimal=".")["x"] == [1234.0, 5678.0]
    assert read("k;x\n1,25;1,234\n2,5;5,678\n")["x"] == [1.234, 5.678], "another column has decimal commas"
    assert read("k;x\n1.25;1,234\n2.5;5,678\n")["x"] == [1234.0, 5678.0], "another column has decimal points"


def test_a_point_is_a_mark_of_thousands_where_another_column_has_decimal_commas(read):
    assert read("price;people\n1,25;1.234\n2,5;5.678\n") == {"price": [1.25, 2.5], "people": [1234.0, 5678.0]}
    assert read("price;rate\n1,25;1.5\n2,5;5.25\n")["rate"] == [1.5, 5.25]
    assert read("price;people\n1.25;1.234\n2.5;5.678\n")["people"] == [1.234, 5.678]


def test_columns_that_are_declared_as_text_stay_text(read):
    text = "zip;price\n01234;1,5\n"
    assert read(text, text=["zip", "price"]) == {"zip": ["01234"], "price": ["1,5"]}


@settings(deadline=None)
@given(
    st.lists(st.integers(-(10**9), 10**9), min_size=1),
    st.integers(0, 4),
    st.sampled_from([(".", ","), (",", "."), (",", " "), (".", "'"), (",", ""), (".", "")]),
    st.sampled_from([("", ""), ("$", ""), ("", " €"), ("", "%")]),
)
def test_any_number_in_any_style_is_the_nearest_double(units, digits, marks, signs):
    point, thousands = marks
    words = []
    for unit in units:
        whole, fraction = divmod(abs(unit), 10**digits)
        text = f"{whole:,}".replace(",", thousands) + (f"{point}{fraction:0{digits}}" if digits else "")
        words.append(f"{'-' if unit < 0 else ''}{signs[0]}{text}{signs[1]}")
    style = NumberStyle(point, thousands, signs[0], signs[1].strip())
    assert style.fits(pa.array(words))
    shift = 2 if signs[1] == "%" else 0
    assert style.numbers(pa.array(words), ()).to_pylist() == [float(f"{unit}e-{digits + shift}") for unit in units]


@pytest.mark.parametrize("word", ["", "NA", "N/A", "n/a", "None", "<NA>", "#N/A", "NULL", "null", "nan", "NaN", "\\N"])
def test_words_that_mean_a_missing_value(read, word):
    assert read(f"x,w,k\n1,a,1\n{word},{word},1\n") == {"x": [1, None], "w": ["a", None], "k": [1, 1]}
    assert read(f"x,w,k\n1,a,1\n{word},{word},1\n", null_values=["?"])["w"] == ["a", word or None]


def test_declared_words_replace_the_usual_ones(read):
    assert read("x,w\n1,NA\n-,?\n", null_values=["-", "?"]) == {"x": [1, None], "w": ["NA", None]}


def test_quoted_files_have_quoted_missing_values(read):
    rows = [["x", "w", "f"], ["1.5", "a", "true"], ["", "", ""], ["2", "NA", "false"]]
    buffer = io.StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerows(rows)
    assert read(buffer.getvalue()) == {"x": [1.5, None, 2.0], "w": ["a", None, "NA"], "f": ["true", None, "false"]}


def test_backslashes_can_escape_quotes(read):
    assert read('a,b\n"say \\"hi\\", ok",1\n') == {"a": ['say "hi", ok'], "b": [1]}


@pytest.mark.parametrize("separator", [",", ";", "|"])
def test_backslashes_escape_quotes_although_each_row_has_as_many_values_without_them(read, separator):
    rows: list[list[object]] = [["k", "w"], [1, 'he said "hi"'], [2, '5" wide'], [3, "back\\slash"], [4, "plain"]]
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC):
        buffer = io.StringIO()
        csv.writer(buffer, delimiter=separator, quoting=quoting, doublequote=False, escapechar="\\").writerows(rows)
        assert read(buffer.getvalue()) == {"k": [1, 2, 3, 4], "w": [row[1] for row in rows[1:]]}


def test_backslashes_before_closing_quotes_escape_nothing(read):
    assert read('k,w\n1,"C:\\"\n2,"D:\\"\n3,"a\\""b"\n') == {"k": [1, 2, 3], "w": ["C:\\", "D:\\", 'a\\"b']}


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("block", [10_000, 1000])
def test_rows_within_quotes_are_refused(read, monkeypatch, closed, block):
    monkeypatch.setattr(text_blocks, "BLOCK_BYTES", block)
    rest = '2.5,b"\n' + "1.5,b\n" * 20 if closed else "2.5,b\n"
    with pytest.raises(Unreadable, match="51 lines within quoted values of 'w' look like rows; close the quotes"):
        read("x,w\n" + "1.5,a\n1.5,b\n" * 500 + '2.5,"a\n' + "1.5,b\n" * 50 + rest)


def test_rows_of_text_within_quotes_are_refused(read):
    rows = "red,big\nblue,small\n" * 100
    with pytest.raises(Unreadable, match="200 lines within quoted values of 'size' look like rows"):
        read(f'colour,size\n{rows}red,"big\n{rows}')


def test_a_file_without_the_wanted_columns_has_none(read):
    assert read('x,w\n1,"a\nb"\n', columns=["y"]) == {}


def test_text_of_several_lines_is_no_row(read):
    lines = "Hello,\nthe parcel has arrived, thanks\n\nBest, Ann"
    address = "Main Street 5\nUlm, Germany"
    for values in ([lines, address], [address], ["a\nb", "c\nd\n"]):
        buffer = io.StringIO()
        csv.writer(buffer).writerows([["k", "w"], *([i, value] for i, value in enumerate(values * 50))])
        assert read(buffer.getvalue())["w"] == values * 50
        assert read(buffer.getvalue(), text=["k"])["w"] == values * 50


def test_names_and_values_after_blanks(read):
    assert read(" a , b\n1, x\n2, NA\n") == {"a": [1, 2], "b": ["x", None]}
    assert read("a ,b\n1,x\n") == {"a": [1], "b": ["x"]}


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"PAR1\x00\x00", "a Parquet file"),
        (b"PK\x03\x04xlsx", "a ZIP or Excel file"),
        (b"<!DOCTYPE html><html>", "an HTML or XML file"),
        (b'{"a": 1}\n', "JSON; set the format to JSON Lines"),
    ],
)
def test_other_files_are_named(read, data, what):
    with pytest.raises(Unreadable, match=f"it begins like {what}"):
        read(data)


def test_compression_is_recognized_without_a_suffix(read):
    assert read(gzip.compress(b"a;b\n1;2\n")) == {"a": [1], "b": [2]}
    assert read(gzip.compress(("a;b\n" + "1;2\n" * 100_000).encode()), name="t.csv.gz")["b"] == [2] * 100_000


def test_small_blocks_change_nothing(read, monkeypatch):
    text = "price;n\n" + "".join(f"{i},5;{i}\n" for i in range(2000)) + "1.234,5;x\n"
    whole = read(text)
    monkeypatch.setattr(text_blocks, "BLOCK_BYTES", 500)
    assert read(text) == whole
    assert whole["price"][-1] == 1234.5


@pytest.mark.parametrize(
    ("values", "remarks"),
    [
        (["1.234", "123.456"], {POINT_OR_THOUSANDS}),
        (["12.000", "5.000", "7"], {POINT_OR_THOUSANDS}),
        (["1,234", "123"], {COMMA_OR_THOUSANDS}),
        (["1.234", "0.5"], {POINT}),
        (["0.123", "1.234"], {POINT}),
        (["1234.567"], {POINT}),
        (["19.99", "1.00"], {POINT}),
        (["1.234", "1.234.567"], {COMMA, GROUPED}),
        (["1.234", "12,5"], {COMMA, GROUPED}),
        (["1,234", "1,234.5"], {POINT, GROUPED}),
        (["12,5", "7"], {COMMA}),
        (["1", "20"], set()),
        (["1e3", "12"], set()),
    ],
)
def test_what_marks_show(read, values, remarks):
    rows = "".join(f"1;{value}\n" for value in values)
    read("k;x\n" + rows, decimal=".") if "," in rows else read("k;x\n" + rows)
    [info] = open_store(None).list(f"file://{read.folder}/t.csv")
    with scan(open_store(None), info, None, DataFormat.CSV) as opened:
        assert opened.remarks.get("x", frozenset()) == remarks
    # The same if the first rows show nothing.
    (read.folder / "t.csv").write_text("k;x\n" + "1;5\n" * 300 + rows)
    [info] = open_store(None).list(f"file://{read.folder}/t.csv")
    with scan(open_store(None), info, None, DataFormat.CSV) as opened:
        assert opened.remarks.get("x", frozenset()) == remarks


@pytest.mark.parametrize(("other", "number"), [("1.234.567", 123456.0), ("0.5", 123.456)])
def test_objects_that_are_read_together_have_one_decimal_mark(tmp_path, other, number):
    (tmp_path / "a.csv").write_text("k;x\n1;123.456\n2;1.234\n")
    (tmp_path / "b.csv").write_text(f"k;x\n1;123.456\n2;{other}\n")
    store = open_store(None)
    objects = list(store.list(f"file://{tmp_path}/"))
    for order in (objects, objects[::-1]):
        values = read_table(store, order, ["x"], DataFormat.CSV).column("x").to_pylist()
        assert values.count(number) == 2


@pytest.mark.parametrize("word", ["-", "--", "(null)", "#NV", "#N/A N/A", "n.a.", "NIL", "missing", "N.A."])
def test_words_that_mean_a_missing_value_among_numbers(read, word):
    text = f"x,w,k\n1.5,a,1\n{word},{word},1\n"
    assert read(text)["x"] == [1.5, None]
    assert read(text)["w"] == ["a", None if word == "#N/A N/A" else word]
    assert read(text, null_values=["?"])["x"] == ["1.5", word]


def test_blanks_around_words_that_mean_a_missing_value(read):
    assert read("x,w\n1, NA\n2,NA \n3,a\n")["w"] == [None, None, "a"]


@pytest.mark.parametrize("quoting", [csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC])
@pytest.mark.parametrize("separator", [",", ";"])
def test_single_quotes_are_recognized(read, quoting, separator):
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=quoting, quotechar="'", delimiter=separator)
    writer.writerows([["t", "x"], ["a, b; c", 1.5], ["it's", 2.5], ["d", 3.5]])
    assert read(buffer.getvalue()) == {"t": ["a, b; c", "it's", "d"], "x": [1.5, 2.5, 3.5]}
    assert "values are in single quotes" in read.recognized


@pytest.mark.parametrize("text", ["t,x\n'tis,1\nO'Brien,2\n", "t,x\n\"'a'\",1\n\"'b'\",2\n", "t,x\n',1\n'',2\n"])
def test_apostrophes_are_no_quotes(read, text):
    rows = list(csv.reader(io.StringIO(text)))
    assert read(text)["t"] == [row[0] for row in rows[1:]]
