"""What can go wrong. Everything this module raises by intention is a ChasecError."""

from __future__ import annotations

from collections.abc import Mapping


class ChasecError(Exception):
    """The base of all errors of this module."""


class ChasecNotFound(ChasecError):
    """There is no command line of chasec to call."""


class MissingPackage(ChasecError):
    """A Python package is not installed that what was asked for needs."""


class ExportError(ChasecError):
    """PyTorch could not export the model to ONNX, or the exported model computes something else."""


class MaskError(ChasecError):
    """A mask does not fit the model."""


class TrainingError(ChasecError):
    """Sparse training cannot start or go on with what it was given."""


class VerificationError(ChasecError):
    """The compiled model computes something else than the masked PyTorch model. Nothing was published.

    ``difference`` is the largest relative difference of an output, ``tolerance`` what was allowed.
    """

    def __init__(self, message: str, difference: float, tolerance: float) -> None:
        super().__init__(message, difference, tolerance)
        self.difference = difference
        self.tolerance = tolerance

    def __str__(self) -> str:
        return str(self.args[0])


class QuantizationError(ChasecError):
    """The model cannot be quantized with what was given, or loses more accuracy than was allowed. Nothing was published."""


class CommandError(ChasecError):
    """The command line of chasec refused: what it looked at, what it expected and found, and what to do about it."""

    def __init__(self, kind: str, subject: str, expected: str, found: str, help: str) -> None:
        super().__init__(kind, subject, expected, found, help)
        self.kind = kind
        self.subject = subject
        self.expected = expected
        self.found = found
        self.help = help

    def __str__(self) -> str:
        return f"{self.subject}: expected {self.expected}, found {self.found}. {self.help}".strip()

    @classmethod
    def of(cls, error: Mapping[str, object]) -> CommandError:
        """The error that is the JSON of the command line's."""
        kind, subject, expected, found, help = (
            str(error.get(key, "")) for key in ("_tag", "subject", "expected", "found", "help")
        )
        return cls(kind, subject, expected, found, help)
