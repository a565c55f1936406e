"""The journal of a long job: rows that belong to it come back, others do not, and nothing is kept without a place."""

import pytest

from kerasal.row_journal import RowJournal, journal_path

ITEMS = {"a": [[1, 2]], "b": [[3, 4]], "c": [(5, 6)]}


def test_rows_come_back_until_settings_or_items_change(tmp_path):
    output = tmp_path / "deep" / "table.csv"
    journal = RowJournal(output, {"seed": 1}, ITEMS)
    assert journal.missing == ["a", "b", "c"] and not journal.notes
    with pytest.raises(KeyboardInterrupt), journal.open_appender() as add:
        add("a", {"x": 1.5, "error": None})
        add("b", {"error": "unreadable"})
        add("c", {"x": 2.5, "error": None})
        raise KeyboardInterrupt
    again = RowJournal(output, {"seed": 1}, ITEMS)
    assert again.rows == {"a": {"x": 1.5, "error": None}, "c": {"x": 2.5, "error": None}}
    assert again.missing == ["b"]  # errors are tried again
    assert again.notes == ["The results of 2 images were reused from the interrupted run."]
    changed = RowJournal(output, {"seed": 1}, ITEMS | {"a": [[1, 9]]})
    assert list(changed.rows) == ["c"]
    other = RowJournal(output, {"seed": 2}, ITEMS)
    assert not other.rows and "Starting over" in other.notes[0]
    with other.open_appender():
        pass
    assert not RowJournal(output, {"seed": 1}, ITEMS).rows  # begun anew
    other.remove()
    other.remove()
    assert not journal_path(output).exists()


def test_without_a_place_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    journal = RowJournal(None, {}, ITEMS)
    with journal.open_appender() as add:
        add("a", {"error": None})
    journal.remove()
    assert journal.rows == {"a": {"error": None}} and not list(tmp_path.iterdir())
