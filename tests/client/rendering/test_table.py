"""Columns that fit: what goes, what shrinks, how wide letters are."""

from mnist_client.rendering.table import Cell, Column, cell_width, fitting, shortened, total_width


def column(title: str, width: int, importance: float, *, shrinks_to: int | None = None) -> Column:
    return Column(title, [Cell("x" * width)], importance=importance, shrinks_to=shrinks_to)


def test_the_least_important_columns_go_first_and_a_narrow_one_may_stay() -> None:
    columns = [column("A", 10, 9), column("B", 10, 5), column("C", 3, 1)]
    assert [one.title for one in fitting(columns, width=27)] == ["A", "B", "C"]
    assert [one.title for one in fitting(columns, width=26)] == ["A", "B"]
    assert [one.title for one in fitting(columns, width=21)] == ["A", "C"]
    assert [one.title for one in fitting(columns, width=5)] == ["A"]
    assert [one.title for one in fitting(columns, width=None)] == ["A", "B", "C"]


def test_a_column_that_may_be_cut_is_cut_before_it_goes_but_for_no_lesser_one() -> None:
    columns = [column("A", 10, 9), column("NAME", 20, 5, shrinks_to=8), column("C", 3, 1)]
    assert [one.title for one in fitting(columns, width=37)] == ["A", "NAME", "C"]
    shown = fitting(columns, width=30)
    assert [one.title for one in shown] == ["A", "NAME"]
    assert total_width(shown) == 30
    assert shown[1].cells[0].text == "x" * 17 + "…"
    assert fitting(columns, width=30, ellipsis="...")[1].cells[0].text == "x" * 15 + "..."
    assert [one.title for one in fitting(columns, width=19)] == ["A", "C"]


def test_an_empty_column_is_never_shown() -> None:
    assert fitting([column("A", 1, 1), Column("B", [Cell("")], importance=9)], width=None) == [column("A", 1, 1)]


def test_wide_letters_count_twice_and_marks_not_at_all() -> None:
    assert [cell_width(text) for text in ("abc", "é", "日本", "e\u0301")] == [3, 1, 4, 1]
    assert shortened("日本語の文", 7) == "日本語…"
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abc defgh", 5, ellipsis="") == "abc d"
    assert Column("T", [Cell("日本"), Cell("a")], importance=1).aligned("a") == "a   "
