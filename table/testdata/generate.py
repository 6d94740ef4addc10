"""Writes the Parquet files of this folder with the tools that users have.

    pip install pandas==2.3.3 pyarrow==22.0.0 duckdb==1.4.2
    python generate.py

Every file holds the same table, described in expected.json as text per cell, so
that a reader that is right about one is right about all.

    python generate.py check FILE.parquet...

reads files of ours with pandas and DuckDB and compares them with expected.json.
"""

import datetime
import decimal
import json
import math
import pathlib
import sys

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

HERE = pathlib.Path(__file__).parent
ROWS = 500
UTC = datetime.timezone.utc
START = datetime.datetime(2026, 11, 21, 10, 0, 0, 123456, tzinfo=UTC)


def missing(row, column):
    return (row + column) % 7 == 3


def columns():
    """name: (arrow type, value of a row, its text as our reader shows it)"""
    micros = lambda t: str((t - datetime.datetime(1970, 1, 1, tzinfo=UTC)) // datetime.timedelta(microseconds=1))
    at = lambda i: START + datetime.timedelta(minutes=i, microseconds=i)
    return {
        "double": (pa.float64(), lambda i: i / 7, None),
        "float": (pa.float32(), lambda i: i / 4, None),
        "int64": (pa.int64(), lambda i: i * 1_000_003 - 250_000, None),
        "int32": (pa.int32(), lambda i: i - 250, None),
        "int8": (pa.int8(), lambda i: i % 100 - 50, None),
        "uint32": (pa.uint32(), lambda i: 4_000_000_000 + i, None),
        "uint64": (pa.uint64(), lambda i: 2**53 + 2 * i, None),
        "decimal": (pa.decimal128(9, 2), lambda i: decimal.Decimal(i * 25 - 5000) / 100, None),
        "decimal_wide": (pa.decimal128(38, 4), lambda i: decimal.Decimal(i * 125 - 9000) / 100, None),
        "bool": (pa.bool_(), lambda i: i % 3 == 0, lambda i: "true" if i % 3 == 0 else "false"),
        "runs": (pa.bool_(), lambda i: i // 40 % 2 == 1, lambda i: "true" if i // 40 % 2 == 1 else "false"),
        "category": (pa.string(), lambda i: ["", "DE", "größer", "a longer name"][i % 4], lambda i: ["", "DE", "größer", "a longer name"][i % 4]),
        "id": (pa.string(), lambda i: f"request-{i:05d}", lambda i: f"request-{i:05d}"),
        "at_us": (pa.timestamp("us", tz="UTC"), at, lambda i: micros(at(i))),
        "at_ms": (pa.timestamp("ms", tz="UTC"), at, lambda i: str(int(micros(at(i))) // 1000 * 1000)),
        "at_ns": (pa.timestamp("ns"), at, lambda i: micros(at(i))),
        "day": (pa.date32(), lambda i: (START + datetime.timedelta(days=i)).date(),
                lambda i: micros(datetime.datetime.combine((START + datetime.timedelta(days=i)).date(), datetime.time(), UTC))),
        "vector": (pa.list_(pa.float32()), lambda i: [i + k / 2 for k in range(i % 4)],
                   lambda i: "[" + " ".join(number(i + k / 2) for k in range(i % 4)) + "]"),
        "nothing": (pa.null(), None, None),
    }


def number(v):
    """A half of an integer as Go prints it."""
    return str(int(v)) if v == math.floor(v) else repr(v)


def values(arrow, make, j):
    if make is None:
        return [None] * ROWS
    return [None if missing(i, j) else make(i) for i in range(ROWS)]


def table():
    arrays, names = [], []
    for j, (name, (arrow, make, _)) in enumerate(columns().items()):
        raw = values(arrow, make, j)
        if name == "at_ms":
            raw = [None if v is None else v.replace(microsecond=v.microsecond // 1000 * 1000) for v in raw]
        if name == "at_ns":
            raw = [None if v is None else v.replace(tzinfo=None) for v in raw]
        arrays.append(pa.array(raw, type=arrow))
        names.append(name)
    return pa.table(dict(zip(names, arrays)))


def expected():
    out = {}
    for j, (name, (arrow, make, text)) in enumerate(columns().items()):
        text = text or (lambda i, make=make: float(make(i)))
        out[name] = [None if make is None or missing(i, j) else text(i) for i in range(ROWS)]
    return out


def write():
    t = table()
    writers = {
        "arrow_snappy": {},
        "arrow_v2_zstd": {"compression": "zstd", "data_page_version": "2.0", "version": "2.6"},
        "arrow_gzip_plain": {"compression": "gzip", "use_dictionary": False},
        "arrow_none_small_pages": {"compression": "none", "data_page_size": 256, "row_group_size": 170, "write_batch_size": 16},
        "arrow_dictionary_fallback": {"dictionary_pagesize_limit": 64, "data_page_size": 128, "write_batch_size": 16},
        "arrow_int96": {"use_deprecated_int96_timestamps": True},
        "arrow_brotli_1_0": {"compression": "brotli", "version": "1.0"},
        "arrow_lz4_index": {"compression": "lz4", "write_page_index": True, "write_page_checksum": True},
    }
    for name, options in writers.items():
        if name == "arrow_int96":
            pq.write_table(t.drop_columns(["at_us", "at_ms"]), HERE / f"{name}.parquet", **options)
            continue
        pq.write_table(t, HERE / f"{name}.parquet", **options)
    numbers = ["double", "float", "int64", "int32"]
    pq.write_table(t.select(numbers + ["category", "id"]), HERE / "arrow_encodings.parquet", use_dictionary=False, version="2.6",
                   column_encoding={"double": "BYTE_STREAM_SPLIT", "float": "BYTE_STREAM_SPLIT", "int64": "DELTA_BINARY_PACKED",
                                    "int32": "DELTA_BINARY_PACKED", "category": "DELTA_LENGTH_BYTE_ARRAY", "id": "DELTA_BYTE_ARRAY"})
    full = pa.table({"n": pa.array([float(i) for i in range(ROWS)]), "c": pa.array([f"c{i % 3}" for i in range(ROWS)])},
                    schema=pa.schema([pa.field("n", pa.float64(), nullable=False), pa.field("c", pa.string(), nullable=False)]))
    pq.write_table(full, HERE / "arrow_required.parquet")
    frame = t.drop_columns(["vector", "nothing", "decimal", "decimal_wide"]).to_pandas()
    frame["category"] = frame["category"].astype("category")
    frame.to_parquet(HERE / "pandas.parquet")
    db = duckdb.connect()
    db.execute("SET TimeZone='UTC'")
    db.register("t", t.drop_columns(["nothing"]))
    db.execute(f"COPY (SELECT * FROM t) TO '{HERE / 'duckdb.parquet'}' (FORMAT parquet)")
    db.execute(f"COPY (SELECT * FROM t) TO '{HERE / 'duckdb_v2_zstd.parquet'}' (FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd)")
    odd = pa.table({
        "n": pa.array([1.5, None, 3.0]),
        "struct": pa.array([{"a": 1}, None, {"a": 2}]),
        "map": pa.array([[("k", 1)], None, []], type=pa.map_(pa.string(), pa.int64())),
        "texts": pa.array([["a"], None, []]),
        "matrix": pa.array([[[1.0]], None, []]),
        "time": pa.array([datetime.time(1, 2, 3), None, None]),
        "binary": pa.array([b"\xff\xfe", b"ok", None]),
        "fixed": pa.array([b"abcd", None, b"efgh"], type=pa.binary(4)),
        "half": pa.array([1.5, None, -2.0], type=pa.float16()),
        "longs": pa.array([[1, 2], None, [3]], type=pa.list_(pa.int64())),
        "uuid": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(range(16)), None, bytes(16)], type=pa.binary(16))),
    })
    pq.write_table(odd, HERE / "arrow_odd_types.parquet")
    pq.write_table(t.slice(0, 0), HERE / "arrow_no_rows.parquet")
    nan = pa.table({"x": pa.array([1.0, float("nan"), float("inf"), None, -5.0, 200.0]), "id": pa.array([2**60 + i for i in range(6)])})
    pq.write_table(nan, HERE / "arrow_not_finite.parquet")
    json.dump(expected(), open(HERE / "expected.json", "w"), indent=None, ensure_ascii=False)


def check(path):
    """A file of ours, written from arrow_snappy.parquet, is the same to pandas and DuckDB."""
    want = pq.read_table(HERE / "arrow_snappy.parquet")
    texts = lambda rows: [None if v is None or v != v else (f"{float(v):.9g}" if isinstance(v, (int, float, decimal.Decimal)) and not isinstance(v, bool) else str(v)) for v in rows]
    naive = lambda v: v.replace(tzinfo=None) if isinstance(v, datetime.datetime) else (datetime.datetime.combine(v, datetime.time()) if isinstance(v, datetime.date) else v)
    for reader, read in {
        "pyarrow": lambda: pq.read_table(path),
        "pandas": lambda: pa.Table.from_pandas(pd.read_parquet(path), preserve_index=False),
        "duckdb": lambda: duckdb.connect().execute(f"SET TimeZone='UTC'; SELECT * FROM '{path}'").fetch_arrow_table(),
    }.items():
        got = read()
        for name in want.column_names:
            if name == "nothing":
                continue
            a = [naive(v) for v in want[name].to_pylist()]
            b = [naive(v) for v in got[name].to_pylist()]
            if name == "at_ns":
                a, b = [None if v is None else pd.Timestamp(v) for v in a], [None if v is None else pd.Timestamp(v) for v in b]
            if texts(a) != texts(b):
                sys.exit(f"{path}: {reader} reads another {name}: {[(x, y) for x, y in zip(texts(a), texts(b)) if x != y][:3]}")
    db = duckdb.connect()
    hit = db.execute(f"SELECT count(*) FROM '{path}' WHERE category = ''").fetchone()[0]
    if hit != want["category"].to_pylist().count(""):
        sys.exit(f"{path}: DuckDB finds {hit} empty categories by statistics")
    print(path, "is read alike by pyarrow, pandas and DuckDB")


if __name__ == "__main__":
    if sys.argv[1:2] == ["check"]:
        for path in sys.argv[2:]:
            check(path)
    else:
        write()
