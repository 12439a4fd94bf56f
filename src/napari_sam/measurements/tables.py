"""Tables out: CSV, Parquet, Excel."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pandas as pd

from napari_sam.engine import SamError, check_name, written

NEEDS = {".csv": None, ".parquet": "pyarrow", ".xlsx": "openpyxl"}
MOST_ROWS_OF_EXCEL = 1_048_575
EXTRA = "Install it with \"pip install 'napari-sam-annotator[formats]'\", or choose a name in .csv."


def check_table_path(path: Path) -> None:
    """Notice before the work that :func:`write_measurements` would refuse a name after it.

    Raises
    ------
    SamError
        If its suffix is another one, or the library for it is not installed.
    """
    check_name(path)
    suffix = path.suffix.lower()
    if suffix not in NEEDS:
        raise SamError(
            f"A table cannot be saved as {path.name}. Choose a name in .csv, .parquet or .xlsx."
        )
    library = NEEDS[suffix]
    if library is not None:
        try:
            importlib.import_module(library)
        except ImportError as error:
            raise SamError(f"To write {suffix} the package {library} is needed. {EXTRA}") from error


def write_measurements(path: str | Path, table: pd.DataFrame) -> None:
    """Save a table, whole or not at all: .csv, .parquet or .xlsx.

    Raises
    ------
    SamError
        If the name is another one, a package is missing, or the file cannot be written.
    """
    path = Path(path)
    check_table_path(path)
    suffix = path.suffix.lower()
    if suffix == ".xlsx" and len(table) > MOST_ROWS_OF_EXCEL:
        raise SamError(
            f"{len(table)} rows do not fit into a sheet of Excel, which has {MOST_ROWS_OF_EXCEL}. "
            "Choose a name in .csv or .parquet."
        )
    with written(path) as part:
        if suffix == ".csv":
            table.to_csv(part, index=False, float_format="%.10g", lineterminator="\n")
        elif suffix == ".parquet":
            table.to_parquet(part, engine="pyarrow", index=False)
        else:
            _write_sheet(part, table)


def _write_sheet(path: Path, table: pd.DataFrame) -> None:
    """One sheet; text that begins like a formula stays text."""
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell

    book = Workbook(write_only=True)
    sheet = book.create_sheet("objects")
    sheet.append(list(table.columns))

    def cell(value: Any) -> Any:
        if isinstance(value, str):
            made = WriteOnlyCell(sheet, value)
            made.data_type = "s"
            return made
        return None if value != value else value

    for row in zip(*(table[name].tolist() for name in table.columns), strict=True):
        sheet.append([cell(value) for value in row])
    with path.open("wb") as file:
        book.save(file)
