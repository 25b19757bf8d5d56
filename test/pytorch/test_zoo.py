"""The quick part of the zoo for pytest: `python3 -m pytest test/pytorch`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from zoo import Case, Subject, cases, parse, run_case, sensitivity

from models import ZOO


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Subject]:
    return {
        name: Subject(name, tmp_path_factory.mktemp(name))
        for name in {case.model for case in cases(parse(["--quick"]))}
    }


@pytest.mark.parametrize("case", list(cases(parse(["--quick"]))), ids=str)
def test_compiles_to_what_pytorch_computes(case: Case, subjects: dict[str, Subject]) -> None:
    row = run_case(case, subjects[case.model])
    assert row.problem == ""


@pytest.mark.parametrize("name", list(ZOO))
def test_a_wrong_mask_would_be_noticed(name: str) -> None:
    effect, weight = sensitivity(name)
    assert effect > 1e-3, weight
