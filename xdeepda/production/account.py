"""What became of the data, so far: ledger and checks of a run that may be gone on with.

With a store, the rows of the cycles since the last restart are written to a file of their
own, so that each is written once.  Knows records, files and arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from xdeepda.analysis import CycleCells, Fields, user_fields
from xdeepda.errors import StoreError
from xdeepda.observations.checks import Screen
from xdeepda.observations.ledger import Ledger
from xdeepda.observations.records import BY_BACKGROUND
from xdeepda.production.restart import read_arrays, write_arrays
from xdeepda.request import Inputs

#: Arrays, first and last position of the cycles that they are of.
Part = tuple[dict[str, np.ndarray], int, int]


class Account:
    """Ledger and checks of one assimilation.

    Parameters
    ----------
    inputs : Inputs
    ledger : Ledger, optional
    screen : Screen, optional
    start : int
        Position of the first cycle, behind those that were accounted for before.
    earlier : int
        Rows of the ledger of those.
    """

    def __init__(
        self,
        inputs: Inputs,
        ledger: Ledger | None,
        screen: Screen | None,
        *,
        start: int = 0,
        earlier: int = 0,
    ) -> None:
        self.inputs, self.ledger, self.screen = inputs, ledger, screen
        self.earlier, self._from = earlier, start
        self._files: list[str] = []

    @property
    def rows(self) -> int:
        """Rows of the whole ledger."""
        return self.earlier + (0 if self.ledger is None else len(self.ledger.records))

    def record(self, number: int, fields: Fields, cells: CycleCells) -> None:
        """Take over one cycle."""
        if self.ledger is not None:
            own = user_fields(fields, self.inputs.source, self.inputs.lead)
            self.ledger.record(number, own, cells)

    def part(self, position: int, ahead: int) -> Part | None:
        """What was noted since the last part, up to a position in the cycles.

        The data of `ahead` cycles behind it are checked, too.
        """
        if self.ledger is None and self.screen is None:
            return None
        records = self.inputs.records
        assert records is not None
        numbers = self.inputs.cycles[self._from : position + ahead]
        rows = np.concatenate([records.of(int(n)) for n in numbers] or [np.zeros(0, np.int64)])
        arrays = {"rows": rows, "fate": records.fate[rows]}
        if self.screen is not None:
            arrays["probability"] = self.screen.probability[rows]
            arrays["screen"] = np.array([self.screen.restored, self.screen.inflation])
        if self.ledger is not None:
            columns = self.ledger.part(rows)
            arrays |= {f"ledger/{name}": values for name, values in columns.items()}
        first, self._from = self._from, position
        return arrays, first, position

    def write(self, folder: Path, part: Part | None) -> dict[str, Any]:
        """Write a part; what a restart has to remember of all parts."""
        if part is not None:
            arrays, first, last = part
            name = f"account-{first}-{last}.safetensors"
            write_arrays(folder / name, arrays, {})
            self._files.append(name)
        return {"account": list(self._files)}

    def restore(self, folder: Path, notes: Mapping[str, Any]) -> None:
        """Take over all parts.

        Raises
        ------
        StoreError
            If one of them cannot be read.
        """
        for name in notes.get("account", []):
            read = read_arrays(folder / name)
            if read is None:
                raise StoreError(
                    f"assimilate: {folder / name} cannot be read, and the ledger is incomplete "
                    f"without it; remove {folder.parent} to start anew"
                )
            self._take(read[0])
            self._files.append(name)
            self._from = int(name.removesuffix(".safetensors").split("-")[-1])
        records = self.inputs.records
        if self.screen is not None and records is not None:
            # what was rejected of cycles that are not given out yet
            ahead = self.inputs.cycles[self._from : self._from + notes["ahead"]]
            for number in map(int, ahead):
                if (records.fate[records.of(number)] >= BY_BACKGROUND).any():
                    self.inputs.changed[number] = records.combined(number)

    def _take(self, arrays: dict[str, np.ndarray]) -> None:
        """Take over one part."""
        records, rows = self.inputs.records, arrays["rows"]
        assert records is not None
        records.fate[rows] = arrays["fate"]
        if self.screen is not None:
            self.screen.probability[rows] = arrays["probability"]
            restored, inflation = arrays["screen"]
            self.screen.restored, self.screen.inflation = int(restored), float(inflation)
        if self.ledger is not None:
            begin = "ledger/"
            columns = {n.removeprefix(begin): v for n, v in arrays.items() if n.startswith(begin)}
            self.ledger.take_part(rows, columns)
