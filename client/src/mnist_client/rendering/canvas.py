"""Lines on a grid of characters: braille dots where there is Unicode, else one dot a character."""

DOTS_ACROSS, DOTS_DOWN = 2, 4  # in a braille character
BRAILLE = 0x2800
# The bit of each dot of a braille character, by column and row (Unicode 15, chapter 21.1).
BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
ASCII_DOT = "."


class Canvas:
    """`columns` x `rows` characters. Places are dots, counted from the left and from the top.

    Who draws is a number; where two meet in a character, it shows the later one's colour.
    """

    def __init__(self, columns: int, rows: int, *, is_unicode: bool) -> None:
        self.columns, self.rows = columns, rows
        self._across, self._down = (DOTS_ACROSS, DOTS_DOWN) if is_unicode else (1, 1)
        self._is_unicode = is_unicode
        self._bits: dict[tuple[int, int], int] = {}  # by column and row
        self._marks: dict[tuple[int, int], str] = {}
        self._owners: dict[tuple[int, int], int] = {}

    @property
    def width(self) -> int:
        """In dots."""
        return self.columns * self._across

    @property
    def height(self) -> int:
        """In dots."""
        return self.rows * self._down

    def line(self, start: tuple[float, float], end: tuple[float, float], *, owner: int) -> None:
        """Dots from `start` to `end`, both included."""
        (x0, y0), (x1, y1) = start, end
        steps = max(1, round(max(abs(x1 - x0), abs(y1 - y0))))
        for step in range(steps + 1):
            share = step / steps
            self._dot(round(x0 + share * (x1 - x0)), round(y0 + share * (y1 - y0)), owner=owner)

    def mark(self, place: tuple[float, float], character: str, *, owner: int) -> None:
        """A character instead of the dots there."""
        cell = self._cell(round(place[0]), round(place[1]))
        self._marks[cell], self._owners[cell] = character, owner

    def runs(self, row: int) -> list[tuple[str, int | None]]:
        """The characters of a row, those of one owner together; None: nobody's."""
        found: list[tuple[str, int | None]] = []
        for column in range(self.columns):
            character, owner = self._character((column, row)), self._owners.get((column, row))
            if found and found[-1][1] == owner:
                found[-1] = (found[-1][0] + character, owner)
            else:
                found.append((character, owner))
        return found

    def _character(self, cell: tuple[int, int]) -> str:
        if cell in self._marks:
            return self._marks[cell]
        bits = self._bits.get(cell, 0)
        if not bits:
            return " "
        return chr(BRAILLE + bits) if self._is_unicode else ASCII_DOT

    def _dot(self, x: int, y: int, *, owner: int) -> None:
        cell = self._cell(x, y)
        bit = BITS[x % DOTS_ACROSS][y % DOTS_DOWN] if self._is_unicode else 1
        self._bits[cell] = self._bits.get(cell, 0) | bit
        self._owners[cell] = owner

    def _cell(self, x: int, y: int) -> tuple[int, int]:
        assert 0 <= x < self.width, x
        assert 0 <= y < self.height, y
        return x // self._across, y // self._down
