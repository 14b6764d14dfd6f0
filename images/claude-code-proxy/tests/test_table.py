"""The README's tables and the tests of their rows say the same."""

from __future__ import annotations

import test_messages
import test_table_answers
import test_table_models
import test_table_requests
from table import proved_rows, readme_rows

PROVED = set(proved_rows(test_messages, test_table_answers, test_table_models, test_table_requests))


def test_each_row_of_the_readme_is_proved() -> None:
    """A row without a test may be wishful thinking."""
    rows = readme_rows()

    assert len(rows) > 40
    assert [row for row in rows if row not in PROVED] == []


def test_each_proof_is_of_a_row_of_the_readme() -> None:
    """A row that is renamed or removed takes its tests along."""
    assert sorted(PROVED.difference(readme_rows())) == []


def test_each_row_says_one_thing_once() -> None:
    """Two rows of one name could not be told apart."""
    rows = readme_rows()

    assert sorted(rows) == sorted(set(rows))
